"""Clubs, membership and payments: counts and sums of a district.

Source: the roster, and the bases of the district summary. Units: clubs, members and payments are counts; percentages
are percent points.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from backfill.analytics.cells import difference, percentage, rounded, total
from backfill.analytics.club_rows import ClubRows, Status
from backfill.analytics.quality import Summary
from backfill.domain import ProgramYear


def club_counts(club_rows: ClubRows, summary: Summary, year: ProgramYear) -> dict[str, Any]:
    """Clubs by status.

    `paid`, `base` and `netGrowth` come from the district summary (Paid Clubs and Paid Club Base); the other figures
    are counted. `active` is the number of rows with status Active, which differs from Paid Clubs in 27 of 124 real
    closes of district 91. `chartered` is the number of clubs with a charter date (districtperformance) in the program
    year, including suspended ones as in the official number of new clubs.
    """
    counts = Counter(club.status for club in club_rows.clubs)
    paid, base = summary.count("Paid Clubs"), summary.count("Paid Club Base")
    suspended = [club for club in club_rows.clubs if club.status is Status.SUSPENDED]
    return {
        "total": len(club_rows.clubs),
        "open": len(club_rows.open),
        "paid": paid,
        "active": counts[Status.ACTIVE],
        "low": counts[Status.LOW],
        "ineligible": counts[Status.INELIGIBLE],
        "suspended": len(suspended),
        "base": base,
        "netGrowth": difference(paid, base),
        "chartered": _chartered(club_rows, year),
        "suspendedClubs": [{"clubNumber": club.number, "clubName": club.name} for club in suspended],
    }


def _chartered(club_rows: ClubRows, year: ProgramYear) -> int | None:
    if club_rows.charters is None:
        return None
    return sum(ProgramYear.of(day) == year for _, day in club_rows.charters)


def membership(club_rows: ClubRows) -> dict[str, Any]:
    """Members of the open clubs: Active Members and Mem. Base of clubperformance. `averagePerClub` has one digit."""
    counts = [club.members for club in club_rows.open]
    members, base = total(counts), total([club.base for club in club_rows.open])
    known = len(counts) - counts.count(None)
    return {
        "total": members,
        "base": base,
        "netGrowth": difference(members, base),
        "averagePerClub": None if members is None else rounded(members, known, 1),
    }


def payments(club_rows: ClubRows, summary: Summary) -> dict[str, Any]:
    """Membership payments: sums over all rows of districtperformance, including suspended clubs.

    `base` is the district summary's Payment Base; `growthPercent` has two digits.
    """
    sums: dict[str, Any] = {name: total(values) for name, values in club_rows.payments.items()}
    base = summary.count("Payment Base")
    growth = difference(sums["total"], base)
    return {**sums, "base": base, "growth": growth, "growthPercent": percentage(growth, base, 2)}
