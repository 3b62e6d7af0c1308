"""Clubs, membership and payments: the plain counts and sums of a district.

Source: the roster, and the bases of the district summary. Units: clubs, members and payments are counts; percentages
are percent points.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import Any

from backfill.domain import ProgramYear
from backfill.metrics.cells import difference, percentage, rounded, total, words
from backfill.metrics.quality import Summary
from backfill.metrics.roster import Roster, Status

_CHARTERED = re.compile(r"Charter (\d{1,2})/(\d{1,2})/(\d{2})", re.ASCII | re.IGNORECASE)


def club_counts(roster: Roster, summary: Summary, year: ProgramYear) -> dict[str, Any]:
    """Clubs by status. `base` and so `netGrowth` are of the district summary (its Paid Club Base); the rest is counted.

    `chartered` are open clubs whose charter date (`Charter MM/DD/YY` of districtperformance) is in the program year.
    """
    counts = Counter(club.status for club in roster.clubs)
    base = summary.count("Paid Club Base")
    suspended = [club for club in roster.clubs if club.status is Status.SUSPENDED]
    return {
        "total": len(roster.clubs),
        "open": len(roster.open),
        "paid": counts[Status.ACTIVE],
        "low": counts[Status.LOW],
        "ineligible": counts[Status.INELIGIBLE],
        "suspended": len(suspended),
        "base": base,
        "netGrowth": difference(counts[Status.ACTIVE], base),
        "chartered": _chartered(roster, year),
        "suspendedClubs": [{"clubNumber": club.number, "clubName": club.name} for club in suspended],
    }


def _chartered(roster: Roster, year: ProgramYear) -> int | None:
    if roster.charter_cells is None:
        return None
    open_numbers = {club.number for club in roster.open}
    return sum(number in open_numbers and _is_charter_of(cell, year) for number, cell in roster.charter_cells)


def _is_charter_of(cell: str, year: ProgramYear) -> bool:
    match = _CHARTERED.fullmatch(words(cell))
    if match is None:
        return False
    try:
        return ProgramYear.of(date(2000 + int(match[3]), int(match[1]), int(match[2]))) == year
    except ValueError:
        return False


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
