"""The trend of a program year, one point a result, and the comparison with the year before.

Source: the result's own figures. Units: members, payments, clubs and goals are counts; `percent` is percent points with
two digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backfill.metrics.cells import difference, percentage

COMPARED = ("members", "payments", "paidClubs", "distinguished")


def point(result: Mapping[str, Any], goals_met: int | None) -> dict[str, Any]:
    """A result's place in the series; `goals_met` is the sum of Goals Met over the open clubs.

    Payments are the rows' own sum, paid clubs the counted ones, distinguished the reported ones.
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


def year_over_year(current: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A point against the one of the same data month a program year before; None where there is none."""
    return None if previous is None else {name: _change(current[name], previous.get(name)) for name in COMPARED}


def _change(current: int | None, previous: int | None) -> dict[str, Any]:
    change = difference(current, previous)
    return {"current": current, "previous": previous, "change": change, "percent": percentage(change, previous, 2)}
