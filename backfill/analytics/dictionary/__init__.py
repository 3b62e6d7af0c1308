"""The data dictionary: the definition of every column of the dataset and every field of the analytics results.

It is the single table from which the dataset takes its columns and their types, and from which docs/data-dictionary.md
and `GET /api/dictionary` are generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backfill.analytics.dictionary.club_columns import CLUB_COLUMNS, CLUBS, GOAL_MEANINGS, HEAD
from backfill.analytics.dictionary.district_fields import DISTRICT_FIELDS, POINT, QUALITY
from backfill.analytics.dictionary.entries import (
    Entry,
    ResultKind,
    Table,
    Unit,
    ValueType,
    column_of,
    count,
    snake_case,
)
from backfill.analytics.dictionary.unit_fields import AREA_FIELDS, DIVISION_FIELDS
from backfill.analytics.dictionary.world_fields import RESULT_HEAD, TOTAL_FIELDS, WORLD_FIELDS, series_fields

__all__ = ["COLUMNS", "FIELDS", "FLAT_FIELDS", "HEAD", "Entry", "ResultKind", "Table", "Unit", "ValueType"]

FIELDS: Mapping[ResultKind, tuple[Entry, ...]] = {
    ResultKind.DISTRICT: DISTRICT_FIELDS,
    ResultKind.WORLD: WORLD_FIELDS,
    ResultKind.SERIES: series_fields(POINT),
}
"""The fields of each kind of result, in the order of the result."""


def _scalars(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.type not in {ValueType.OBJECT, ValueType.ARRAY})


def _flat() -> tuple[Entry, ...]:
    """Each goal has fields of its own. The point, which repeats figures, has none."""
    flat: list[Entry] = []
    for entry in _scalars(DISTRICT_FIELDS):
        if entry.name.startswith("goals[].") and entry.name != "goals[].goal":
            continue
        if entry.name == "goals[].goal":
            flat += [each for place in range(1, len(GOAL_MEANINGS) + 1) for each in _goal(place)]
        elif "[]" not in entry.name and not entry.name.startswith("point."):
            flat.append(entry)
    return (*flat, count("qualityNotes", Unit.NOTES, "The number of quality notes."))


def _goal(place: int) -> tuple[Entry, Entry]:
    requirement, columns = GOAL_MEANINGS[place - 1]
    achieved, share = (entry for entry in DISTRICT_FIELDS if entry.name in {"goals[].achieved", "goals[].percent"})
    source = f"{CLUBS}: {columns}"
    return (
        replace(
            achieved,
            name=f"goals.{place}.achieved",
            meaning=f"Open clubs that have met goal {place}: {requirement}.",
            source=source,
        ),
        replace(
            share,
            name=f"goals.{place}.percent",
            meaning=f"Open clubs that have met goal {place} / open clubs, rounded to one digit.",
            source=source,
        ),
    )


FLAT_FIELDS = _flat()
"""The single values of a district's result, by dotted names: `goals.3.achieved` is of the third goal."""

_VERSION = tuple(column_of(entry) for entry in RESULT_HEAD if entry.name in {"sourceHash", "schemaVersion"})
_IN_PATH = {"programYear", *(entry.field for entry in HEAD)}
"""The fields that are in the path of a file or in the head of every table."""


def _columns(fields: tuple[Entry, ...], prefix: str, names: Mapping[str, str]) -> tuple[Entry, ...]:
    """The columns of fields below `prefix`; `names` has those that are not the snake case of their path."""
    by_path = {entry.name.removeprefix(prefix): entry for entry in _scalars(fields)}
    return tuple(column_of(entry, names.get(path) or snake_case(path)) for path, entry in by_path.items())


_LEVELS = {"reported": "reported_level", "qualifying": "qualifying_level"}

COLUMNS: Mapping[Table, tuple[Entry, ...]] = {
    Table.CLUBS: (*HEAD, *CLUB_COLUMNS),
    Table.DISTRICTS: (*HEAD, *(column_of(entry) for entry in FLAT_FIELDS if entry.name not in _IN_PATH)),
    Table.DIVISIONS: (*HEAD, *_columns(DIVISION_FIELDS, "divisions[].", {"id": "division", **_LEVELS})),
    Table.AREAS: (*HEAD, *_columns(AREA_FIELDS, "areas[].", {"id": "area_id", **_LEVELS})),
    Table.WORLD: (
        *(entry for entry in HEAD if entry.name != "district_id"),
        *_VERSION,
        *_columns(TOTAL_FIELDS, "totals.", {}),
    ),
    Table.QUALITY: (*HEAD, *_columns(QUALITY, "quality[].", {})),
}
"""The columns of each table of the dataset. The program year is part of the path of the files."""
