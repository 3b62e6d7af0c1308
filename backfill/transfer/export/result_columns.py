"""The single values of a district result as columns with dotted names, in a fixed order.

Lists of clubs, divisions, areas and quality notes have no column; `qualityNotes` is the number of notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from backfill.analytics.dictionary import FLAT_FIELDS, ValueType

_KINDS: Mapping[ValueType, type] = {
    ValueType.STRING: str,
    ValueType.DATE: date,
    ValueType.BOOLEAN: bool,
    ValueType.INTEGER: int,
    ValueType.NUMBER: float,
}

COLUMNS: Mapping[str, type] = {entry.name: _KINDS[entry.type] for entry in FLAT_FIELDS}
"""Name to type. All columns but the first eight may be None."""

_PATHS = {name: tuple(name.split(".")) for name in COLUMNS}


def flatten_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of COLUMNS of a result; docs/analytics.md describes the format of results."""
    by_goal = {str(goal["goal"]): goal for goal in result["goals"] or ()}
    whole = {**result, "goals": by_goal, "qualityNotes": len(result["quality"])}
    return {name: _typed(value_at(whole, path), COLUMNS[name]) for name, path in _PATHS.items()}


def value_at(value: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of names; None if one of them is missing or None."""
    for name in path:
        if value is None:
            return None
        value = value.get(name)
    return value


def _typed(value: Any, kind: type) -> Any:
    if value is None:
        return None
    return date.fromisoformat(value) if kind is date else kind(value)
