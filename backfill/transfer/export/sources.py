"""What is taken out: rows of a report, or results, as records under columns and as lines of JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

from backfill.dashboard.reports import ParsedReport, parse
from backfill.domain import SUMMARY, ReportName, Snapshot, normalise_column
from backfill.errors import AnalyticsNotFound, BackfillError, CorruptRecord, DashboardError, SnapshotNotFound
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.export.figures import COLUMNS, figures_of

OnProblem = Callable[[str, BackfillError], None]


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
"""Before the report's own columns."""


class ExportSource(ABC):
    """What cannot be read is told to `on_problem`, once, and left out."""

    def __init__(self, on_problem: OnProblem) -> None:
        self._on_problem = on_problem
        self._told: set[str] = set()

    @abstractmethod
    def columns(self) -> list[Column]:
        """Of every record. May read everything once, one at a time."""

    @abstractmethod
    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        """Values in the order of the columns; None where there is none."""

    @abstractmethod
    def lines(self) -> Iterator[bytes]:
        """Each record as JSON, without its columns being the same as those of others."""

    def tell(self, key: str, problem: BackfillError) -> None:
        if key not in self._told:
            self._told.add(key)
            self._on_problem(key, problem)


class SnapshotSource(ExportSource):
    """The rows of one report of each snapshot, cells as they stand."""

    def __init__(self, history: HistoryQueries, wanted: Selection, report: ReportName, on_problem: OnProblem) -> None:
        super().__init__(on_problem)
        self._history, self._wanted, self._report = history, wanted, report

    def columns(self) -> list[Column]:
        """Every column that any era's report has, in the order in which they come up; case and spaces vary."""
        found: dict[str, str] = {}
        for _, parsed in self._reports():
            for name in parsed.columns:
                found.setdefault(normalise_column(name), name)
        return [*HEAD, *(Column(name, str) for name in found.values())]

    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        names = [normalise_column(column.name) for column in columns[len(HEAD) :]]
        for snapshot, parsed in self._reports():
            at = {normalise_column(name): place for place, name in reversed(list(enumerate(parsed.columns)))}
            places = [at.get(name) for name in names]
            head = _head(snapshot)
            for row in parsed.rows:
                yield [*head, *(None if place is None else row[place] for place in places)]

    def lines(self) -> Iterator[bytes]:
        for snapshot, parsed in self._reports():
            head = dict(zip((column.name for column in HEAD), _head(snapshot), strict=True))
            for row in parsed.rows:
                record = {**head, **dict(zip(parsed.columns, row, strict=True))}
                yield json.dumps(record, ensure_ascii=False, default=str, separators=(",", ":")).encode()

    def _reports(self) -> Iterator[tuple[Snapshot, ParsedReport]]:
        is_summary = self._report is ReportName.SUMMARY
        for facts in self._history.facts(self._wanted):
            if (facts.district == SUMMARY) is not is_summary:
                continue
            key = f"{facts.date}/{facts.district}"
            try:
                snapshot = self._history.snapshot(facts.date, facts.district)
                found = parse(snapshot.reports[self._report].content, subject=f"{self._report} of snapshot {key}")
            except (CorruptRecord, DashboardError, SnapshotNotFound) as exc:
                self.tell(key, exc)
            else:
                yield snapshot, found


def _head(snapshot: Snapshot) -> tuple[date, str, str, str, date, bool]:
    month = snapshot.data_month.isoformat()[:7]
    year = str(snapshot.program_year)
    return (snapshot.date, snapshot.district, year, month, snapshot.as_of, snapshot.is_final)


class ResultSource(ExportSource):
    """The results of districts. JSON lines are the results as they were stored, byte for byte."""

    def __init__(self, history: HistoryQueries, wanted: Selection, on_problem: OnProblem) -> None:
        super().__init__(on_problem)
        self._history, self._wanted = history, wanted

    def columns(self) -> list[Column]:
        return [Column(name, kind) for name, kind in COLUMNS.items()]

    def records(self, columns: list[Column]) -> Iterator[list[Any]]:
        for body in self.lines():
            figures = figures_of(json.loads(body))
            yield [figures[column.name] for column in columns]

    def lines(self) -> Iterator[bytes]:
        for facts in self._history.result_facts(self._wanted):
            if facts.district == SUMMARY:
                continue
            try:
                yield self._history.result(facts.date, facts.district).body
            except (AnalyticsNotFound, CorruptRecord) as exc:
                self.tell(f"{facts.date}/{facts.district}", exc)
