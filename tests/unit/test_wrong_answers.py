"""Wrong responses: they are retried, then the calendar is read again and the item uses its new edition."""

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
from tests.unit.test_collection_jobs import CLUBS, DISTRICT, DIVISIONS, ITEM, CollectionScenario

CLOSE = date(2024, 2, 9)
WRONG = [MissingColumn("no Club Number"), WrongMonth("month"), WrongAsOf("day"), WrongDistrict("district")]
each_kind = pytest.mark.parametrize("wrong", WRONG, ids=lambda error: error.code)


class MovingDashboard(ScriptedDashboard):
    """A dashboard whose program year 2023-2024 is live and then moves to the archive."""

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
        self.report_requests.append(request)
        raise WrongAsOf(f"{request.report_string} came as of another day.")

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        self.page_requests.append((month_end, is_archived))
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


class MovingScenario(CollectionScenario):
    dashboard: MovingDashboard

    def __init__(self, limiter: type[RecordingLimiter] = RecordingLimiter) -> None:
        super().__init__(dashboard=MovingDashboard(), limiter=limiter)

    def outcomes(self, *districts: str) -> list[Outcome]:
        return [self.do(WorkItem(DAY, district)) for district in districts]


# Retrying.


@each_kind
def test_one_wrong_response_is_retried_after_a_delay_without_a_calendar_request(wrong: WrongReport) -> None:
    scenario = CollectionScenario().respond_with(wrong, report=DISTRICT)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=2)
    assert scenario.requested_reports == [CLUBS, DISTRICT, DISTRICT, DIVISIONS]
    assert (scenario.limiter.back_offs, scenario.dashboard.page_requests) == ([(1, wrong.message)], [])


@each_kind
def test_after_two_wrong_responses_the_page_of_the_month_is_requested_and_stored(wrong: WrongReport) -> None:
    scenario = CollectionScenario().respond_with(wrong, wrong, report=DISTRICT)
    scenario.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    scenario.storage.calendars.save(a_month(DAY, CLOSE, fetched_at=NOW - timedelta(days=1)))
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    # The edition is the same, so the first report is not fetched again.
    assert scenario.requested_reports == [CLUBS, DISTRICT, DISTRICT, DISTRICT, DIVISIONS]
    assert scenario.dashboard.page_requests == [(DAY, False)]
    assert scenario.storage.calendars.rows[DAY].fetched_at == NOW
    assert scenario.limiter.report().requests_made == 6


@each_kind
def test_an_item_fails_after_its_last_attempt_and_can_be_retried(wrong: WrongReport) -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(*[wrong] * ATTEMPTS, report=DISTRICT)
    scenario.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    assert scenario.do() == Outcome(
        ITEM, OutcomeKind.FAILED, NOW, wrong.code, wrong.message, ATTEMPTS, is_retryable=True
    )
    assert scenario.requested_reports == [CLUBS, *[DISTRICT] * ATTEMPTS]
    assert len(scenario.dashboard.page_requests) == 2  # after two wrong responses, and before the last attempt
    assert scenario.storage.snapshots.rows == {}


def test_a_hundred_items_share_one_calendar_page_until_it_expires() -> None:
    scenario = CollectionScenario()
    scenario.dashboard.pages[DAY, False] = [a_page(DAY, CLOSE)]
    scenario.day = replace(scenario.day, districts=tuple(f"{n:02d}" for n in range(1, 101)))
    for district in scenario.day.districts:
        scenario.dashboard.answers[CLUBS, district] += [WrongMonth("month"), WrongMonth("month")]
        assert scenario.do(WorkItem(DAY, district)).kind is OutcomeKind.PROCESSED
    assert scenario.dashboard.page_requests == [(DAY, False)]
    scenario.clock.forward(seconds=PAGE_AGE.total_seconds())
    scenario.respond_with(WrongMonth("month"), WrongMonth("month")).do()
    assert scenario.dashboard.page_requests == [(DAY, False)] * 2


# New editions.


def test_an_item_uses_its_new_edition_in_the_archive_and_does_not_mix_editions() -> None:
    scenario = MovingScenario()

    def before(request: ReportRequest) -> None:
        scenario.dashboard.has_moved = scenario.dashboard.has_moved or request.report is DISTRICT

    scenario.dashboard.before = before
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    requested_reports = [
        (request.report, request.edition.is_archived) for request in scenario.dashboard.report_requests
    ]
    assert requested_reports == [
        (CLUBS, False),
        (DISTRICT, False),
        (DISTRICT, False),
        (CLUBS, True),
        (DISTRICT, True),
        (DIVISIONS, True),
    ]
    assert scenario.dashboard.page_requests == [(DAY, False), (DAY, True)]
    assert scenario.storage.calendars.rows[DAY].is_archived


def test_later_items_use_the_new_edition_at_once() -> None:
    scenario = MovingScenario()
    scenario.dashboard.has_moved = True
    assert [outcome.attempts for outcome in scenario.outcomes("01", "02", SUMMARY)] == [3, 1, 1]
    assert scenario.dashboard.page_requests == [(DAY, False), (DAY, True)]


def test_an_item_is_stored_with_the_as_of_date_of_its_new_edition_and_skipped_later() -> None:
    """The month was open at the time of the plan and has closed on a later day."""
    scenario = MovingScenario()
    scenario.dashboard.has_moved = True
    scenario.day = PlannedDay(DAY, ("01",), an_edition(as_of=date(2024, 2, 7), is_final=False))
    assert scenario.do().kind is OutcomeKind.PROCESSED
    snapshot = scenario.storage.snapshots.rows[DAY, "01"]
    assert (snapshot.as_of, snapshot.is_final) == (CLOSE, True)
    assert snapshot.reports[CLUBS].content == b"clubperformance~01~1/31/2024~2/9/2024~2023-2024"
    assert list(scenario.execution.skips(scenario.day)) == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]
    edition = scenario.storage.calendars.rows[DAY].edition(DAY)
    assert edition is not None
    assert edition.is_archived
    (held,) = scenario.storage.snapshots.editions(DAY, DAY)
    assert held.covers(edition)


def test_a_page_that_was_read_just_before_the_move_does_not_fail_an_item() -> None:
    scenario = MovingScenario()
    scenario.dashboard.answers[CLUBS, "01"] += [WrongMonth("month"), WrongMonth("month")]
    assert scenario.do().attempts == 3
    scenario.dashboard.has_moved = True
    assert scenario.outcomes("02")[0] == Outcome(WorkItem(DAY, "02"), OutcomeKind.PROCESSED, NOW, attempts=ATTEMPTS)
    assert scenario.dashboard.page_requests == [(DAY, False), (DAY, False), (DAY, True)]


def test_a_date_that_the_calendar_no_longer_lists_is_skipped_with_a_message() -> None:
    day = date(2024, 1, 29)
    scenario = CollectionScenario()
    scenario.dashboard.pages[DAY, False] = [a_page(DAY, date(2024, 1, 30), CLOSE)]
    scenario.dashboard.pages[date(2023, 12, 31), False] = [a_page(date(2023, 12, 31), date(2024, 1, 5))]
    scenario.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=False))
    outcome = scenario.respond_with(WrongAsOf("another day"), WrongAsOf("another day")).do(WorkItem(day, "01"))
    assert (outcome.kind, outcome.reason, outcome.attempts) == (OutcomeKind.SKIPPED, SkipReason.NOT_PUBLISHED, 2)
    assert outcome.message == "The dashboard's calendar no longer lists this date. another day"
    assert scenario.storage.snapshots.rows == {}


def test_a_date_that_moved_to_the_next_month_is_collected_from_that_month() -> None:
    day, february = date(2024, 2, 10), date(2024, 2, 29)
    scenario = CollectionScenario()
    scenario.dashboard.pages[DAY, False] = [a_page(DAY, date(2024, 2, 8), CLOSE)]
    scenario.dashboard.pages[february, False] = [a_page(february, day, date(2024, 2, 11))]
    scenario.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=False))
    assert scenario.respond_with(*[WrongAsOf("day")] * 2).do(WorkItem(day, "01")).kind is OutcomeKind.PROCESSED
    snapshot = scenario.storage.snapshots.rows[day, "01"]
    assert (snapshot.data_month, snapshot.as_of) == (february, day)


# A calendar that cannot be read.


def test_the_archive_is_requested_while_the_new_live_year_has_no_page() -> None:
    scenario = MovingScenario()
    scenario.dashboard.has_moved = scenario.dashboard.is_bare_path_broken = True
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert scenario.dashboard.page_requests[-1] == (DAY, True)


def test_items_wait_without_charge_while_the_year_moves_to_the_archive() -> None:
    class WaitingLimiter(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            if len(self.back_offs) == 9:
                scenario.dashboard.is_archive_there = True

    scenario = MovingScenario(limiter=WaitingLimiter)
    scenario.dashboard.has_moved, scenario.dashboard.is_archive_there = True, False
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert "The calendar of January 2024 cannot be read now." in scenario.limiter.back_offs[2][1]


def test_items_fail_with_their_own_reason_if_the_calendar_stays_unreadable() -> None:
    class WaitingLimiter(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            scenario.clock.forward(seconds=MAX_PAGE_WAIT.total_seconds() / 4)

    scenario = MovingScenario(limiter=WaitingLimiter)
    scenario.dashboard.has_moved, scenario.dashboard.is_archive_there = True, False
    outcome = scenario.do()
    assert (outcome.kind, outcome.reason, outcome.attempts) == (OutcomeKind.FAILED, "WRONG_AS_OF", ATTEMPTS)
    pages = len(scenario.dashboard.page_requests)
    assert scenario.outcomes("02")[0].reason == "WRONG_AS_OF"
    assert len(scenario.dashboard.page_requests) - pages < pages  # the second item does not wait as long


def test_a_stopping_job_does_not_wait_for_the_calendar() -> None:
    class StoppingLimiter(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            if "calendar" in reason:
                raise Stopped("The job stops.")
            super()._back_off(failures, reason, is_over)

    scenario = MovingScenario(limiter=StoppingLimiter)
    scenario.dashboard.has_moved, scenario.dashboard.is_archive_there = True, False
    with pytest.raises(Stopped):
        scenario.do()
    assert scenario.storage.snapshots.rows == {}
