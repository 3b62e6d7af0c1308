"""The calendar pages that are requested, and the months that are stored from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from backfill.domain import CalendarMonth, ProgramYear, RateLimits, month_ends
from backfill.errors import (
    DashboardUnavailable,
    HtmlPage,
    LocalProblem,
    ServerError,
    StorageUnavailable,
    Throttled,
    TimedOut,
    UnexpectedStatus,
)
from backfill.job_types.collection.calendars import MAX_AGE, Calendars
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import RecordingLimiter, ScriptedDashboard, a_calendar_reader, a_month, a_page
from tests.unit.virtual_clock import VirtualClock

NOW = datetime(2024, 3, 14, 9, 0, tzinfo=UTC)
JANUARY, FEBRUARY, MARCH = date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)
LIVE = (7, 8, 9, 10, 11, 12, 1, 2, 3)


class CalendarScenario:
    """The calendar of a scripted dashboard, and the limiters created for it."""

    def __init__(self) -> None:
        self.storage, self.dashboard = MemoryStorage(), ScriptedDashboard()
        self.limiters: list[RecordingLimiter] = []

    def months(self, wanted: Sequence[date], now: datetime, likely: Sequence[str] = ()) -> list[CalendarMonth]:
        """Read as a preview that starts at this time."""
        clock = VirtualClock.at(now)

        def new_limiter(limits: RateLimits, is_wanted: Callable[[], bool]) -> RecordingLimiter:
            self.limiters.append(RecordingLimiter(self.storage, limits, max_wait=5, is_wanted=is_wanted, clock=clock))
            return self.limiters[-1]

        calendars = Calendars(self.dashboard, self.storage.calendars)
        reader = a_calendar_reader(self.storage, calendars, new_limiter, clock=clock)
        return reader.months(wanted, likely=likely)

    def publish(
        self, month_end: date, *as_of_days: date, is_archived: bool = False, **fields: object
    ) -> CalendarScenario:
        self.dashboard.pages[month_end, is_archived] = [a_page(month_end, *as_of_days, **{"months": LIVE, **fields})]
        return self


def test_a_stored_page_of_a_closed_month_is_never_requested_again() -> None:
    scenario = CalendarScenario()
    stored = a_month(JANUARY, date(2024, 2, 9), fetched_at=NOW - timedelta(days=900))
    scenario.storage.calendars.save(stored)
    assert scenario.months(month_ends(JANUARY, JANUARY), NOW) == [stored]
    assert (scenario.dashboard.page_requests, scenario.limiters) == ([], [])


def test_a_stored_page_of_an_open_month_is_requested_again_after_ten_minutes() -> None:
    scenario = CalendarScenario().publish(MARCH, date(2024, 3, 12), date(2024, 3, 13))
    young = a_month(MARCH, date(2024, 3, 12), is_closed=False, fetched_at=NOW - MAX_AGE + timedelta(seconds=1))
    scenario.storage.calendars.save(young)
    assert scenario.months(month_ends(MARCH, MARCH), NOW) == [young]
    (month,) = scenario.months(month_ends(MARCH, MARCH), NOW + timedelta(seconds=1))
    assert month.as_of_days == (date(2024, 3, 12), date(2024, 3, 13))
    assert scenario.storage.calendars.rows[MARCH] == month
    assert scenario.dashboard.page_requests == [(MARCH, False)]


def test_the_months_of_a_range_are_requested_once_oldest_first_and_stored() -> None:
    """R2.2"""
    scenario = (
        CalendarScenario()
        .publish(JANUARY, date(2024, 2, 9))
        .publish(FEBRUARY, date(2024, 3, 8))
        .publish(MARCH, date(2024, 3, 13))
    )
    months = scenario.months(month_ends(date(2024, 1, 5), date(2024, 3, 1)), NOW)
    assert [month.month_end for month in months] == [JANUARY, FEBRUARY, MARCH]
    assert [month.is_closed for month in months] == [True, True, False]
    assert scenario.dashboard.page_requests == [(JANUARY, False), (FEBRUARY, False), (MARCH, False)]
    assert list(scenario.storage.calendars.rows.values()) == months
    assert (scenario.limiters[0].report().requests_made, scenario.dashboard.home_page_requests) == (4, 1)
    # The reservation is returned.
    assert scenario.storage.control.schedule.free_at(NOW) - NOW < timedelta(seconds=0.5)


def test_a_closed_year_is_requested_from_the_archive() -> None:
    june = date(2022, 6, 30)
    scenario = CalendarScenario().publish(june, date(2022, 7, 20), is_archived=True, has_blank_close=True)
    (month,) = scenario.months(month_ends(june, june), NOW)
    assert scenario.dashboard.page_requests == [(june, True)]
    assert (month.is_archived, month.is_closed, month.has_blank_close) == (True, True, True)


def test_months_that_no_page_of_their_year_lists_are_not_requested() -> None:
    """R11.2: the first year of the dashboard has no figures before a certain month."""
    year = ProgramYear(2008)
    scenario = CalendarScenario()
    for month in (3, 4, 5, 6):
        scenario.publish(year.month_end(month), date(2009, month, 9), is_archived=True, months=(3, 4, 5, 6))
    scenario.dashboard.pages[date(2008, 7, 31), True] = scenario.dashboard.pages[year.month_end(6), True]
    months = scenario.months(month_ends(date(2008, 7, 1), year.close), NOW)
    assert [bool(month.as_of_days) for month in months] == [False] * 8 + [True] * 4
    assert scenario.dashboard.page_requests == [
        (end, True) for end in (date(2008, 7, 31), *(year.month_end(month) for month in (3, 4, 5, 6)))
    ]
    assert len(scenario.storage.calendars.rows) == 12


def test_a_year_that_no_page_lists_has_no_days_and_is_requested_again_later() -> None:
    end, later = date(2010, 1, 31), date(2010, 2, 28)
    scenario = CalendarScenario()
    scenario.dashboard.pages[end, True] = [HtmlPage("It leads to the error page.")]
    scenario.dashboard.pages[end, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2022)))]
    months = scenario.months(month_ends(end, later), NOW)
    assert [(m.as_of_days, m.districts, m.is_closed) for m in months] == [((), (), False)] * 2
    requested = scenario.dashboard.page_requests.copy()
    assert set(requested) == {(end, True), (end, False)}  # and not one for each month of the year
    scenario.months(month_ends(end, later), NOW + MAX_AGE)
    assert scenario.dashboard.page_requests == requested * 2


def test_an_error_page_for_a_listed_year_is_an_error_and_not_a_year_without_figures() -> None:
    end = date(2023, 1, 31)
    scenario = CalendarScenario()
    scenario.dashboard.pages[end, True] = [HtmlPage("It leads to the error page.")]
    scenario.dashboard.pages[end, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2022)))]
    with pytest.raises(DashboardUnavailable, match="The calendar of January 2023 cannot be read: It"):
        scenario.months(month_ends(end, end), NOW)
    assert scenario.storage.calendars.rows == {}
    scenario.dashboard.pages[end, True] = [HtmlPage("It leads to the error page."), a_page(end, date(2023, 2, 8))]
    (month,) = scenario.months(month_ends(end, end), NOW)
    assert month.as_of_days == (date(2023, 2, 8),)


def test_a_new_year_that_is_not_published_yet_has_no_days() -> None:
    """In July the dashboard still shows the year before."""
    july, now = date(2024, 7, 31), datetime(2024, 7, 10, tzinfo=UTC)
    scenario = CalendarScenario()
    scenario.dashboard.pages[july, False] = [a_page(date(2024, 6, 30), date(2024, 7, 9))]
    (month,) = scenario.months(month_ends(july, july), now)
    assert (month.as_of_days, month.is_closed, month.is_archived) == ((), False, False)


def test_in_july_the_previous_year_may_still_be_live() -> None:
    june, now = date(2024, 6, 30), datetime(2024, 7, 10, tzinfo=UTC)
    scenario = CalendarScenario().publish(june, date(2024, 7, 9), months=(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6))
    (month,) = scenario.months(month_ends(june, june), now)
    assert (month.as_of_days, month.is_closed, month.is_archived) == ((date(2024, 7, 9),), False, False)
    assert scenario.dashboard.page_requests == [(june, False)]


def test_in_july_the_previous_year_is_requested_from_the_archive_once_the_new_year_is_live() -> None:
    june, now = date(2024, 6, 30), datetime(2024, 7, 28, tzinfo=UTC)
    scenario = CalendarScenario().publish(june, date(2024, 7, 20), is_archived=True, has_blank_close=True)
    scenario.dashboard.pages[june, False] = [a_page(date(2024, 7, 31), date(2024, 7, 27), months=(7,))]
    (month,) = scenario.months(month_ends(june, june), now)
    assert (month.is_archived, month.has_blank_close) == (True, True)
    assert scenario.dashboard.page_requests == [(june, False), (june, True)]


def test_a_closed_month_of_the_live_year_is_requested_from_the_archive_after_the_year_end() -> None:
    """Otherwise its days would be requested from the live year and always be refused."""
    scenario = CalendarScenario().publish(JANUARY, date(2024, 2, 9))
    scenario.months([JANUARY], NOW)
    scenario.publish(JANUARY, date(2024, 2, 9), is_archived=True)
    for days in (0, 1):
        (month,) = scenario.months([JANUARY], datetime(2024, 8, 1, tzinfo=UTC) + timedelta(days=days))
        assert (month.is_archived, month.is_closed) == (True, True)
    assert scenario.dashboard.page_requests == [(JANUARY, False), (JANUARY, True)]


def test_in_july_a_closed_month_stays_live_until_the_new_year_is_published() -> None:
    scenario = (
        CalendarScenario().publish(JANUARY, date(2024, 2, 9)).publish(JANUARY, date(2024, 2, 9), is_archived=True)
    )
    scenario.months([JANUARY], NOW)
    (month,) = scenario.months([JANUARY], datetime(2024, 7, 10, tzinfo=UTC))
    assert (month.is_archived, month.is_closed) == (False, True)
    scenario.dashboard.pages[JANUARY, False] = [a_page(date(2024, 7, 31), date(2024, 7, 27), months=(7,))]
    (month,) = scenario.months([JANUARY], datetime(2024, 7, 28, tzinfo=UTC))
    assert (month.is_archived, month.is_closed) == (True, True)


# Errors.


def test_errors_are_retried() -> None:
    scenario = CalendarScenario().publish(JANUARY, date(2024, 2, 9))
    scenario.dashboard.pages[JANUARY, False][:0] = [ServerError("502"), HtmlPage("a page")]
    (month,) = scenario.months(month_ends(JANUARY, JANUARY), NOW)
    assert month.as_of_days == (date(2024, 2, 9),)
    assert [failures for failures, _ in scenario.limiters[0].back_offs] == [1, 2]


@pytest.mark.parametrize("error", [TimedOut("It took too long."), UnexpectedStatus("It answered 404.")])
def test_a_calendar_error_says_what_to_do_and_keeps_the_months_stored_so_far(error: Exception) -> None:
    """R11.2"""
    scenario = CalendarScenario().publish(JANUARY, date(2024, 2, 9))
    scenario.dashboard.pages[FEBRUARY, False] = [error]
    with pytest.raises(DashboardUnavailable, match="The calendar of February 2024 cannot be read: It"):
        scenario.months(month_ends(JANUARY, FEBRUARY), NOW)
    assert set(scenario.storage.calendars.rows) == {JANUARY}
    scenario.publish(FEBRUARY, date(2024, 3, 8))
    scenario.dashboard.page_requests.clear()
    scenario.months(month_ends(JANUARY, FEBRUARY), NOW)
    assert scenario.dashboard.page_requests == [(FEBRUARY, False)]


def test_a_throttling_response_pauses_all_processes_and_is_retried() -> None:
    """R12.1"""
    scenario = CalendarScenario().publish(JANUARY, date(2024, 2, 9))
    until = NOW + timedelta(seconds=2)
    scenario.dashboard.pages[JANUARY, False][:0] = [Throttled("Too many requests.", retry_at=until)]
    assert len(scenario.months(month_ends(JANUARY, JANUARY), NOW)) == 1
    assert scenario.limiters[0].holds == [
        (until, f"Too many requests. No request is sent before {until:%Y-%m-%d %H:%M:%S} UTC.")
    ]
    assert scenario.limiters[0].back_offs == []


@pytest.mark.parametrize("retry_at", [None, NOW])
def test_a_dashboard_that_only_throttles_is_given_up(retry_at: datetime | None) -> None:
    """R11.2: an operator who waits for a plan receives an error."""
    scenario = CalendarScenario()
    scenario.dashboard.pages[JANUARY, False] = [Throttled("Too many requests.", retry_at=retry_at)]
    with pytest.raises(
        DashboardUnavailable, match=r"cannot be read: Too many requests\. Tried with district F\. Nothing was created"
    ):
        scenario.months(month_ends(JANUARY, JANUARY), NOW)
    assert len(scenario.dashboard.page_requests) == len(scenario.limiters[0].holds) == 3


def test_an_unavailable_store_is_reported() -> None:
    scenario = CalendarScenario().publish(JANUARY, date(2024, 2, 9))
    scenario.storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        scenario.months(month_ends(JANUARY, JANUARY), NOW)


def test_the_pages_of_a_closed_year_are_requested_only_once() -> None:
    ends = month_ends(date(2013, 7, 1), date(2014, 6, 30))
    scenario = CalendarScenario()
    for end in ends:
        scenario.publish(end, end + timedelta(days=8), is_archived=True, months=(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6))
    scenario.months(month_ends(ends[0], ends[-1]), NOW)
    scenario.months(month_ends(ends[0], ends[-1]), NOW + timedelta(days=1))
    assert scenario.dashboard.page_requests == [(end, True) for end in ends]


def test_a_month_between_the_requested_months_costs_no_request() -> None:
    scenario = CalendarScenario().publish(JANUARY, JANUARY).publish(MARCH, date(2024, 3, 13))
    months = scenario.months([JANUARY, MARCH], NOW)
    assert [month.month_end for month in months] == [JANUARY, MARCH]
    assert [requested for requested, _ in scenario.dashboard.page_requests] == [JANUARY, MARCH]


# Districts.


def test_a_stored_page_of_the_year_gives_the_district_of_the_next_request() -> None:
    scenario = CalendarScenario().publish(FEBRUARY, date(2024, 3, 8))
    scenario.storage.calendars.save(a_month(JANUARY, date(2024, 2, 9), districts=("77",), fetched_at=NOW))
    scenario.months([FEBRUARY], NOW)
    assert (scenario.dashboard.page_districts, scenario.dashboard.home_page_requests) == (["77"], 0)


def test_the_requested_districts_are_tried_if_f_and_u_do_not_exist() -> None:
    june = date(2022, 6, 30)
    scenario = CalendarScenario()
    error = HtmlPage("It leads to the error page.")
    scenario.dashboard.pages[june, True] = [error, error, a_page(june, date(2022, 7, 20), districts=("91",))]
    scenario.dashboard.pages[june, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2021)))]
    (month,) = scenario.months([june], NOW, likely=["91"])
    assert month.districts == ("91",)
    assert scenario.dashboard.page_districts[-1] == "91"


def test_a_month_stored_with_a_day_after_its_close_is_requested_again() -> None:
    """Earlier versions stored the newest listed day as the close of July 2022, but it is the first day of August."""
    july, august = date(2022, 7, 31), date(2022, 8, 31)
    scenario = CalendarScenario().publish(
        july, date(2022, 8, 9), date(2022, 8, 10), is_archived=True, close=date(2022, 8, 9)
    )
    scenario.storage.calendars.save(a_month(july, date(2022, 8, 9), date(2022, 8, 10), is_archived=True))
    scenario.storage.calendars.save(a_month(august, date(2022, 8, 10), date(2022, 9, 7), is_archived=True))
    for _ in range(2):
        (month,) = scenario.months([july], NOW)
        assert month.as_of_days == (date(2022, 8, 9),)
        assert scenario.dashboard.page_requests == [(july, True)]


def test_a_local_problem_ends_a_preview_at_once_with_its_cause() -> None:
    scenario = CalendarScenario()
    scenario.dashboard.pages[MARCH, False] = [LocalProblem("HTTPS_PROXY is wrong.")]
    with pytest.raises(DashboardUnavailable, match=r"cannot be read: HTTPS_PROXY is wrong\. Nothing was created"):
        scenario.months(month_ends(MARCH, MARCH), NOW)
    assert len(scenario.dashboard.page_requests) == 1
