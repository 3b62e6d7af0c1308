"""Wrong answers: they are retried, then the calendar is read again and the item follows its new edition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from backfill.dashboard.calendar_page import CalendarPage
from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    SUMMARY,
    Outcome,
    OutcomeKind,
    PlannedDay,
    ProgramYear,
    Report,
    SkipReason,
    WorkItem,
)
from backfill.errors import HtmlPage, MissingColumn, Stopped, WrongAsOf, WrongDistrict, WrongMonth, WrongReport
from backfill.job_types.collection.editions import MAX_PAGE_WAIT, PAGE_AGE
from backfill.rate_limit import ATTEMPTS
from tests.unit.fakes import DAY, NOW, RecordingLimiter, ScriptedDashboard, a_month, a_page, an_edition
from tests.unit.test_collection_jobs import CLUBS, DISTRICT, DIVISIONS, ITEM, Collecting

CLOSE = date(2024, 2, 9)
WRONG = [MissingColumn("no Club Number"), WrongMonth("month"), WrongAsOf("day"), WrongDistrict("district")]
each_kind = pytest.mark.parametrize("wrong", WRONG, ids=lambda error: error.code)


class MovingDashboard(ScriptedDashboard):
    """Its program year 2023-2024 is live, and then in the archive."""

    def __init__(self) -> None:
        super().__init__()
        self.has_moved = False
        self.is_archive_there = True
        self.is_bare_path_broken = False
        self.days = (DAY - timedelta(days=1), CLOSE)
        self.before: Callable[[ReportRequest], None] = lambda _: None

    def report(self, request: ReportRequest) -> Report:
        self.before(request)
        if request.edition.is_archived == self.has_moved:
            return super().report(request)
        self.asked.append(request)
        raise WrongAsOf(f"{request.report_string} came as of another day.")

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        self.asked_pages.append((month_end, is_archived))
        if is_archived:
            if not (self.has_moved and self.is_archive_there):
                raise HtmlPage("The dashboard leads to its error page.")
            return a_page(month_end, *self.days)
        live = ProgramYear(2024 if self.has_moved else 2023)
        years = (live, ProgramYear(2023)) if self.is_archive_there else (live,)
        if self.is_bare_path_broken:
            raise HtmlPage("An error has occured.")
        if live.start == 2023:
            return a_page(month_end, *self.days, program_years=years)
        return a_page(date(2024, 8, 31), date(2024, 8, 1), program_year=live, program_years=years, months=(7, 8))


class Moving(Collecting):
    dashboard: MovingDashboard

    def __init__(self, limiter: type[RecordingLimiter] = RecordingLimiter) -> None:
        super().__init__(dashboard=MovingDashboard(), limiter=limiter)

    def outcomes(self, *districts: str) -> list[Outcome]:
        return [self.do(WorkItem(DAY, district)) for district in districts]


# Retrying.


@each_kind
def test_one_wrong_answer_is_retried_after_a_pause_and_costs_no_calendar_page(wrong: WrongReport) -> None:
    it = Collecting().told(wrong, report=DISTRICT)
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=2)
    assert it.asked == [CLUBS, DISTRICT, DISTRICT, DIVISIONS]
    assert (it.limiter.back_offs, it.dashboard.asked_pages) == ([(1, wrong.message)], [])


@each_kind
def test_after_two_wrong_answers_the_page_of_the_month_is_read_again_and_stored(wrong: WrongReport) -> None:
    it = Collecting().told(wrong, wrong, report=DISTRICT)
    it.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    it.storage.calendars.save(a_month(DAY, CLOSE, fetched_at=NOW - timedelta(days=1)))
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert it.asked == [CLUBS, DISTRICT, DISTRICT, DISTRICT, DIVISIONS]  # the same edition: nothing is fetched again
    assert it.dashboard.asked_pages == [(DAY, False)]
    assert it.storage.calendars.rows[DAY].fetched_at == NOW
    assert it.limiter.report().requests_made == 6


@each_kind
def test_an_item_fails_once_its_attempts_are_used_up_and_can_be_retried(wrong: WrongReport) -> None:
    """R5.4"""
    it = Collecting().told(*[wrong] * ATTEMPTS, report=DISTRICT)
    it.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    assert it.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, wrong.code, wrong.message, ATTEMPTS, is_retryable=True)
    assert it.asked == [CLUBS, *[DISTRICT] * ATTEMPTS]
    assert len(it.dashboard.asked_pages) == 2  # after two wrong answers, and before the last attempt
    assert it.storage.snapshots.rows == {}


def test_one_calendar_page_serves_a_hundred_items_for_a_while() -> None:
    it = Collecting()
    it.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    it.day = replace(it.day, districts=tuple(f"{n:02d}" for n in range(1, 101)))
    for district in it.day.districts:
        it.dashboard.answers[CLUBS, district] += [WrongMonth("month"), WrongMonth("month")]
        assert it.do(WorkItem(DAY, district)).kind is OutcomeKind.PROCESSED
    assert it.dashboard.asked_pages == [(DAY, False)]
    it.clock.forward(seconds=PAGE_AGE.total_seconds())
    it.told(WrongMonth("month"), WrongMonth("month")).do()
    assert it.dashboard.asked_pages == [(DAY, False)] * 2


# Following.


def test_an_item_follows_its_edition_to_the_archive_and_mixes_no_editions() -> None:
    it = Moving()

    def before(request: ReportRequest) -> None:
        it.dashboard.has_moved = it.dashboard.has_moved or request.report is DISTRICT

    it.dashboard.before = before
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    asked = [(request.report, request.edition.is_archived) for request in it.dashboard.asked]
    assert asked == [
        (CLUBS, False),
        (DISTRICT, False),
        (DISTRICT, False),
        (CLUBS, True),
        (DISTRICT, True),
        (DIVISIONS, True),
    ]
    assert it.dashboard.asked_pages == [(DAY, False), (DAY, True)]
    assert it.storage.calendars.rows[DAY].is_archived


def test_the_items_that_come_after_begin_with_the_new_edition() -> None:
    it = Moving()
    it.dashboard.has_moved = True
    assert [outcome.attempts for outcome in it.outcomes("01", "02", SUMMARY)] == [3, 1, 1]
    assert it.dashboard.asked_pages == [(DAY, False), (DAY, True)]


def test_an_item_is_stored_under_the_as_of_day_of_its_new_edition_and_the_next_job_skips_it() -> None:
    """Of an open month's close: it has closed on a later day meanwhile."""
    it = Moving()
    it.dashboard.has_moved = True
    it.day = PlannedDay(DAY, ("01",), an_edition(as_of=date(2024, 2, 7), is_final=False))
    assert it.do().kind is OutcomeKind.PROCESSED
    snapshot = it.storage.snapshots.rows[DAY, "01"]
    assert (snapshot.as_of, snapshot.is_final) == (CLOSE, True)
    assert snapshot.reports[CLUBS].content == b"clubperformance~01~1/31/2024~2/9/2024~2023-2024"
    assert list(it.execution.skips(it.day)) == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]
    edition = it.storage.calendars.rows[DAY].edition(DAY)
    assert edition is not None
    assert edition.is_archived
    (held,) = it.storage.snapshots.editions(DAY, DAY)
    assert held.covers(edition)


def test_a_page_that_was_read_just_before_the_move_does_not_make_an_item_fail() -> None:
    it = Moving()
    it.dashboard.answers[CLUBS, "01"] += [WrongMonth("month"), WrongMonth("month")]
    assert it.do().attempts == 3
    it.dashboard.has_moved = True
    assert it.outcomes("02")[0] == Outcome(WorkItem(DAY, "02"), OutcomeKind.PROCESSED, NOW, attempts=ATTEMPTS)
    assert it.dashboard.asked_pages == [(DAY, False), (DAY, False), (DAY, True)]


def test_a_date_that_the_calendar_does_not_list_any_more_is_skipped_with_a_message() -> None:
    day = date(2024, 1, 29)
    it = Collecting()
    it.dashboard.pages[DAY, False] = [a_page(DAY, date(2024, 1, 30), CLOSE)]
    it.dashboard.pages[date(2023, 12, 31), False] = [a_page(date(2023, 12, 31), date(2024, 1, 5))]
    it.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=False))
    outcome = it.told(WrongAsOf("another day"), WrongAsOf("another day")).do(WorkItem(day, "01"))
    assert (outcome.kind, outcome.reason, outcome.attempts) == (OutcomeKind.SKIPPED, SkipReason.NOT_PUBLISHED, 2)
    assert outcome.message == "The dashboard's calendar no longer lists this date. another day"
    assert it.storage.snapshots.rows == {}


def test_a_date_that_belongs_to_the_next_month_by_now_is_followed_there() -> None:
    day, february = date(2024, 2, 10), date(2024, 2, 29)
    it = Collecting()
    it.dashboard.pages[DAY, False] = [a_page(DAY, date(2024, 2, 8), CLOSE)]
    it.dashboard.pages[february, False] = [a_page(february, day, date(2024, 2, 11))]
    it.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=False))
    assert it.told(*[WrongAsOf("day")] * 2).do(WorkItem(day, "01")).kind is OutcomeKind.PROCESSED
    snapshot = it.storage.snapshots.rows[day, "01"]
    assert (snapshot.data_month, snapshot.as_of) == (february, day)


# A calendar that cannot be read.


def test_the_archive_is_looked_at_also_while_the_new_live_year_has_no_page_yet() -> None:
    it = Moving()
    it.dashboard.has_moved = it.dashboard.is_bare_path_broken = True
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert it.dashboard.asked_pages[-1] == (DAY, True)


def test_while_the_year_is_on_its_way_to_the_archive_the_items_wait_and_none_is_charged() -> None:
    class Waiting(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            if len(self.back_offs) == 9:
                it.dashboard.is_archive_there = True

    it = Moving(limiter=Waiting)
    it.dashboard.has_moved, it.dashboard.is_archive_there = True, False
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert "The calendar of January 2024 cannot be read now." in it.limiter.back_offs[2][1]


def test_a_calendar_that_cannot_be_read_for_long_lets_the_items_fail_with_their_own_reason() -> None:
    class Waiting(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            it.clock.forward(seconds=MAX_PAGE_WAIT.total_seconds() / 4)

    it = Moving(limiter=Waiting)
    it.dashboard.has_moved, it.dashboard.is_archive_there = True, False
    outcome = it.do()
    assert (outcome.kind, outcome.reason, outcome.attempts) == (OutcomeKind.FAILED, "WRONG_AS_OF", ATTEMPTS)
    pages = len(it.dashboard.asked_pages)
    assert it.outcomes("02")[0].reason == "WRONG_AS_OF"
    assert len(it.dashboard.asked_pages) - pages < pages  # it does not wait for so long once more


def test_a_job_that_stops_does_not_wait_for_a_calendar() -> None:
    class Stopping(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            if "calendar" in reason:
                raise Stopped("The job stops.")
            super()._back_off(failures, reason, is_over)

    it = Moving(limiter=Stopping)
    it.dashboard.has_moved, it.dashboard.is_archive_there = True, False
    with pytest.raises(Stopped):
        it.do()
    assert it.storage.snapshots.rows == {}
