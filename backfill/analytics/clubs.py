"""Clubs, membership and payments: the plain counts and sums of a district.

Source: the roster, and the bases of the district summary. Units: clubs, members and payments are counts; percentages
are percent points.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from backfill.domain import ProgramYear
from backfill.metrics.cells import difference, percentage, rounded, total
from backfill.metrics.quality import Summary
from backfill.metrics.roster import Roster, Status


def club_counts(roster: Roster, summary: Summary, year: ProgramYear) -> dict[str, Any]:
    """Clubs by status. `paid` and `base`, and so `netGrowth`, are official figures of the district summary (its Paid
    Clubs and Paid Club Base); the rest is counted. `active` counts the rows of status Active: another figure, which
    differs from Paid Clubs in 27 of 124 real closes of district 91.

    `chartered` are the clubs whose charter date (districtperformance) is in the program year, suspended ones too: the
    official number of new clubs counts them.
    """
    counts = Counter(club.status for club in roster.clubs)
    paid, base = summary.count("Paid Clubs"), summary.count("Paid Club Base")
    suspended = [club for club in roster.clubs if club.status is Status.SUSPENDED]
    return {
        "total": len(roster.clubs),
        "open": len(roster.open),
        "paid": paid,
        "active": counts[Status.ACTIVE],
        "low": counts[Status.LOW],
        "ineligible": counts[Status.INELIGIBLE],
        "suspended": len(suspended),
        "base": base,
        "netGrowth": difference(paid, base),
        "chartered": _chartered(roster, year),
        "suspendedClubs": [{"clubNumber": club.number, "clubName": club.name} for club in suspended],
    }


def _chartered(roster: Roster, year: ProgramYear) -> int | None:
    if roster.charters is None:
        return None
    return sum(ProgramYear.of(day) == year for _, day in roster.charters)


def membership(roster: Roster) -> dict[str, Any]:
    """Members of the open clubs: Active Members and Mem. Base of clubperformance. `averagePerClub` has one digit."""
    counts = [club.members for club in roster.open]
    members, base = total(counts), total([club.base for club in roster.open])
    known = len(counts) - counts.count(None)
    return {
        "total": members,
        "base": base,
        "netGrowth": difference(members, base),
        "averagePerClub": None if members is None else rounded(members, known, 1),
    }


def payments(roster: Roster, summary: Summary) -> dict[str, Any]:
    """Membership payments: sums over all rows of districtperformance, those of suspended clubs too.

    `base` is the district summary's Payment Base; `growthPercent` has two digits.
    """
    sums: dict[str, Any] = {name: total(values) for name, values in roster.payments.items()}
    base = summary.count("Payment Base")
    growth = difference(sums["total"], base)
    return {**sums, "base": base, "growth": growth, "growthPercent": percentage(growth, base, 2)}
