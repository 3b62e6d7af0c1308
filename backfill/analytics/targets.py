"""Targets of the Distinguished District Program: the requirements and achievement of each level.

Source: the district's row of the district summary (Paid Club Base, Payment Base, Paid Clubs, Total YTD Payments, Total
Distinguished Clubs, and a Y/N column for each condition). Units: clubs and payments are counts; shares of a
base are rounded up to whole numbers, in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from backfill.analytics.cells import share_ceiling
from backfill.analytics.quality import Summary
from backfill.domain import ProgramYear

LEVELS = ("distinguished", "select", "presidents", "smedley")
"""Lowest first. The program had no Smedley level before 2018-2019."""


class Need(NamedTuple):
    """A requirement of a level, relative to a base."""

    percent: float | None
    """As the program states it; None if it states a number of clubs."""
    per_mille: int = 0
    """The required share of the base: 1015 is 1.5 % more than the base."""
    more: int = 0
    """The required number above the base, if the program states a number of clubs."""

    def of(self, base: int) -> int:
        return base + self.more if self.percent is None else share_ceiling(base, self.per_mille)


Needs = tuple[Need, ...]


def _growth(*percents: float) -> Needs:
    """Percentages above the base, one per level."""
    return tuple(Need(percent, 1000 + round(10 * percent)) for percent in percents)


def _share(*percents: int) -> Needs:
    """Percentages of the base, one per level."""
    return tuple(Need(percent, 10 * percent) for percent in percents)


def _clubs(*more: int) -> Needs:
    """Numbers of clubs above the base, one per level."""
    return tuple(Need(None, more=count) for count in more)


@dataclass(frozen=True, slots=True)
class Era:
    """The rules from a program year until the next era."""

    first: int
    """The calendar year in which its first program year starts."""
    payments: Needs
    """Relative to the Payment Base."""
    paid_clubs: Needs
    """Relative to the Paid Club Base."""
    distinguished: Needs
    """Relative to the Paid Club Base."""
    conditions: tuple[str, ...]
    """Columns of the district summary that must all be Y."""


_BOTH = ("DSP", "Training")
_PLANS = (*_BOTH, "Market Analysis", "Communication Plan")
_VISITED = (*_PLANS, "Region Advisor Visit")

ERAS = (
    #   from  payments                paid clubs                    distinguished clubs     conditions
    Era(2026, _growth(1, 3, 5, 8),    _growth(1, 3, 5, 8),          _share(45, 50, 55, 60), _PLANS),
    Era(2025, _growth(1, 3, 5, 8),    _growth(1, 3, 5, 8),          _share(45, 50, 55, 60), _VISITED),
    Era(2022, _growth(1, 3, 5, 8),    _clubs(0, 1) + _growth(3, 5), _share(40, 45, 50, 55), _BOTH),
    Era(2018, _growth(1.5, 3, 5, 8),  _growth(1.5, 3, 5, 8),        _share(40, 45, 50, 55), _BOTH),
    Era(2012, _growth(3, 5, 8),       _growth(3, 5, 8),             _share(40, 45, 50),     _BOTH),
)  # fmt: skip
"""The Distinguished District Program by program year, newest first.

Source: the table "targets" of ANALYTICS.md, which was checked against the goals that Toastmasters International printed
for ten (district, year) pairs and against the number of distinguished districts of 2021-2022 to 2023-2024. Before
2012-2013 a competitive program without targets was in force.
"""


def era_of(year: ProgramYear) -> Era | None:
    """The rules of a program year; None before 2012-2013."""
    return next((era for era in ERAS if year.start >= era.first), None)


def targets(summary: Summary, year: ProgramYear) -> dict[str, Any]:
    """Base, current figure, needed figures and achieved level of paid clubs, payments and distinguished clubs.

    `needed` and `achieved` are null if the base is unknown or 0. `level` is the lowest of the three achieved levels,
    and null unless every condition is met. Before 2012-2013 all three are null.
    """
    era = era_of(year)
    if era is None:
        return {"paidClubs": None, "payments": None, "distinguishedClubs": None, "conditions": [], "level": None}
    club_base, payment_base = summary.count("Paid Club Base"), summary.count("Payment Base")
    parts = {
        "paidClubs": _target(club_base, summary.count("Paid Clubs"), era.paid_clubs),
        "payments": _target(payment_base, summary.count("Total YTD Payments"), era.payments),
        "distinguishedClubs": _target(club_base, summary.count("Total Distinguished Clubs"), era.distinguished),
    }
    conditions = [{"name": name, "met": summary.flag(name)} for name in era.conditions]
    achieved = [part["achieved"] for part in parts.values()]
    is_ready = None not in achieved and all(condition["met"] for condition in conditions)
    return {**parts, "conditions": conditions, "level": min(achieved, key=LEVELS.index) if is_ready else None}


def _target(base: int | None, current: int | None, needs: Needs) -> dict[str, Any]:
    levels: list[dict[str, Any]] = []
    achieved = None
    for level, need in zip(LEVELS, needs, strict=False):  # not every era has the last level
        least = need.of(base) if base is not None and base > 0 else None
        levels.append({"level": level, "percent": need.percent, "needed": least})
        if current is not None and least is not None and current >= least:
            achieved = level
    return {"base": base, "current": current, "levels": levels, "achieved": achieved}
