"""The inputs of a program year: its snapshots with current results. They decide what a partition contains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from hashlib import blake2b
from itertools import groupby
from typing import NamedTuple, TypeVar

from backfill.analytics import SCHEMA_VERSION
from backfill.analytics.dictionary import COLUMNS, Table
from backfill.domain import SUMMARY, ProgramYear, ResultMetadata, SnapshotMetadata, district_order
from backfill.domain.digest import stable_digest
from backfill.storage import Storage
from backfill.transfer.dataset.writers import DatasetFormat

VERSION = 1
"""Increase it if rows change although their inputs and columns do not."""

T = TypeVar("T", SnapshotMetadata, ResultMetadata)


class Input(NamedTuple):
    """The snapshot of a district, or of all districts, on a date, and the result that was computed from it."""

    snapshot: SnapshotMetadata
    input_digest: str
    """Of the result."""

    @property
    def text(self) -> str:
        """Changes if the snapshot or the result changes."""
        day, district, data_month, as_of, is_final, content_hash = self.snapshot
        closing = f"{data_month}/{as_of}/{is_final:d}"
        return f"{day}/{district}/{closing}/{content_hash}/{self.input_digest}/{SCHEMA_VERSION}"


class DayInputs(NamedTuple):
    day: date
    inputs: list[Input]
    """In district order; the summary is the first."""
    without_result: int
    """Snapshots without a result of their present content and the present rules."""


def days_of(storage: Storage, year: ProgramYear) -> Iterator[DayInputs]:
    """Yield the dates with figures of a program year, from metadata only.

    The figures of June are also published on dates of July.
    """
    first, last = date(year.start, 7, 1), date(year.start + 1, 7, 31)
    results = _grouped(storage.results.metadata(first, last))
    following = next(results, None)
    for day, snapshots in _grouped(storage.snapshots.metadata(first, last)):
        while following is not None and following[0] < day:
            following = next(results, None)
        stored = {row.district: row for row in following[1]} if following is not None and following[0] == day else {}
        wanted = [row for row in snapshots if ProgramYear.of(row.data_month) == year]
        if wanted:
            yield _day_inputs(day, wanted, stored)


def _day_inputs(day: date, snapshots: list[SnapshotMetadata], results: Mapping[str, ResultMetadata]) -> DayInputs:
    inputs = []
    for snapshot in sorted(snapshots, key=lambda row: (row.district != SUMMARY, district_order(row.district))):
        result = results.get(snapshot.district)
        if (
            result is not None
            and result.source_hash == snapshot.content_hash
            and result.schema_version == SCHEMA_VERSION
        ):
            inputs.append(Input(snapshot, result.input_digest))
    return DayInputs(day, inputs, len(snapshots) - len(inputs))


def _grouped(rows: Iterable[T]) -> Iterator[tuple[date, list[T]]]:
    return ((day, list(group)) for day, group in groupby(rows, key=lambda row: row.date))


class YearInputs:
    """The inputs of a program year in order: their number, and the digests of those of each table."""

    def __init__(self) -> None:
        self._world, self._districts = blake2b(digest_size=16), blake2b(digest_size=16)
        self.count = 0
        self.without_result = 0
        """Snapshots that are left out, because they have no result of their present content."""

    def add(self, one: Input) -> None:
        state = self._world if one.snapshot.district == SUMMARY else self._districts
        state.update(f"{one.text}\n".encode())
        self.count += 1

    def digest(self, table: Table, file_format: DatasetFormat) -> str:
        state = self._world if table is Table.WORLD else self._districts
        columns = [f"{entry.name}:{entry.type}" for entry in COLUMNS[table]]
        return stable_digest(
            {"version": VERSION, "format": str(file_format), "columns": columns, "inputs": state.hexdigest()}
        )


def stored_years(storage: Storage) -> dict[ProgramYear, YearInputs]:
    """The program years with inputs, oldest first, from metadata only. Dates of July can have figures of June."""
    span = storage.snapshots.span()
    if span is None:
        return {}
    first, last = ProgramYear.of(span[0] - timedelta(days=31)), ProgramYear.of(span[1])
    years = {}
    for year in map(ProgramYear, range(first.start, last.start + 1)):
        found = YearInputs()
        for day in days_of(storage, year):
            found.without_result += day.without_result
            for one in day.inputs:
                found.add(one)
        if found.count or found.without_result:
            years[year] = found
    return years
