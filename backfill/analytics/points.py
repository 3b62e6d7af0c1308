"""The points of a program year, one per result, and the comparison with the year before.

Source: the result's own figures. Units: members, payments, clubs and goals are counts; `percent` is percent points with
two digits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from backfill.analytics.cells import difference, percentage

COMPARABLE_FROM = 85
"""Snapshots are comparable if at least this percentage of the open clubs is also in the earlier one."""

COMPARED = ("members", "payments", "paidClubs", "distinguished")


def point(result: Mapping[str, Any], goals_met: int | None) -> dict[str, Any]:
    """The point of a result; `goals_met` is the sum of Goals Met over the open clubs.

    Payments are the sum over the rows, paid clubs come from the summary, distinguished clubs are the reported ones.
    """
    health = result["health"]
    return {
        "date": result["date"],
        "members": result["membership"]["total"],
        "payments": result["payments"]["total"],
        "paidClubs": result["clubs"]["paid"],
        "distinguished": result["distinguished"]["reported"]["total"],
        "goals": goals_met,
        "thriving": health["thriving"],
        "vulnerable": health["vulnerable"],
        "interventionRequired": health["interventionRequired"],
    }


def year_over_year(
    current: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
    clubs: Collection[str],
    previous_clubs: Collection[str] | None,
) -> dict[str, Any] | None:
    """Compare a point with that of the same data month of the previous program year; None if there is none.

    `clubs` and `previous_clubs` are the open clubs of both snapshots, as returned by `open_clubs`. The points are
    `comparable` if at least 85 % of the current clubs were in the previous snapshot: districts were reformed on 1 July
    2026, and a district that kept its number may have twice as many clubs. `comparable` is null if there is no open
    club or the previous clubs are unknown.
    """
    if previous is None:
        return None
    changes: dict[str, Any] = {name: _change(current[name], previous.get(name)) for name in COMPARED}
    comparable, joined, left = None, None, None
    if previous_clubs is not None:
        now, before = set(clubs), set(previous_clubs)
        joined, left = len(now - before), len(before - now)
        comparable = 100 * (len(now) - joined) >= COMPARABLE_FROM * len(now) if now else None
    return {**changes, "comparable": comparable, "clubsJoined": joined, "clubsLeft": left}


def open_clubs(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The open clubs of a district result: the number of each club, or its name if it has no number."""
    return tuple(line["clubNumber"] or line["clubName"] for line in result["health"]["clubs"])


def _change(current: int | None, previous: int | None) -> dict[str, Any]:
    change = difference(current, previous)
    return {"current": current, "previous": previous, "change": change, "percent": percentage(change, previous, 2)}
