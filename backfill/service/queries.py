"""The reader's verbs: what was collected, what was computed of it, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

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
    ResultFacts,
    Snapshot,
    SnapshotFacts,
    SnapshotFilter,
    covered_days,
    covered_months,
    district_order,
    gaps,
    month_end_of,
)
from backfill.errors import AnalyticsNotFound, InvalidDateRange, SnapshotNotFound
from backfill.storage import Page, Storage

LONGEST_COVERAGE = timedelta(days=1100)
"""Of days; of months there may be as many as there are."""

_USUAL_COVERAGE = timedelta(days=364)
"""From the first day to the last."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """A range by months, and the closes that are missing in it, largest gap first."""

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
    """What is to be taken out; None and no districts stand for all."""

    first: date | None = None
    last: date | None = None
    districts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise InvalidDateRange(
                {"from": [f"The first day ({self.first}) must not be after the last ({self.last})."]}
            )

    @property
    def ends(self) -> tuple[date, date]:
        return self.first or FIRST_DAY, self.last or date.max

    def holds(self, district: str) -> bool:
        return not self.districts or district in self.districts


@dataclass(frozen=True, slots=True)
class Series:
    """The trend of a district over a program year."""

    district: str
    program_year: ProgramYear
    points: list[Point]


@dataclass(frozen=True, slots=True)
class HistoryQueries:
    storage: Storage

    # Snapshots.

    def snapshot(self, day: date, district: str) -> Snapshot:
        """With the exact bytes of its reports."""
        snapshot = self.storage.snapshots.get(day, district)
        if snapshot is None:
            raise SnapshotNotFound(
                f"Nothing is stored for {district} on {day}. A data-collection job over that date "
                "collects it, where the dashboard has it."
            )
        return snapshot

    def rows(self, snapshot: Snapshot) -> list[dict[str, str]]:
        """The rows of a district's club report, or of the summary, under the report's own column names."""
        name = ReportName.SUMMARY if snapshot.district == SUMMARY else ReportName.CLUBS
        return rows_as_objects(snapshot.reports[name].content)

    def page(self, wanted: SnapshotFilter, *, limit: int, offset: int) -> Page[Snapshot]:
        return self.storage.snapshots.page(wanted, limit=limit, offset=offset)

    def facts(self, wanted: Selection) -> Iterator[SnapshotFacts]:
        """Without the reports, by date and district."""
        return (facts for facts in self.storage.snapshots.metadata(*wanted.ends) if wanted.holds(facts.district))

    # Results.

    def result_facts(self, wanted: Selection) -> Iterator[ResultFacts]:
        """Without the figures, by date and district."""
        return (facts for facts in self.storage.results.metadata(*wanted.ends) if wanted.holds(facts.district))

    def result(self, day: date, district: str) -> Result:
        """Of a district, or of the world (`all`). Raises AnalyticsNotFound, which says how to get there."""
        result = self.storage.results.get(day, district)
        if result is None:
            raise self._no_result(day, district)
        return result

    def series(self, district: str, year: ProgramYear | None = None) -> Series:
        """Oldest first; of the newest program year with results where none is named. Raises AnalyticsNotFound."""
        wanted = year or next(self.storage.results.years(district), None)
        points = self.storage.results.series(district, wanted) if wanted else []
        if wanted is None or not points:
            of_year = f" of {wanted}" if wanted else ""
            raise AnalyticsNotFound(
                f"There are no analytics of district {district}{of_year}. Start an analytics-generation job over those "
                "dates; what it computes from must have been collected before."
            )
        return Series(district, wanted, points)

    def years(self, district: str) -> Iterator[ProgramYear]:
        """The program years with results of a district, or of the world (`all`), newest first."""
        return self.storage.results.years(district)

    def result_dates(self, district: str, year: ProgramYear) -> list[date]:
        """The dates of a program year for which a district, or the world, has a result of the stored snapshot."""
        first = date(year.start, 7, 1)
        return [day.date for day in self.storage.snapshots.days(first, year.close) if district in day.analysed]

    def _no_result(self, day: date, district: str) -> AnalyticsNotFound:
        name = "the world" if district == SUMMARY else f"district {district}"
        stored = next(
            (facts for facts in self.storage.snapshots.metadata(day, day) if facts.district == district), None
        )
        first = "" if stored else "its snapshot is not collected yet: first a data-collection job over that date, then "
        return AnalyticsNotFound(
            f"There are no analytics of {name} on {day}; {first}an analytics-generation job makes them: "
            f"manage.py backfill start --type analytics-generation --from {day} --to {day}"
        )

    # Coverage.

    def districts(self) -> list[str]:
        """Every district that the calendar knows as far as it is stored, in order; none before the first plan."""
        months = self.storage.calendars.months(FIRST_DAY, date.max)
        return sorted({district for month in months for district in month.districts}, key=district_order)

    def days(self, first: date | None, last: date | None, today: date) -> Iterator[CoveredDay]:
        """Each date of a range; the year up to its last day, or to yesterday, where no first day is given.

        Raises InvalidDateRange.
        """
        yesterday = today - timedelta(days=1)
        year_before = max(min(last or yesterday, today) - _USUAL_COVERAGE, FIRST_DAY)
        begin, end = _range(first, last, today, usual=(year_before, yesterday))
        if end - begin > LONGEST_COVERAGE:
            raise InvalidDateRange(
                {"from": [f"At most {LONGEST_COVERAGE.days:,} days are answered at once; ask for the rest separately."]}
            )
        calendar = self.storage.calendars.months(begin.replace(day=1) - timedelta(days=1), month_end_of(end))
        return covered_days(begin, end, calendar, self.storage.snapshots.days(begin, end))

    def coverage(self, first: date | None, last: date | None, today: date, districts: Collection[str] = ()) -> Coverage:
        """Whole months, as far as anything is stored where no range is given; of all districts where none is named."""
        begin, end = _range(first, last, today, usual=self.storage.snapshots.span() or (today, today))
        begin, end = begin.replace(day=1), month_end_of(end)
        calendar, stored = self.storage.calendars.months(begin, end), self.storage.snapshots.days(begin, end)
        months = covered_months(begin, end, calendar, stored, today=today, districts=districts)
        return Coverage(begin, end, months, gaps(months))


def _range(first: date | None, last: date | None, today: date, *, usual: tuple[date, date]) -> tuple[date, date]:
    """Both ends, as far as today. Raises InvalidDateRange."""
    begin = first or min(usual[0], last or usual[0])
    end = min(last or max(usual[1], begin), today)
    if begin < FIRST_DAY or begin > today:
        raise InvalidDateRange(
            {"from": [f"The first day must be from {FIRST_DAY} to today ({today}); it was {begin}."]}
        )
    if begin > end:
        raise InvalidDateRange({"from": [f"The first day ({begin}) must not be after the last ({end})."]})
    return begin, end
