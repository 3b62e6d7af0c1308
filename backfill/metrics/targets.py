"""Targets of the Distinguished District Program: what each level takes, and which is achieved.

Source: the district's row of the district summary (Paid Club Base, Payment Base, Paid Clubs, Total YTD Payments, Total
Distinguished Clubs). Units: clubs and payments are counts; the least whole number that reaches a share, exactly.
"""

from __future__ import annotations

from typing import Any

from backfill.metrics.cells import share_ceiling
from backfill.metrics.quality import Summary

LEVELS = ("distinguished", "select", "presidents", "smedley")
GROWTH = (1, 3, 5, 8)
"""Percent of the base that paid clubs and payments must have grown by, level by level."""
SHARE = (45, 50, 55, 60)
"""Percent of the Paid Club Base that must be distinguished, level by level."""


def targets(summary: Summary) -> dict[str, Any]:
    """Each of paid clubs, payments and distinguished clubs with its base, what there is, what is needed, and the level.

    `needed` and `achieved` are null where the base is unknown or 0, since nothing grows from nothing.
    """
    club_base, payment_base = summary.count("Paid Club Base"), summary.count("Payment Base")
    return {
        "paidClubs": _target(club_base, summary.count("Paid Clubs"), [100 + percents for percents in GROWTH], GROWTH),
        "payments": _target(
            payment_base, summary.count("Total YTD Payments"), [100 + percents for percents in GROWTH], GROWTH
        ),
        "distinguishedClubs": _target(club_base, summary.count("Total Distinguished Clubs"), SHARE, SHARE),
    }


def _target(
    base: int | None, current: int | None, shares: list[int] | tuple[int, ...], percents: tuple[int, ...]
) -> dict[str, Any]:
    needed = [share_ceiling(base, share) if base is not None and base > 0 else None for share in shares]
    reached = [
        level
        for level, least in zip(LEVELS, needed, strict=True)
        if current is not None and least is not None and current >= least
    ]
    levels = [
        {"level": level, "percent": points, "needed": least}
        for level, points, least in zip(LEVELS, percents, needed, strict=True)
    ]
    return {"base": base, "current": current, "levels": levels, "achieved": reached[-1] if reached else None}
