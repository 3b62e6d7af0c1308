"""The plan of a collection: cadence, published dates and stored snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import (
    SUMMARY,
    Cadence,
    CalendarMonth,
    JobConfig,
    Plan,
    ProgramYear,
    SkipReason,
    StoredEdition,
    calendar_ends,
    is_month_end,
    month_end_of,
    month_ends,
)
from backfill.domain.job_config import cadence_dates
from backfill.errors import InvalidRequest
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.handler import CollectionHandler
from backfill.job_types.collection.plan import collection_plan
from backfill.storage.serialization.packing import pack_plan, unpack_plan
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW, ScriptedDashboard, a_calendar_reader, a_month, a_snapshot
from tests.unit.virtual_clock import VirtualClock

DECEMBER = a_month(date(2023, 12, 31), date(2024, 1, 5))
JANUARY = a_month(date(2024, 1, 31), date(2024, 1, 30), date(2024, 2, 9))
FEBRUARY = a_month(date(2024, 2, 29), date(2024, 2, 20), date(2024, 2, 22), date(2024, 3, 8), is_closed=False)


def plan_of(
    first: date,
    last: date,
    *months: CalendarMonth,
    stored: tuple[StoredEdition, ...] = (),
    cadence: Cadence = Cadence.DAILY,
    districts: tuple[str, ...] = (),
    skip_existing: bool = True,
) -> Plan:
    config = JobConfig(
        start_date=first, end_date=last, cadence=cadence, target_districts=districts, skip_existing=skip_existing
    )
    return collection_plan(config, first, last, months, stored)


def stored_on(day: date, as_of: date, *districts: str, is_final: bool) -> StoredEdition:
    return StoredEdition(date=day, as_of=as_of, is_final=is_final, job_id=uuid4(), districts=frozenset(districts))


# Dates.


@given(st.dates(date(2008, 7, 1), date(2030, 1, 1)), st.integers(0, 2000))
def test_each_cadence_selects_its_days(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    days = list(cadence_dates(first, last, Cadence.DAILY))
    assert days == [first + timedelta(days=n) for n in range(length + 1)]
    ends = [day for day in days if is_month_end(day)]
    assert list(cadence_dates(first, last, Cadence.MONTH_ENDS)) == ends
    assert list(cadence_dates(first, last, Cadence.YEAR_ENDS)) == [
        day for day in ends if day == ProgramYear.of(day).close
    ]


def test_a_range_without_a_month_end_has_no_month_end_dates() -> None:
    assert list(cadence_dates(date(2024, 1, 1), date(2024, 1, 30), Cadence.MONTH_ENDS)) == []


# Items.


def test_each_published_day_has_items_for_the_summary_and_all_districts_in_order() -> None:
    """R2.2"""
    january = replace(JANUARY, districts=("F", "100", "02"))
    plan = plan_of(date(2024, 1, 30), date(2024, 1, 31), january)
    assert [(day.date, day.districts) for day in plan.days] == [
        (date(2024, 1, 30), (SUMMARY, "02", "100", "F")),
        (date(2024, 1, 31), (SUMMARY, "02", "100", "F")),
    ]
    assert plan.requests == 2 * (1 + 3 * 3)


def test_a_month_end_stands_for_the_close_and_the_day_before_for_itself() -> None:
    own, close = plan_of(date(2024, 1, 30), date(2024, 1, 31), JANUARY).days
    assert own.edition is not None
    assert close.edition is not None
    assert (own.edition.as_of, own.edition.is_final) == (date(2024, 1, 30), False)
    assert (close.edition.as_of, close.edition.is_final) == (date(2024, 2, 9), True)


def test_unpublished_days_have_no_items_but_are_counted() -> None:
    """R11.2"""
    plan = plan_of(date(2024, 1, 30), date(2024, 2, 28), JANUARY, FEBRUARY)
    assert [day.date for day in plan.days] == [
        date(2024, 1, 30),
        date(2024, 1, 31),
        date(2024, 2, 9),
        date(2024, 2, 20),
        date(2024, 2, 22),
    ]
    assert plan.unpublished_dates == 25


def test_a_day_early_in_a_month_has_the_figures_of_the_closing_month() -> None:
    plan = plan_of(date(2024, 2, 1), date(2024, 2, 19), JANUARY, FEBRUARY)
    (day,) = plan.days
    assert day.edition is not None
    assert (day.date, day.edition.month_end, day.edition.as_of) == (
        date(2024, 2, 9),
        date(2024, 1, 31),
        date(2024, 2, 9),
    )
    assert not day.edition.is_final  # the close is stored under the last day of the month
    assert plan.unpublished_dates == 18


def test_a_day_early_in_july_has_the_districts_of_the_previous_program_year() -> None:
    june = a_month(date(2023, 6, 30), date(2023, 7, 5), date(2023, 7, 20), districts=("01", "51"), is_archived=True)
    july = a_month(date(2023, 7, 31), date(2023, 7, 25), districts=("01", "87"))
    old, new = (
        plan_of(date(2023, 7, 4), date(2023, 7, 24), june, july).days[0],
        plan_of(date(2023, 7, 21), date(2023, 7, 30), june, july).days[0],
    )
    assert (old.date, old.districts, old.edition and old.edition.is_archived) == (
        date(2023, 7, 5),
        (SUMMARY, "01", "51"),
        True,
    )
    assert (new.date, new.districts) == (date(2023, 7, 25), (SUMMARY, "01", "87"))


@given(st.dates(date(2012, 7, 1), date(2020, 6, 1)), st.integers(0, 500))
def test_every_published_day_of_a_daily_calendar_is_planned(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    months, day = [], date(2012, 6, 1)
    for end in month_ends(date(2012, 5, 1), last):
        close = end + timedelta(days=1 + end.month)
        months.append(a_month(end, *(day + timedelta(days=n) for n in range((close - day).days + 1))))
        day = close + timedelta(days=1)
    needed = {end for day in cadence_dates(first, last, Cadence.DAILY) for end in calendar_ends(day)}
    plan = plan_of(first, last, *(month for month in months if month.month_end in needed))
    assert (len(plan.days), plan.unpublished_dates) == (length + 1, 0)


def test_an_unpublished_month_has_no_items() -> None:
    plan = plan_of(date(2024, 1, 1), date(2024, 1, 31), a_month(date(2024, 1, 31), districts=()))
    assert (plan.days, plan.unpublished_dates, plan.requests) == ((), 31, 0)


def test_only_the_month_ends_of_a_range_are_planned() -> None:
    plan = plan_of(date(2024, 1, 1), date(2024, 2, 29), JANUARY, FEBRUARY, cadence=Cadence.MONTH_ENDS)
    assert [day.date for day in plan.days] == [date(2024, 1, 31), date(2024, 2, 29)]
    assert plan.unpublished_dates == 0


def test_the_june_of_a_closed_year_is_planned_with_its_blank_close() -> None:
    june = a_month(date(2023, 6, 30), date(2023, 7, 20), is_archived=True, has_blank_close=True)
    (day,) = plan_of(
        date(2023, 1, 1),
        date(2023, 6, 30),
        *(a_month(end, date(2023, 12, 1)) for end in month_ends(date(2023, 1, 1), date(2023, 5, 31))),
        june,
        cadence=Cadence.YEAR_ENDS,
    ).days
    assert day.edition is not None
    assert (day.edition.asks_blank, day.edition.as_of, day.edition.is_archived) == (True, date(2023, 7, 20), True)


def test_each_year_has_the_districts_of_its_own_calendar() -> None:
    june = a_month(date(2023, 6, 30), date(2023, 7, 20), districts=("01", "51"))
    july = a_month(date(2023, 7, 31), date(2023, 8, 9), districts=("01", "87"))
    old, new = plan_of(date(2023, 6, 1), date(2023, 7, 31), june, july, cadence=Cadence.MONTH_ENDS).days
    assert (old.districts, new.districts) == ((SUMMARY, "01", "51"), (SUMMARY, "01", "87"))


def test_target_districts_limit_the_districts_and_keep_the_summary() -> None:
    plan = plan_of(date(2024, 1, 31), date(2024, 1, 31), JANUARY, districts=("02", "77"))
    assert plan.days[0].districts == (SUMMARY, "02")
    assert plan.requests == 1 + 3


# Stored snapshots.

ALL = (SUMMARY, "01", "02", "F")


def test_stored_snapshots_are_expected_to_be_skipped_without_a_request() -> None:
    """R11.2"""
    stored = stored_on(date(2024, 1, 31), date(2024, 2, 9), SUMMARY, "01", "99", is_final=True)
    plan = plan_of(date(2024, 1, 31), date(2024, 1, 31), JANUARY, stored=(stored,))
    assert (plan.total_items, plan.skipped, plan.requests) == (4, {SkipReason.STORED: 2}, 6)


def test_nothing_is_expected_to_be_skipped_if_stored_items_are_fetched_again() -> None:
    stored = stored_on(date(2024, 1, 31), date(2024, 2, 9), *ALL, is_final=True)
    plan = plan_of(date(2024, 1, 31), date(2024, 1, 31), JANUARY, stored=(stored,), skip_existing=False)
    assert (plan.skipped, plan.requests) == ({}, 1 + 9)


@pytest.mark.parametrize(
    ("month", "stored", "skipped"),
    [
        (JANUARY, stored_on(date(2024, 1, 31), date(2024, 2, 9), *ALL, is_final=True), 4),
        (JANUARY, stored_on(date(2024, 1, 31), date(2024, 2, 9), *ALL, is_final=False), 0),  # has become final
        (JANUARY, stored_on(date(2024, 1, 31), date(2024, 2, 8), *ALL, is_final=True), 0),  # an older as-of date
        (FEBRUARY, stored_on(date(2024, 2, 29), date(2024, 3, 8), *ALL, is_final=False), 0),  # not final yet
        (FEBRUARY, stored_on(date(2024, 2, 20), date(2024, 2, 20), *ALL, is_final=False), 4),  # a day does not change
    ],
)
def test_a_stored_snapshot_is_skipped_only_if_the_dashboard_has_no_newer_one(
    month: CalendarMonth,
    stored: StoredEdition,
    skipped: int,
) -> None:
    plan = plan_of(stored.date, stored.date, month, stored=(stored,))
    assert plan.skipped_items == skipped


def test_snapshots_of_other_days_do_not_count() -> None:
    stored = (
        stored_on(date(2024, 1, 2), date(2024, 1, 2), *ALL, is_final=False),
        stored_on(date(2024, 1, 30), date(2024, 1, 30), "01", is_final=False),
    )
    plan = plan_of(date(2024, 1, 1), date(2024, 1, 31), JANUARY, stored=stored)
    assert plan.skipped == {SkipReason.STORED: 1}


def test_a_date_stored_by_several_jobs_is_counted_once_per_district() -> None:
    day, as_of = date(2024, 1, 31), date(2024, 2, 9)
    stored = (
        stored_on(day, as_of, SUMMARY, "01", is_final=True),
        stored_on(day, as_of, "01", "02", is_final=True),
    )
    assert plan_of(day, day, JANUARY, stored=stored).skipped_items == 3


# The handler.


def collection(storage: MemoryStorage) -> tuple[CollectionHandler, ScriptedDashboard]:
    dashboard = ScriptedDashboard()
    calendars = Calendars(dashboard, storage.calendars)
    reader = a_calendar_reader(storage, calendars, clock=VirtualClock.at())
    return CollectionHandler(dashboard, storage, calendars, reader, now=lambda: NOW), dashboard


def test_a_plan_is_computed_from_the_stored_calendar_without_a_request() -> None:
    storage = MemoryStorage()
    storage.calendars.save(DECEMBER)
    storage.calendars.save(JANUARY)
    storage.snapshots.put(a_snapshot(date(2024, 1, 31), "01"))
    handler, dashboard = collection(storage)
    plan = handler.plan(JobConfig(start_date=date(2024, 1, 30), end_date=date(2024, 1, 31)), NOW)
    assert (plan.total_items, plan.skipped) == (8, {SkipReason.STORED: 1})
    assert dashboard.page_requests == []


def test_an_unknown_district_is_refused_by_name() -> None:
    storage = MemoryStorage()
    storage.calendars.save(DECEMBER)
    storage.calendars.save(JANUARY)
    handler, _ = collection(storage)
    config = JobConfig(start_date=date(2024, 1, 30), end_date=date(2024, 1, 31), target_districts=("01", "77", "78"))
    with pytest.raises(InvalidRequest, match=r"no district 77, 78 between 2024-01-30 and 2024-01-31") as raised:
        handler.plan(config, NOW)
    assert set(raised.value.details or ()) == {"targetDistricts"}


def test_a_district_of_only_one_of_the_years_is_accepted() -> None:
    storage = MemoryStorage()
    storage.calendars.save(a_month(date(2023, 6, 30), date(2023, 7, 20), districts=("01", "51")))
    storage.calendars.save(a_month(date(2023, 7, 31), date(2023, 8, 9), districts=("01",)))
    handler, _ = collection(storage)
    plan = handler.plan(
        JobConfig(
            start_date=date(2023, 6, 30),
            end_date=date(2023, 7, 31),
            target_districts=("51",),
            cadence=Cadence.MONTH_ENDS,
        ),
        NOW,
    )
    assert [day.districts for day in plan.days] == [(SUMMARY, "51"), (SUMMARY,)]


def test_no_request_is_sent_if_no_date_is_planned() -> None:
    handler, dashboard = collection(MemoryStorage())
    config = JobConfig(start_date=date(2024, 1, 1), end_date=date(2024, 1, 30), cadence=Cadence.MONTH_ENDS)
    plan = handler.plan(config, NOW)
    assert plan == Plan(())
    assert dashboard.page_requests == []


def test_a_collection_without_dates_is_refused() -> None:
    """R4.1"""
    handler, _ = collection(MemoryStorage())
    with pytest.raises(InvalidRequest, match="are required"):
        handler.plan(JobConfig(start_date=None, end_date=None), NOW)


def test_a_plan_of_ten_years_and_130_districts_needs_little_memory_and_storage() -> None:
    """R11.2: there are 475,000 items, and a third of them are stored."""
    first, last = date(2013, 7, 1), date(2023, 6, 30)
    groups = {year: tuple(f"{n:02d}" for n in range(1 + year % 3, 131 + year % 3)) for year in range(2013, 2023)}
    months = []
    for before, end in pairwise([date(2013, 6, 30), *month_ends(first, last)]):
        days = tuple(before + timedelta(days=n) for n in range(1, (end - before).days))
        months.append(
            a_month(
                end,
                *days,
                end + timedelta(days=8),
                is_archived=True,
                districts=groups[ProgramYear.of(end).start],
                has_blank_close=end.month == 6,
            )
        )
    stored = (
        stored_on(day, month_end_of(day) + timedelta(days=8), *groups[2013], is_final=is_month_end(day))
        for day in cadence_dates(first, date(2016, 6, 30), Cadence.DAILY)
    )
    plan = plan_of(first, last, *months, stored=tuple(stored))
    assert plan.total_items == 3652 * 131
    assert plan.skipped_items > 100_000
    assert plan.requests == (plan.total_items - 3652 - plan.skipped_items) * 3 + 3652
    assert len({id(day.districts) for day in plan.days}) <= 120
    packed = pack_plan(plan)
    assert len(packed) < 200_000
    assert unpack_plan(packed, "plan").digest == plan.digest
