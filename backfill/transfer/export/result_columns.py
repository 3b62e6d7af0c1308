"""The scalar values of a district result as columns with dotted names, in a fixed order.

Lists of clubs, divisions, areas and quality notes have no column; `qualityNotes` is the number of notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

_LEVELS = ("distinguished", "select", "presidents", "smedley", "total")
_COMPARED = ("members", "payments", "paidClubs", "distinguished")
_MEASURES = ("clubGrowth", "paymentGrowth", "distinguished")
_TARGETS = ("paidClubs", "payments", "distinguishedClubs")


def _all(prefix: str, names: tuple[str, ...], kind: type) -> dict[str, type]:
    return {f"{prefix}.{name}": kind for name in names}


COLUMNS: Mapping[str, type] = {
    "date": date,
    "districtId": str,
    "programYear": str,
    "dataMonth": str,
    "asOf": date,
    "isFinal": bool,
    "sourceHash": str,
    "schemaVersion": int,
    **_all(
        "clubs",
        ("total", "open", "paid", "active", "low", "ineligible", "suspended", "base", "netGrowth", "chartered"),
        int,
    ),
    **_all("membership", ("total", "base", "netGrowth"), int),
    "membership.averagePerClub": float,
    **_all("payments", ("new", "late", "october", "april", "charter", "total", "base", "growth"), int),
    "payments.growthPercent": float,
    **_all("health", ("interventionRequired", "thriving", "vulnerable"), int),
    **_all("distinguished.reported", _LEVELS, int),
    **_all("distinguished.qualifying", _LEVELS, int),
    "distinguished.percentOfBase": float,
    **{f"goals.{goal}.{name}": kind for goal in range(1, 11) for name, kind in (("achieved", int), ("percent", float))},
    **{
        f"targets.{target}.{name}": kind
        for target in _TARGETS
        for name, kind in (("base", int), ("current", int), ("achieved", str))
    },
    "targets.level": str,
    "rankings.region": str,
    **{
        f"rankings.{measure}{name}": kind
        for name, kind in (("Percent", float), ("Rank", int), ("Points", int))
        for measure in _MEASURES
    },
    **_all("rankings", ("score", "overallRank", "regionRank"), int),
    "rankings.percentile": float,
    **{
        f"yearOverYear.{what}.{name}": kind
        for what in _COMPARED
        for name, kind in (("current", int), ("previous", int), ("change", int), ("percent", float))
    },
    "yearOverYear.comparable": bool,
    **_all("yearOverYear", ("clubsJoined", "clubsLeft"), int),
    "qualityNotes": int,
}
"""Name to type. All columns but the first eight may be None."""

_PATHS = {name: tuple(name.split(".")) for name in COLUMNS}


def flatten_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of COLUMNS of a result; docs/analytics.md describes the format of results."""
    by_goal = {str(goal["goal"]): goal for goal in result["goals"] or ()}
    whole = {**result, "goals": by_goal, "qualityNotes": len(result["quality"])}
    return {name: _typed(_at(whole, path), COLUMNS[name]) for name, path in _PATHS.items()}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value is None:
            return None
        value = value.get(name)
    return value


def _typed(value: Any, kind: type) -> Any:
    if value is None:
        return None
    return date.fromisoformat(value) if kind is date else kind(value)
