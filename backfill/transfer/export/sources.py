"""Sources of an export: rows of a report, or results, as records with columns and as lines of JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from backfill.dashboard.reports import ParsedReport, parse
from backfill.domain import SUMMARY, ReportName, Snapshot, normalise_column
from backfill.errors import AnalyticsNotFound, BackfillError, CorruptRecord, DashboardError, SnapshotNotFound
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.export.result_columns import COLUMNS, flatten_result

OnProblem = Callable[[str, BackfillError], None]

_BATCH_SIZE = 50
"""Records that are in memory at a time: a snapshot of a large district has about 150 KB."""


class Column(NamedTuple):
    name: str
    kind: type
    """date, str, int, float or bool."""


HEAD = (
    Column("date", date),
    Column("districtId", str),
    Column("programYear", str),
    Column("dataMonth", str),
    Column("asOf", date),
    Column("isFinal", bool),
)
"""The columns before those of the report."""


class ExportSource(ABC):
    """Skips records that cannot be read and passes each of them to `on_problem` once."""

    def __init__(self, on_problem: OnProblem) -> None:
        self._on_problem = on_problem
        self._reported: set[str] = set()

    @abstractmethod
    def columns(self) -> list[Column]:
        """Return the columns of all records. May read every record once."""

    @abstractmethod
    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        """Yield the values of each record in the order of the columns; None for missing values."""

    @abstractmethod
    def lines(self) -> Iterator[bytes]:
        """Yield each record as JSON with its own columns."""

    def report_problem(self, key: str, problem: BackfillError) -> None:
        if key not in self._reported:
            self._reported.add(key)
            self._on_problem(key, problem)


class SnapshotSource(ExportSource):
    """The rows of one report of each snapshot, with unchanged cells."""

    def __init__(
        self, history: HistoryQueries, selection: Selection, report: ReportName, on_problem: OnProblem
    ) -> None:
        super().__init__(on_problem)
        self._history, self._selection, self._report = history, selection, report

    def columns(self) -> list[Column]:
        """Return the columns of all snapshots in the order of first use. Case and spaces of names are ignored."""
        found: dict[str, str] = {}
        for _, parsed in self._reports():
            for name in parsed.columns:
                found.setdefault(normalise_column(name), name)
        return [*HEAD, *(Column(name, str) for name in found.values())]

    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        names = [normalise_column(column.name) for column in columns[len(HEAD) :]]
        for snapshot, parsed in self._reports():
            index_of = {normalise_column(name): index for index, name in reversed(list(enumerate(parsed.columns)))}
            indexes = [index_of.get(name) for name in names]
            head = _head(snapshot)
            for row in parsed.rows:
                yield [*head, *(None if index is None else row[index] for index in indexes)]

    def lines(self) -> Iterator[bytes]:
        for snapshot, parsed in self._reports():
            head = dict(zip((column.name for column in HEAD), _head(snapshot), strict=True))
            for row in parsed.rows:
                record = {**head, **dict(zip(parsed.columns, row, strict=True))}
                yield json.dumps(record, ensure_ascii=False, default=str, separators=(",", ":")).encode()

    def _reports(self) -> Iterator[tuple[Snapshot, ParsedReport]]:
        is_summary = self._report is ReportName.SUMMARY
        stored = self._history.snapshot_metadata(self._selection)
        wanted = ((row.date, row.district) for row in stored if (row.district == SUMMARY) is is_summary)
        for day, districts in _batches(wanted):
            found = self._history.snapshots(day, districts)
            for district in districts:
                key = f"{day}/{district}"
                try:
                    # Reading an unreadable snapshot again raises the error.
                    snapshot = found.get(district) or self._history.snapshot(day, district)
                    parsed = parse(snapshot.reports[self._report].content, subject=f"{self._report} of snapshot {key}")
                except (CorruptRecord, DashboardError, SnapshotNotFound) as exc:
                    self.report_problem(key, exc)
                else:
                    yield snapshot, parsed


def _head(snapshot: Snapshot) -> tuple[date, str, str, str, date, bool]:
    month = snapshot.data_month.isoformat()[:7]
    year = str(snapshot.program_year)
    return (snapshot.date, snapshot.district, year, month, snapshot.as_of, snapshot.is_final)


class ResultSource(ExportSource):
    """The results of districts. JSON lines are the stored bytes."""

    def __init__(self, history: HistoryQueries, selection: Selection, on_problem: OnProblem) -> None:
        super().__init__(on_problem)
        self._history, self._selection = history, selection

    def columns(self) -> list[Column]:
        return [Column(name, kind) for name, kind in COLUMNS.items()]

    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        for body in self.lines():
            values = flatten_result(json.loads(body))
            yield [values[column.name] for column in columns]

    def lines(self) -> Iterator[bytes]:
        stored = self._history.result_metadata(self._selection)
        for day, districts in _batches((row.date, row.district) for row in stored if row.district != SUMMARY):
            found = self._history.results(day, districts)
            for district in districts:
                try:
                    # Reading an unreadable result again raises the error.
                    yield (found.get(district) or self._history.result(day, district)).body
                except (AnalyticsNotFound, CorruptRecord) as exc:
                    self.report_problem(f"{day}/{district}", exc)


def _batches(keys: Iterable[tuple[date, str]]) -> Iterator[tuple[date, list[str]]]:
    """Group the keys of records, which are in the order of dates. A batch is read with one call of the store."""
    for day, group in groupby(keys, key=itemgetter(0)):
        while batch := [district for _, district in islice(group, _BATCH_SIZE)]:
            yield day, batch
