"""Which calendar pages are asked for, and what is kept of them."""

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


class Asking:
    """The calendar of a scripted dashboard, and the limiters that were made for it."""

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

    def publishes(self, month_end: date, *as_of_days: date, is_archived: bool = False, **fields: object) -> Asking:
        self.dashboard.pages[month_end, is_archived] = [a_page(month_end, *as_of_days, **{"months": LIVE, **fields})]
        return self


def test_a_stored_page_of_a_closed_month_is_never_asked_for_again() -> None:
    it = Asking()
    stored = a_month(JANUARY, date(2024, 2, 9), fetched_at=NOW - timedelta(days=900))
    it.storage.calendars.save(stored)
    assert it.months(month_ends(JANUARY, JANUARY), NOW) == [stored]
    assert (it.dashboard.asked_pages, it.limiters) == ([], [])


def test_a_stored_page_of_an_open_month_is_asked_for_again_after_a_while() -> None:
    it = Asking().publishes(MARCH, date(2024, 3, 12), date(2024, 3, 13))
    young = a_month(MARCH, date(2024, 3, 12), is_closed=False, fetched_at=NOW - MAX_AGE + timedelta(seconds=1))
    it.storage.calendars.save(young)
    assert it.months(month_ends(MARCH, MARCH), NOW) == [young]
    (month,) = it.months(month_ends(MARCH, MARCH), NOW + timedelta(seconds=1))
    assert month.as_of_days == (date(2024, 3, 12), date(2024, 3, 13))
    assert it.storage.calendars.rows[MARCH] == month
    assert it.dashboard.asked_pages == [(MARCH, False)]


def test_the_months_of_a_range_come_oldest_first_each_asked_for_once_and_stored() -> None:
    """R2.2"""
    it = (
        Asking()
        .publishes(JANUARY, date(2024, 2, 9))
        .publishes(FEBRUARY, date(2024, 3, 8))
        .publishes(MARCH, date(2024, 3, 13))
    )
    months = it.months(month_ends(date(2024, 1, 5), date(2024, 3, 1)), NOW)
    assert [month.month_end for month in months] == [JANUARY, FEBRUARY, MARCH]
    assert [month.is_closed for month in months] == [True, True, False]
    assert it.dashboard.asked_pages == [(JANUARY, False), (FEBRUARY, False), (MARCH, False)]
    assert list(it.storage.calendars.rows.values()) == months
    assert (it.limiters[0].report().requests_made, it.dashboard.homes_asked) == (4, 1)
    assert it.storage.control.schedule.free_at(NOW) - NOW < timedelta(seconds=0.5)  # the reservation is given back


def test_a_closed_year_is_asked_for_under_its_name() -> None:
    june = date(2022, 6, 30)
    it = Asking().publishes(june, date(2022, 7, 20), is_archived=True, has_blank_close=True)
    (month,) = it.months(month_ends(june, june), NOW)
    assert it.dashboard.asked_pages == [(june, True)]
    assert (month.is_archived, month.is_closed, month.has_blank_close) == (True, True, True)


def test_months_that_a_page_of_their_year_does_not_name_are_not_asked_for() -> None:
    """R11.2: the first year of the dashboard has no figures before a certain month."""
    year = ProgramYear(2008)
    it = Asking()
    for month in (3, 4, 5, 6):
        it.publishes(year.month_end(month), date(2009, month, 9), is_archived=True, months=(3, 4, 5, 6))
    it.dashboard.pages[date(2008, 7, 31), True] = it.dashboard.pages[year.month_end(6), True]
    months = it.months(month_ends(date(2008, 7, 1), year.close), NOW)
    assert [bool(month.as_of_days) for month in months] == [False] * 8 + [True] * 4
    assert it.dashboard.asked_pages == [
        (end, True) for end in (date(2008, 7, 31), *(year.month_end(month) for month in (3, 4, 5, 6)))
    ]
    assert len(it.storage.calendars.rows) == 12


def test_a_year_that_no_page_lists_has_no_days_and_is_asked_for_again_later() -> None:
    end, later = date(2010, 1, 31), date(2010, 2, 28)
    it = Asking()
    it.dashboard.pages[end, True] = [HtmlPage("It leads to the error page.")]
    it.dashboard.pages[end, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2022)))]
    months = it.months(month_ends(end, later), NOW)
    assert [(m.as_of_days, m.districts, m.is_closed) for m in months] == [((), (), False)] * 2
    asked = it.dashboard.asked_pages.copy()
    assert set(asked) == {(end, True), (end, False)}  # and none for each month of the year
    it.months(month_ends(end, later), NOW + MAX_AGE)
    assert it.dashboard.asked_pages == asked * 2


def test_an_error_page_in_place_of_a_year_that_is_listed_is_trouble_and_no_year_without_figures() -> None:
    end = date(2023, 1, 31)
    it = Asking()
    it.dashboard.pages[end, True] = [HtmlPage("It leads to the error page.")]
    it.dashboard.pages[end, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2022)))]
    with pytest.raises(DashboardUnavailable, match="The calendar of January 2023 cannot be read: It"):
        it.months(month_ends(end, end), NOW)
    assert it.storage.calendars.rows == {}
    it.dashboard.pages[end, True] = [HtmlPage("It leads to the error page."), a_page(end, date(2023, 2, 8))]
    (month,) = it.months(month_ends(end, end), NOW)
    assert month.as_of_days == (date(2023, 2, 8),)


def test_a_year_that_has_begun_but_is_not_published_yet_has_no_days() -> None:
    """In July the dashboard still shows the year before."""
    july, now = date(2024, 7, 31), datetime(2024, 7, 10, tzinfo=UTC)
    it = Asking()
    it.dashboard.pages[july, False] = [a_page(date(2024, 6, 30), date(2024, 7, 9))]
    (month,) = it.months(month_ends(july, july), now)
    assert (month.as_of_days, month.is_closed, month.is_archived) == ((), False, False)


def test_in_july_the_year_before_may_still_be_live() -> None:
    june, now = date(2024, 6, 30), datetime(2024, 7, 10, tzinfo=UTC)
    it = Asking().publishes(june, date(2024, 7, 9), months=(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6))
    (month,) = it.months(month_ends(june, june), now)
    assert (month.as_of_days, month.is_closed, month.is_archived) == ((date(2024, 7, 9),), False, False)
    assert it.dashboard.asked_pages == [(june, False)]


def test_in_july_the_year_before_is_asked_for_in_the_archive_once_the_new_one_is_live() -> None:
    june, now = date(2024, 6, 30), datetime(2024, 7, 28, tzinfo=UTC)
    it = Asking().publishes(june, date(2024, 7, 20), is_archived=True, has_blank_close=True)
    it.dashboard.pages[june, False] = [a_page(date(2024, 7, 31), date(2024, 7, 27), months=(7,))]
    (month,) = it.months(month_ends(june, june), now)
    assert (month.is_archived, month.has_blank_close) == (True, True)
    assert it.dashboard.asked_pages == [(june, False), (june, True)]


def test_a_month_that_was_closed_in_the_live_year_is_asked_for_in_the_archive_once_that_year_has_ended() -> None:
    """Else its days were asked for where the next year lives, and refused for ever."""
    it = Asking().publishes(JANUARY, date(2024, 2, 9))
    it.months([JANUARY], NOW)
    it.publishes(JANUARY, date(2024, 2, 9), is_archived=True)
    for days in (0, 1):
        (month,) = it.months([JANUARY], datetime(2024, 8, 1, tzinfo=UTC) + timedelta(days=days))
        assert (month.is_archived, month.is_closed) == (True, True)
    assert it.dashboard.asked_pages == [(JANUARY, False), (JANUARY, True)]


def test_in_july_a_closed_month_stays_live_until_the_new_year_is_published() -> None:
    it = Asking().publishes(JANUARY, date(2024, 2, 9)).publishes(JANUARY, date(2024, 2, 9), is_archived=True)
    it.months([JANUARY], NOW)
    (month,) = it.months([JANUARY], datetime(2024, 7, 10, tzinfo=UTC))
    assert (month.is_archived, month.is_closed) == (False, True)
    it.dashboard.pages[JANUARY, False] = [a_page(date(2024, 7, 31), date(2024, 7, 27), months=(7,))]
    (month,) = it.months([JANUARY], datetime(2024, 7, 28, tzinfo=UTC))
    assert (month.is_archived, month.is_closed) == (True, True)


# Trouble.


def test_trouble_is_tried_again() -> None:
    it = Asking().publishes(JANUARY, date(2024, 2, 9))
    it.dashboard.pages[JANUARY, False][:0] = [ServerError("502"), HtmlPage("a page")]
    (month,) = it.months(month_ends(JANUARY, JANUARY), NOW)
    assert month.as_of_days == (date(2024, 2, 9),)
    assert [failures for failures, _ in it.limiters[0].back_offs] == [1, 2]


@pytest.mark.parametrize("error", [TimedOut("It took too long."), UnexpectedStatus("It answered 404.")])
def test_a_calendar_that_cannot_be_had_says_what_to_do_and_keeps_what_was_there(error: Exception) -> None:
    """R11.2"""
    it = Asking().publishes(JANUARY, date(2024, 2, 9))
    it.dashboard.pages[FEBRUARY, False] = [error]
    with pytest.raises(DashboardUnavailable, match="The calendar of February 2024 cannot be read: It"):
        it.months(month_ends(JANUARY, FEBRUARY), NOW)
    assert set(it.storage.calendars.rows) == {JANUARY}
    it.publishes(FEBRUARY, date(2024, 3, 8))
    it.dashboard.asked_pages.clear()
    it.months(month_ends(JANUARY, FEBRUARY), NOW)
    assert it.dashboard.asked_pages == [(FEBRUARY, False)]


def test_a_throttling_dashboard_holds_everybody_and_is_asked_again() -> None:
    """R12.1"""
    it = Asking().publishes(JANUARY, date(2024, 2, 9))
    until = NOW + timedelta(seconds=2)
    it.dashboard.pages[JANUARY, False][:0] = [Throttled("Too many requests.", retry_at=until)]
    assert len(it.months(month_ends(JANUARY, JANUARY), NOW)) == 1
    assert it.limiters[0].holds == [(until, "Too many requests.")]
    assert it.limiters[0].back_offs == []


@pytest.mark.parametrize("retry_at", [None, NOW])
def test_a_dashboard_that_does_nothing_but_throttle_is_given_up(retry_at: datetime | None) -> None:
    """R11.2: an operator who waits for a plan is answered."""
    it = Asking()
    it.dashboard.pages[JANUARY, False] = [Throttled("Too many requests.", retry_at=retry_at)]
    with pytest.raises(
        DashboardUnavailable, match=r"cannot be read: Too many requests\. Tried with district F\. Nothing was created"
    ):
        it.months(month_ends(JANUARY, JANUARY), NOW)
    assert len(it.dashboard.asked_pages) == len(it.limiters[0].holds) == 3


def test_a_store_that_is_away_is_told_as_such() -> None:
    it = Asking().publishes(JANUARY, date(2024, 2, 9))
    it.storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        it.months(month_ends(JANUARY, JANUARY), NOW)


def test_the_pages_of_a_closed_year_are_asked_for_once_ever() -> None:
    ends = month_ends(date(2013, 7, 1), date(2014, 6, 30))
    it = Asking()
    for end in ends:
        it.publishes(end, end + timedelta(days=8), is_archived=True, months=(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6))
    it.months(month_ends(ends[0], ends[-1]), NOW)
    it.months(month_ends(ends[0], ends[-1]), NOW + timedelta(days=1))
    assert it.dashboard.asked_pages == [(end, True) for end in ends]


def test_a_month_between_those_that_are_wanted_costs_no_page() -> None:
    it = Asking().publishes(JANUARY, JANUARY).publishes(MARCH, date(2024, 3, 13))
    months = it.months([JANUARY, MARCH], NOW)
    assert [month.month_end for month in months] == [JANUARY, MARCH]
    assert [asked for asked, _ in it.dashboard.asked_pages] == [JANUARY, MARCH]


# Districts.


def test_a_stored_page_of_the_year_gives_the_district_of_the_next_request() -> None:
    it = Asking().publishes(FEBRUARY, date(2024, 3, 8))
    it.storage.calendars.save(a_month(JANUARY, date(2024, 2, 9), districts=("77",), fetched_at=NOW))
    it.months([FEBRUARY], NOW)
    assert (it.dashboard.asked_districts, it.dashboard.homes_asked) == (["77"], 0)


def test_what_an_operator_asked_for_is_a_candidate_where_f_and_u_do_not_exist() -> None:
    june = date(2022, 6, 30)
    it = Asking()
    error = HtmlPage("It leads to the error page.")
    it.dashboard.pages[june, True] = [error, error, a_page(june, date(2022, 7, 20), districts=("91",))]
    it.dashboard.pages[june, False] = [a_page(MARCH, program_years=(ProgramYear(2023), ProgramYear(2021)))]
    (month,) = it.months([june], NOW, likely=["91"])
    assert month.districts == ("91",)
    assert it.dashboard.asked_districts[-1] == "91"


def test_a_month_that_was_stored_with_a_day_after_its_close_is_requested_again() -> None:
    """Earlier versions took the newest day of July 2022 for its close; it is the first one of August."""
    july, august = date(2022, 7, 31), date(2022, 8, 31)
    it = Asking().publishes(july, date(2022, 8, 9), date(2022, 8, 10), is_archived=True, close=date(2022, 8, 9))
    it.storage.calendars.save(a_month(july, date(2022, 8, 9), date(2022, 8, 10), is_archived=True))
    it.storage.calendars.save(a_month(august, date(2022, 8, 10), date(2022, 9, 7), is_archived=True))
    for _ in range(2):
        (month,) = it.months([july], NOW)
        assert month.as_of_days == (date(2022, 8, 9),)
        assert it.dashboard.asked_pages == [(july, True)]


def test_a_local_problem_ends_a_preview_at_once_with_its_cause() -> None:
    it = Asking()
    it.dashboard.pages[MARCH, False] = [LocalProblem("HTTPS_PROXY is wrong.")]
    with pytest.raises(DashboardUnavailable, match=r"cannot be read: HTTPS_PROXY is wrong\. Nothing was created"):
        it.months(month_ends(MARCH, MARCH), NOW)
    assert len(it.dashboard.asked_pages) == 1
