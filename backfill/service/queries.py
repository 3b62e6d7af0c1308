"""Queries of snapshots, results and coverage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Unpack

from backfill.dashboard.reports import rows_as_objects
from backfill.domain import (
    FIRST_DAY,
    SUMMARY,
    CoveredDay,
    CoveredMonth,
    Gap,
    Point,
    ProgramYear,
    ReportName,
    Result,
    ResultMetadata,
    Snapshot,
    SnapshotFilter,
    SnapshotMetadata,
    covered_days,
    covered_months,
    district_order,
    gaps,
    month_end_of,
)
from backfill.errors import AnalyticsNotFound, InvalidDateRange, SnapshotNotFound
from backfill.service.changes import ChangeQueries
from backfill.service.pagination import ListPage, Pagination, read_snapshots
from backfill.storage import Storage

MAX_COVERAGE = timedelta(days=1100)
"""The longest range of the coverage by day; the coverage by month has no limit."""

_DEFAULT_COVERAGE = timedelta(days=364)
"""The range of the coverage by day if no first day is given."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The months of a range, and its gaps, largest first."""

    first: date
    last: date
    months: list[CoveredMonth]
    gaps: list[Gap]

    @property
    def unknown_months(self) -> list[date]:
        """The ends of the months whose calendar is not known, oldest first."""
        return [month.month_end for month in self.months if month.is_unknown]


@dataclass(frozen=True, slots=True)
class Selection:
    """The dates and districts to export. None and an empty set select all."""

    first: date | None = None
    last: date | None = None
    districts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise InvalidDateRange(
                {"from": [f"The first day ({self.first}) must not be after the last ({self.last})."]}
            )

    @property
    def bounds(self) -> tuple[date, date]:
        return self.first or FIRST_DAY, self.last or date.max

    def includes(self, district: str) -> bool:
        return not self.districts or district in self.districts


@dataclass(frozen=True, slots=True)
class Series:
    """The points of a district in a program year, oldest first."""

    district: str
    program_year: ProgramYear
    points: list[Point]


@dataclass(frozen=True, slots=True)
class HistoryQueries:
    storage: Storage

    # Snapshots.

    def snapshot(self, day: date, district: str) -> Snapshot:
        """Return a snapshot with the exact bytes of its reports. Raises SnapshotNotFound."""
        snapshot = self.storage.snapshots.get(day, district)
        if snapshot is None:
            raise SnapshotNotFound(
                f"No snapshot is stored for {district} on {day}. A data-collection job over that date collects it if "
                "the dashboard has published it."
            )
        return snapshot

    def rows(self, snapshot: Snapshot) -> list[dict[str, str]]:
        """Return the rows of a district's club report, or of the summary, by the column names of the report."""
        name = ReportName.SUMMARY if snapshot.district == SUMMARY else ReportName.CLUBS
        return rows_as_objects(snapshot.reports[name].content)

    def page(self, wanted: SnapshotFilter, **pagination: Unpack[Pagination]) -> ListPage[Snapshot]:
        """Return snapshots by date and district, without their reports. Raises InvalidRequest for a wrong cursor."""
        return read_snapshots(self.storage.snapshots, wanted, **pagination)

    def snapshot_metadata(self, wanted: Selection) -> Iterator[SnapshotMetadata]:
        """Yield the metadata of snapshots by date and district."""
        return (row for row in self.storage.snapshots.metadata(*wanted.bounds) if wanted.includes(row.district))

    def snapshots(self, day: date, districts: Collection[str]) -> Mapping[str, Snapshot]:
        """Return the snapshots of districts on a date, without those that are missing or unreadable."""
        return self.storage.snapshots.get_several(day, districts)

    # Results.

    def result_metadata(self, wanted: Selection) -> Iterator[ResultMetadata]:
        """Yield the metadata of results by date and district."""
        return (row for row in self.storage.results.metadata(*wanted.bounds) if wanted.includes(row.district))

    def result(self, day: date, district: str) -> Result:
        """Return the result of a district, or of the world (`all`).

        Raises AnalyticsNotFound, whose message names the job that computes it.
        """
        result = self.storage.results.get(day, district)
        if result is None:
            raise self._no_result(day, district)
        return result

    def results(self, day: date, districts: Collection[str]) -> Mapping[str, Result]:
        """Return the results of districts on a date, without those that are missing or unreadable."""
        return self.storage.results.get_several(day, districts)

    def series(self, district: str, year: ProgramYear | None = None) -> Series:
        """Return the series of a program year; the default is the newest with results. Raises AnalyticsNotFound."""
        wanted = year or next(self.storage.results.years(district), None)
        points = self.storage.results.series(district, wanted) if wanted else []
        if wanted is None or not points:
            of_year = f" of {wanted}" if wanted else ""
            raise AnalyticsNotFound(
                f"There are no analytics of district {district}{of_year}. Collect the snapshots of those dates, then "
                "start an analytics-generation job."
            )
        return Series(district, wanted, points)

    def years(self, district: str) -> Iterator[ProgramYear]:
        """Yield the program years with results of a district, or of the world (`all`), newest first."""
        return self.storage.results.years(district)

    def result_dates(self, district: str, year: ProgramYear) -> list[date]:
        """Return the dates of a program year with an up-to-date result of a district, or of the world (`all`)."""
        first = date(year.start, 7, 1)
        return [day.date for day in self.storage.snapshots.days(first, year.close) if district in day.analysed]

    def _no_result(self, day: date, district: str) -> AnalyticsNotFound:
        name = "the world" if district == SUMMARY else f"district {district}"
        is_collected = any(row.district == district for row in self.storage.snapshots.metadata(day, day))
        first = "" if is_collected else "Its snapshot is not stored: first start a data-collection job over that date. "
        return AnalyticsNotFound(
            f"There are no analytics of {name} on {day}. {first}To compute them, run: "
            f"manage.py backfill start --type analytics-generation --from {day} --to {day}"
        )

    # Changes.

    @property
    def changes(self) -> ChangeQueries:
        return ChangeQueries(self.storage)

    # Coverage.

    def districts(self) -> list[str]:
        """Return the districts of all stored calendar months, in district order; none before the first plan."""
        months = self.storage.calendars.months(FIRST_DAY, date.max)
        return sorted({district for month in months for district in month.districts}, key=district_order)

    def days(self, first: date | None, last: date | None, today: date) -> Iterator[CoveredDay]:
        """Return the coverage of each date of a range. Raises InvalidDateRange.

        `last` defaults to yesterday, `first` to one year before `last`.
        """
        yesterday = today - timedelta(days=1)
        year_before = max(min(last or yesterday, today), FIRST_DAY + _DEFAULT_COVERAGE) - _DEFAULT_COVERAGE
        begin, end = _range(first, last, today, usual=(year_before, yesterday))
        if end - begin > MAX_COVERAGE:
            raise InvalidDateRange(
                {"from": [f"The range must not exceed {MAX_COVERAGE.days:,} days; request the rest separately."]}
            )
        calendar = self.storage.calendars.months(begin.replace(day=1) - timedelta(days=1), month_end_of(end))
        return covered_days(begin, end, calendar, self.storage.snapshots.days(begin, end))

    def coverage(self, first: date | None, last: date | None, today: date, districts: Collection[str] = ()) -> Coverage:
        """Return the coverage of whole months. Raises InvalidDateRange.

        The default range contains all stored snapshots; with a first day only, it ends today. No districts means all
        districts.
        """
        usual = self.storage.snapshots.span() or (today, today)
        begin, end = _range(first, last or (today if first else None), today, usual=usual)
        begin, end = begin.replace(day=1), month_end_of(end)
        calendar, stored = self.storage.calendars.months(begin, end), self.storage.snapshots.days(begin, end)
        months = covered_months(begin, end, calendar, stored, today=today, districts=districts)
        return Coverage(begin, end, months, gaps(months))


def _range(first: date | None, last: date | None, today: date, *, usual: tuple[date, date]) -> tuple[date, date]:
    """Return the first and last day, at most today, with defaults from `usual`. Raises InvalidDateRange."""
    begin = first or min(usual[0], last or usual[0])
    end = min(last or max(usual[1], begin), today)
    if begin < FIRST_DAY or begin > today:
        raise InvalidDateRange(
            {"from": [f"The first day must be from {FIRST_DAY} to today ({today}); it was {begin}."]}
        )
    if begin > end:
        raise InvalidDateRange({"from": [f"The first day ({begin}) must not be after the last ({end})."]})
    return begin, end
