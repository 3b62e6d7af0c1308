"""The coverage of each date and month, and its gaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from backfill.domain import (
    SUMMARY,
    CalendarMonth,
    Cell,
    CoveredMonth,
    Gap,
    StoredDay,
    covered_days,
    covered_months,
    gaps,
    month_ends,
)
from backfill.errors import InvalidDateRange
from backfill.serializers.coverage import filling_command
from backfill.service.queries import MAX_COVERAGE, HistoryQueries
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import DAY, a_month
from tests.unit.stored_snapshots import a_district, a_summary

TODAY = date(2024, 4, 20)
JANUARY = a_month(DAY, date(2024, 1, 30), date(2024, 2, 9), districts=("01", "02"))


def stored(day: date, snapshots: Iterable[str], final: Iterable[str] = (), analysed: Iterable[str] = ()) -> StoredDay:
    return StoredDay(date=day, snapshots=frozenset(snapshots), final=frozenset(final), analysed=frozenset(analysed))


def month_of(*days: StoredDay, calendar: tuple[CalendarMonth, ...] = (JANUARY,), today: date = TODAY) -> CoveredMonth:
    (month,) = covered_months(DAY.replace(day=1), DAY, calendar, days, today=today)
    return month


# Days


def test_each_date_states_the_coverage_of_each_district() -> None:
    days = [stored(DAY, ["01", "02", SUMMARY], final=["01", "02", SUMMARY], analysed=["01"])]
    cells_on = {day.date: day.cells for day in covered_days(date(2024, 1, 29), DAY, [JANUARY], days)}
    assert cells_on[DAY] == {SUMMARY: Cell.FINAL, "01": Cell.ANALYTICS, "02": Cell.FINAL}
    assert cells_on[date(2024, 1, 30)] == dict.fromkeys((SUMMARY, "01", "02"), Cell.NONE)


def test_a_date_without_published_data_is_unpublished_and_without_a_stored_calendar_unknown() -> None:
    before = a_month(date(2023, 12, 31), date(2024, 1, 5), districts=("01", "02"))
    (known,) = covered_days(date(2024, 1, 29), date(2024, 1, 29), [before, JANUARY], [])
    assert set(known.cells.values()) == {Cell.UNPUBLISHED}
    # The month before may still have been closing, and its calendar is unknown.
    (unknown,) = covered_days(date(2024, 1, 29), date(2024, 1, 29), [JANUARY], [])
    assert set(unknown.cells.values()) == {Cell.UNKNOWN}


def test_a_date_early_in_a_month_belongs_to_the_closing_month() -> None:
    (day,) = covered_days(date(2024, 2, 9), date(2024, 2, 9), [JANUARY], [stored(date(2024, 2, 9), ["01"])])
    assert day.cells == {SUMMARY: Cell.NONE, "01": Cell.SNAPSHOT, "02": Cell.NONE}


def test_a_district_is_unpublished_in_a_year_without_it() -> None:
    july = a_month(date(2024, 7, 31), date(2024, 8, 5), districts=("01", "87"))
    first, *_, last = covered_days(DAY, date(2024, 7, 31), [JANUARY, july], [])
    assert (first.cells["87"], first.cells["02"]) == (Cell.UNPUBLISHED, Cell.NONE)
    assert (last.cells["87"], last.cells["02"]) == (Cell.NONE, Cell.UNPUBLISHED)


# Months


def test_a_month_shows_its_close_and_counts_its_dates() -> None:
    month = month_of(
        stored(date(2024, 1, 30), ["01", "02"], analysed=["02"]),
        stored(DAY, ["01", SUMMARY], final=["01", SUMMARY], analysed=["01"]),
    )
    assert month.cells == {SUMMARY: Cell.FINAL, "01": Cell.ANALYTICS, "02": Cell.SNAPSHOT}
    assert (month.snapshots, month.results) == ({SUMMARY: 1, "01": 2, "02": 1}, {"01": 1, "02": 1})
    assert month.missing == {"02"}
    assert month.unanalysed == 2


def test_a_close_that_was_collected_early_is_missing_after_the_month_has_closed() -> None:
    early = stored(DAY, [SUMMARY, "01", "02"])
    still_open = a_month(DAY, date(2024, 2, 5), districts=("01", "02"), is_closed=False)
    assert month_of(early, calendar=(still_open,), today=date(2024, 2, 6)).missing == frozenset()
    assert month_of(early, calendar=(JANUARY,), today=date(2024, 2, 12)).missing == {SUMMARY, "01", "02"}
    assert month_of(early, calendar=(still_open,), today=DAY + timedelta(days=46)).missing == {SUMMARY, "01", "02"}
    assert month_of(early, calendar=(), today=DAY + timedelta(days=45)).missing == frozenset()


def test_the_current_month_has_no_missing_districts() -> None:
    assert month_of(today=DAY).missing == frozenset()
    assert month_of(today=DAY + timedelta(days=1)).missing == {SUMMARY, "01", "02"}


def test_a_closed_unpublished_month_has_no_missing_districts() -> None:
    empty = a_month(DAY, districts=("01",))
    month = month_of(calendar=(empty, a_month(date(2023, 12, 31), date(2024, 1, 5))))
    assert set(month.cells.values()) == {Cell.UNPUBLISHED}
    assert month.missing == frozenset()


def test_a_month_without_a_stored_calendar_is_unknown_and_nothing_of_it_is_missing() -> None:
    """R9.1"""
    december = a_month(date(2023, 12, 31), date(2024, 1, 5), districts=("01",))
    month = month_of(stored(date(2024, 1, 30), ["01"]), stored(DAY, ["02"]), calendar=(december,))
    assert month.cells == {SUMMARY: Cell.UNKNOWN, "01": Cell.SNAPSHOT, "02": Cell.SNAPSHOT}
    assert month.is_unknown
    assert month.missing == frozenset()
    assert not month_of(calendar=(JANUARY,)).is_unknown


def test_a_calendar_that_was_read_before_a_month_was_published_leaves_it_unknown() -> None:
    def read(day: date) -> CoveredMonth:
        fetched_at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        ahead = a_month(DAY, districts=("01",), is_closed=False, fetched_at=fetched_at)
        return month_of(calendar=(ahead, a_month(date(2023, 12, 31), date(2024, 1, 5), districts=("01",))))

    assert read(date(2023, 12, 20)).is_unknown
    assert set(read(date(2023, 12, 20)).cells.values()) == {Cell.UNKNOWN}
    # Nothing is published after this time: a page without dates is the answer.
    assert not read(DAY + timedelta(days=45)).is_unknown
    assert set(read(DAY + timedelta(days=45)).cells.values()) == {Cell.UNPUBLISHED}
    assert not read(TODAY).is_unknown


def test_dates_after_an_open_calendar_was_read_are_unknown() -> None:
    march = a_month(date(2024, 3, 31), date(2024, 3, 12), districts=("01",), is_closed=False)  # read on 14 March
    february = a_month(date(2024, 2, 29), date(2024, 3, 8), districts=("01",))
    states = {
        day.date.day: day.cells["01"]
        for day in covered_days(date(2024, 3, 12), date(2024, 3, 15), [february, march], [])
    }
    assert states == {12: Cell.NONE, 13: Cell.UNPUBLISHED, 14: Cell.UNKNOWN, 15: Cell.UNKNOWN}


def test_coverage_can_be_limited_to_some_districts() -> None:
    days = [stored(DAY, ["01", "02"], final=["01"])]
    (month,) = covered_months(DAY, DAY, [JANUARY], days, today=TODAY, districts=("02", "77"))
    assert month.cells == {"02": Cell.SNAPSHOT}
    assert month.snapshots == {"02": 1}
    assert month.missing == {"02"}


# Gaps


def month_without(end: date, *districts: str) -> CoveredMonth:
    return CoveredMonth(month_end=end, cells={}, snapshots={}, results={}, missing=frozenset(districts))


def test_consecutive_months_without_the_same_districts_are_one_gap_and_the_largest_is_first() -> None:
    ends = month_ends(date(2023, 1, 1), date(2023, 6, 30))
    months = [
        month_without(ends[0], "91"),
        month_without(ends[1]),
        month_without(ends[2], "F", "02", "10"),
        month_without(ends[3], "10", "F", "02"),
        month_without(ends[4], "02"),
        month_without(ends[5]),
    ]
    assert gaps(months) == [
        Gap(date(2023, 3, 1), date(2023, 4, 30), ("02", "10", "F"), 2),
        Gap(date(2023, 1, 1), date(2023, 1, 31), ("91",), 1),
        Gap(date(2023, 5, 1), date(2023, 5, 31), ("02",), 1),
    ]
    assert [gap.closes for gap in gaps(months)] == [6, 1, 1]


def test_a_gap_states_the_command_that_fills_it() -> None:
    few = Gap(date(2023, 3, 1), date(2023, 4, 30), (SUMMARY, "02", "F"), 2)
    assert filling_command(few) == (
        "manage.py backfill start --from 2023-03-01 --to 2023-04-30 --cadence month-ends --district 02 --district F"
    )
    many = Gap(date(2023, 3, 1), date(2023, 3, 31), tuple(f"{n:02d}" for n in range(1, 60)), 1)
    assert filling_command(many).endswith("--cadence month-ends")


# Queries


def history() -> HistoryQueries:
    storage = MemoryStorage()
    for end in (date(2023, 11, 30), DAY):
        storage.calendars.save(a_month(end, end, districts=("91",)))
    for snapshot in (a_district(), a_summary(), a_district(date(2023, 11, 30))):
        storage.snapshots.rows[snapshot.date, snapshot.district] = snapshot
    return HistoryQueries(storage)


def test_coverage_spans_all_stored_dates_by_default() -> None:
    coverage = history().coverage(None, None, TODAY)
    assert (coverage.first, coverage.last, len(coverage.months)) == (date(2023, 11, 1), DAY, 3)
    assert [gap.closes for gap in coverage.gaps] == [1]
    assert coverage.unknown_months == [date(2023, 12, 31)]
    some = history().coverage(date(2024, 1, 15), date(2024, 2, 3), TODAY)
    assert (some.first, some.last) == (date(2024, 1, 1), date(2024, 2, 29))


def test_coverage_ends_today_if_only_a_first_day_is_given() -> None:
    coverage = history().coverage(date(2024, 1, 15), None, TODAY)
    assert (coverage.first, coverage.last) == (date(2024, 1, 1), date(2024, 4, 30))


def test_coverage_of_an_empty_store_spans_the_current_month() -> None:
    coverage = HistoryQueries(MemoryStorage()).coverage(None, None, TODAY)
    assert (coverage.first, coverage.last, coverage.gaps) == (date(2024, 4, 1), date(2024, 4, 30), [])


def test_days_span_a_year_if_no_first_day_is_given() -> None:
    days = list(history().days(None, None, TODAY))
    assert (days[0].date, days[-1].date) == (date(2023, 4, 21), date(2024, 4, 19))
    assert len(list(history().days(date(2024, 4, 1), None, TODAY))) == 19
    assert [day.date for day in history().days(None, DAY, TODAY)][::364] == [date(2023, 2, 1), DAY]
    assert next(history().days(None, date(2008, 9, 1), TODAY)).date == date(2008, 7, 1)
    assert [day.date for day in history().days(date(2024, 4, 19), date.max, TODAY)] == [date(2024, 4, 19), TODAY]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2024, 2, 1), DAY, r"first day \(2024-02-01\) must not be after the last \(2024-01-31\)"),
        (date(2008, 6, 30), DAY, r"must be from 2008-07-01 to today \(2024-04-20\); it was 2008-06-30"),
        (date.max, date.max, "to today"),
        (DAY - MAX_COVERAGE - timedelta(days=1), DAY, "must not exceed 1,100 days"),
    ],
)
def test_an_invalid_date_range_is_refused(first: date, last: date, message: str) -> None:
    with pytest.raises(InvalidDateRange, match=message):
        history().days(first, last, TODAY)
