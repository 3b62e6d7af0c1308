"""The trend of a program year, one point a result, and the comparison with the year before.

Source: the result's own figures. Units: members, payments, clubs and goals are counts; `percent` is percent points with
two digits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from backfill.analytics.cells import difference, percentage

COMPARABLE_FROM = 85
"""Percent of the open clubs that must have been in the snapshot before for the two to be comparable."""

COMPARED = ("members", "payments", "paidClubs", "distinguished")


def point(result: Mapping[str, Any], goals_met: int | None) -> dict[str, Any]:
    """A result's place in the series; `goals_met` is the sum of Goals Met over the open clubs.

    Payments are the rows' own sum, paid clubs the official figure of the summary, distinguished the reported ones.
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
    """A point against the one of the same data month a program year before; None where there is none.

    `clubs` and `previous_clubs` are the open clubs of both snapshots, as `open_clubs` gives them. Fewer than 85 % of
    them in common with today's make the two not `comparable`: on 1 July 2026 districts were formed anew, and a number
    that lives on may hold twice as many clubs. It is null where there is no open club, or the clubs of the year before
    are not known.
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
    """The open clubs of a district result: the number of each, or its name where it has none."""
    return tuple(line["clubNumber"] or line["clubName"] for line in result["health"]["clubs"])


def _change(current: int | None, previous: int | None) -> dict[str, Any]:
    change = difference(current, previous)
    return {"current": current, "previous": previous, "change": change, "percent": percentage(change, previous, 2)}
