"""Turns snapshots and results into rows of the tables, as one list of values per column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from backfill.analytics.dictionary import COLUMNS, Table, ValueType
from backfill.domain import Result, Snapshot
from backfill.errors import ValueOutOfRange
from backfill.job_types.compute.tasks import club_figures_of
from backfill.transfer.export.result_columns import flatten_result, value_at

Chunk = Sequence[Sequence[Any]]
"""The values of each column of a table, in the order of COLUMNS."""

_WIDEST = 2**31 - 1
_INTEGERS = {
    table: [at for at, entry in enumerate(columns) if entry.type is ValueType.INTEGER]
    for table, columns in COLUMNS.items()
}


def district_chunks(snapshot: Snapshot, result: Result) -> dict[Table, Chunk] | None:
    """Return the rows of a district and date; None if the result was computed from another state of the snapshot.

    Raises DashboardError or UnreadableSnapshot if the snapshot is unreadable, and ValueOutOfRange.
    """
    body = json.loads(result.body)
    if not _is_current(body, snapshot):
        return None
    head = _head(body, body["districtId"])
    flat, clubs = flatten_result(body), club_figures_of(snapshot)
    figures = [[flat[entry.field]] for entry in COLUMNS[Table.DISTRICTS][len(head) :]]
    return _checked(
        {
            Table.CLUBS: _chunk(head, list(zip(*clubs, strict=True)), len(clubs)),
            Table.DISTRICTS: _chunk(head, figures, 1),
            Table.DIVISIONS: _rows(Table.DIVISIONS, "divisions[].", head, body["divisions"]),
            Table.AREAS: _rows(Table.AREAS, "areas[].", head, body["areas"]),
            Table.QUALITY: _rows(Table.QUALITY, "quality[].", head, [_note(note) for note in body["quality"]]),
        }
    )


def world_chunk(result: Result) -> dict[Table, Chunk]:
    """Return the row of a date. Raises ValueOutOfRange."""
    body = json.loads(result.body)
    day, _, *rest = _head(body, "")
    head = [day, *rest, body["sourceHash"], body["schemaVersion"]]
    return _checked({Table.WORLD: _rows(Table.WORLD, "totals.", head, [body["totals"]])})


def _is_current(body: Mapping[str, Any], snapshot: Snapshot) -> bool:
    of_result = (body["sourceHash"], body["dataMonth"], body["asOf"], body["isFinal"])
    month, as_of = snapshot.data_month.isoformat()[:7], snapshot.as_of.isoformat()
    return of_result == (snapshot.content_hash, month, as_of, snapshot.is_final)


def _head(body: Mapping[str, Any], district: str) -> list[Any]:
    return [
        date.fromisoformat(body["date"]),
        district,
        body["dataMonth"],
        date.fromisoformat(body["asOf"]),
        body["isFinal"],
    ]


def _rows(table: Table, prefix: str, head: Sequence[Any], lines: Sequence[Mapping[str, Any]]) -> Chunk:
    """Return the rows of objects whose paths, below `prefix`, are the fields of the columns after the head."""
    paths = [tuple(entry.field.removeprefix(prefix).split(".")) for entry in COLUMNS[table][len(head) :]]
    return _chunk(head, [[value_at(line, path) for line in lines] for path in paths], len(lines))


def _chunk(head: Sequence[Any], columns: Chunk, rows: int) -> Chunk:
    return [*([value] * rows for value in head), *columns] if rows else []


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    return {**note, "found": None if note["found"] is None else str(note["found"])}


def _checked(chunks: dict[Table, Chunk]) -> dict[Table, Chunk]:
    for table, chunk in chunks.items():
        for at in _INTEGERS[table] if chunk else ():
            for value in chunk[at]:
                if value is not None and not -_WIDEST <= value <= _WIDEST:
                    raise ValueOutOfRange(
                        f"{COLUMNS[table][at].name} of {table} is {value:,}, which does not fit into 32 bits. Check "
                        "the report on the dashboard, and collect the date again."
                    )
    return chunks
