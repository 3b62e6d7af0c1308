"""How an item is collected: whole or not at all, with its retries, holds and empties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest

from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    DISTRICT_REPORTS,
    SUMMARY,
    Cadence,
    Job,
    Lease,
    Outcome,
    OutcomeKind,
    PlannedDay,
    Report,
    ReportName,
    SkipReason,
    WorkItem,
)
from backfill.domain.clock import Clock
from backfill.errors import (
    ConnectionFailed,
    HtmlPage,
    LeaseLost,
    LocalProblem,
    MissingColumn,
    NoRows,
    NotCsv,
    ServerError,
    Stopped,
    Throttled,
    TimedOut,
    Truncated,
)
from backfill.job_types.base import Execution
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.handler import CollectionHandler
from backfill.rate_limit import ATTEMPTS
from backfill.storage import Fence
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import (
    DAY,
    NOW,
    FakeClock,
    RecordingLimiter,
    ScriptedDashboard,
    a_calendar_reader,
    a_month,
    a_running_job,
    a_snapshot,
    an_edition,
)
from tests.unit.virtual_clock import VirtualClock

ITEM = WorkItem(DAY, "01")
CLUBS, DISTRICT, DIVISIONS = DISTRICT_REPORTS


class Collecting:
    """A claimed job's execution, over a scripted dashboard."""

    def __init__(
        self,
        *,
        skip_existing: bool = True,
        limiter: type[RecordingLimiter] = RecordingLimiter,
        dashboard: ScriptedDashboard | None = None,
        cadence: Cadence = Cadence.DAILY,
        clock: Clock | None = None,
    ) -> None:
        self.storage, self.dashboard, self.clock = MemoryStorage(), dashboard or ScriptedDashboard(), FakeClock()
        job = a_running_job(lease=Lease(owner="runner", expires_at=NOW + timedelta(days=1)))
        self.job: Job = self.storage.jobs.put_in(
            replace(job, config=replace(job.config, skip_existing=skip_existing, cadence=cadence))
        )
        self.time = VirtualClock.at()
        self.limiter = limiter(self.storage, clock=clock or self.time)
        calendars = Calendars(self.dashboard, self.storage.calendars)
        reader = a_calendar_reader(self.storage, calendars, clock=self.time)
        self.work = CollectionHandler(self.dashboard, self.storage, calendars, reader, now=self.clock)
        self.execution: Execution = self.work.execute(self.job, Fence(self.job.id, 1), self.limiter)
        self.day = PlannedDay(DAY, (SUMMARY, "01", "02"), an_edition())

    def told(self, *errors: Exception, report: ReportName = CLUBS) -> Collecting:
        self.dashboard.answers[report, "01"] += errors
        return self

    def do(self, item: WorkItem = ITEM) -> Outcome:
        (outcome,) = self.execution.process(self.day, [item])
        return outcome

    @property
    def asked(self) -> list[ReportName]:
        return [request.report for request in self.dashboard.asked]


def test_a_district_is_collected_with_its_three_reports_and_stored_whole() -> None:
    """R2.2"""
    it = Collecting()
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
    assert it.asked == [CLUBS, DISTRICT, DIVISIONS]
    snapshot = it.storage.snapshots.rows[DAY, "01"]
    assert set(snapshot.reports) == set(DISTRICT_REPORTS)
    assert snapshot.reports[CLUBS].content == b"clubperformance~01~1/31/2024~2/9/2024~2023-2024"
    assert (snapshot.data_month, snapshot.as_of, snapshot.is_final) == (DAY, date(2024, 2, 9), True)
    assert (snapshot.job_id, snapshot.fetched_at) == (it.job.id, NOW)


def test_the_summary_is_collected_with_its_one_report() -> None:
    """R2.2"""
    it = Collecting()
    assert it.do(WorkItem(DAY, SUMMARY)).kind is OutcomeKind.PROCESSED
    assert it.asked == [ReportName.SUMMARY]
    assert set(it.storage.snapshots.rows[DAY, SUMMARY].reports) == {ReportName.SUMMARY}


def test_a_day_within_a_month_is_never_final() -> None:
    it = Collecting()
    day = date(2024, 1, 30)
    it.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=True))
    it.do(WorkItem(day, "01"))
    assert not it.storage.snapshots.rows[day, "01"].is_final


def test_a_day_without_an_edition_cannot_be_collected() -> None:
    it = Collecting()
    it.day = PlannedDay(DAY, ("01",))
    with pytest.raises(ValueError, match="2024-01-31/01 has no edition"):
        it.do()


# Failures.


@pytest.mark.parametrize(
    "error", [ServerError("502"), ConnectionFailed("reset"), TimedOut("slow"), Truncated("cut"), HtmlPage("a page")]
)
def test_trouble_is_tried_again_and_what_was_fetched_is_not_asked_for_again(error: Exception) -> None:
    """R5.4"""
    it = Collecting().told(error, error, report=DISTRICT)
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert it.asked == [CLUBS, DISTRICT, DISTRICT, DISTRICT, DIVISIONS]
    assert it.limiter.back_offs == [(1, str(error)), (2, str(error))]


def test_an_item_that_stays_in_trouble_fails_and_leaves_nothing_stored() -> None:
    """R5.4"""
    it = Collecting().told(*[TimedOut("It took too long.")] * ATTEMPTS, report=DIVISIONS)
    assert it.do() == Outcome(
        ITEM, OutcomeKind.FAILED, NOW, "TIMEOUT", "It took too long.", ATTEMPTS, is_retryable=True
    )
    assert it.storage.snapshots.rows == {}
    assert [failures for failures, _ in it.limiter.back_offs] == [1, 2, 3, 4]


def test_what_asking_again_will_not_change_fails_at_once() -> None:
    """R5.4"""
    it = Collecting().told(NotCsv("neither"), report=DISTRICT)
    assert it.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "NOT_CSV", "neither", 1, is_retryable=False)
    assert it.asked == [CLUBS, DISTRICT]
    assert (it.storage.snapshots.rows, it.limiter.back_offs) == ({}, [])


# Throttling.


def test_a_source_that_says_when_to_come_back_costs_no_attempt_and_holds_everybody() -> None:
    """R12.4"""
    until = NOW + timedelta(minutes=2)
    it = Collecting().told(*[Throttled("Too many requests.", retry_at=until)] * (ATTEMPTS + 3))
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
    assert it.limiter.holds == [(until, "Too many requests.")] * (ATTEMPTS + 3)
    assert it.limiter.back_offs == []


def test_a_source_that_does_not_say_when_holds_everybody_longer_each_time_and_costs_attempts() -> None:
    """R12.4"""
    it = Collecting().told(*[Throttled("Too many requests.")] * ATTEMPTS)
    outcome = it.do()
    assert (outcome.kind, outcome.reason, outcome.attempts, outcome.is_retryable) == (
        OutcomeKind.FAILED,
        "THROTTLED",
        ATTEMPTS,
        True,
    )
    reasons = [reason for _, reason in it.limiter.holds]
    assert reasons[:-1] == ["Too many requests."] * (ATTEMPTS - 1)
    assert "No usable response since" in reasons[-1]  # nobody else is asked for: something known decides


# Probes.


class Probing(RecordingLimiter):
    """Its first request is to ask for something that the source has answered before."""

    has_probed = False

    @contextmanager
    def request(self, item: str = "", *, is_first: bool = False) -> Iterator[bool]:
        with super().request(item, is_first=is_first) as asks_for_known:
            is_probe, self.has_probed = not self.has_probed, True
            yield is_probe or asks_for_known


@pytest.mark.parametrize(
    ("planned", "stored", "district"),
    [((SUMMARY, "203", "F"), ("01",), "203"), ((SUMMARY,), ("201", "F"), "201"), ((SUMMARY,), (), "F")],
)
def test_a_probe_requests_the_calendar_page_of_a_district_that_exists(
    planned: tuple[str, ...], stored: tuple[str, ...], district: str
) -> None:
    """No district exists in every program year."""
    it = Collecting(limiter=Probing)
    it.storage.calendars.save(a_month(DAY, date(2024, 2, 9), districts=stored))
    it.day = PlannedDay(DAY, planned, an_edition())
    assert it.do(WorkItem(DAY, SUMMARY)).kind is OutcomeKind.PROCESSED
    assert (it.dashboard.asked_pages, it.dashboard.asked_districts) == ([(DAY, False)], [district])


# Empty reports.


def test_a_report_that_stays_empty_is_believed_on_the_second_answer() -> None:
    it = Collecting().told(NoRows("No rows."), NoRows("No rows."))
    assert it.do() == Outcome(ITEM, OutcomeKind.SKIPPED, NOW, SkipReason.NOT_PUBLISHED, "No rows.", 2)
    assert it.asked == [CLUBS, CLUBS]
    assert it.storage.snapshots.rows == {}


def test_a_report_that_was_empty_for_a_moment_is_collected() -> None:
    it = Collecting().told(NoRows("No rows."))
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=2)


def test_an_empty_report_beside_full_ones_is_a_failure_and_no_skip() -> None:
    """R5.4"""
    it = Collecting().told(*[NoRows("No rows.")] * ATTEMPTS, report=DISTRICT)
    assert it.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "NO_ROWS", "No rows.", ATTEMPTS, is_retryable=True)


# Stopping, and the store.


def test_an_item_that_has_not_begun_is_left_when_the_job_drains_and_one_that_has_is_finished() -> None:
    """R7.2, R7.4"""
    it = Collecting()
    it.limiter.drain()
    with pytest.raises(Stopped):
        it.do()
    assert it.asked == []
    it.limiter.drain(on=False)
    answer = it.dashboard.report

    def report(request: ReportRequest) -> Report:
        it.limiter.drain()
        return answer(request)

    it.dashboard.report = report  # type: ignore[method-assign]
    assert it.do().kind is OutcomeKind.PROCESSED
    assert it.asked == [CLUBS, DISTRICT, DIVISIONS]


def test_what_was_fetched_is_stored_once_the_store_is_back() -> None:
    """R10.3"""
    refused = list[bool]()

    class Waiting(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            refused.append(True)
            assert it.time.eventually(lambda: not it.storage.store.is_down)

    it = Collecting(limiter=Waiting)
    put = it.storage.snapshots.put

    def put_while_down(*args: object, **options: object) -> bool:
        if not refused:
            it.storage.store.is_down = True
        return put(*args, **options)  # type: ignore[arg-type]

    it.storage.snapshots.put = put_while_down  # type: ignore[method-assign]
    outcomes: list[Outcome] = []
    thread = it.time.thread(lambda: outcomes.append(it.do()), "collects")
    thread.start()
    assert it.time.eventually(lambda: refused)
    it.storage.store.is_down = False
    thread.join(5)
    assert outcomes == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]
    assert it.limiter.back_offs == [(1, "The job store does not answer: it is down.")]
    assert it.asked == [CLUBS, DISTRICT, DIVISIONS]
    assert it.storage.snapshots.puts == 1


def test_a_snapshot_of_a_runner_that_was_replaced_is_not_stored() -> None:
    it = Collecting()
    it.storage.jobs.update(it.job.id, lambda job: job.claimed("next", NOW + timedelta(days=2)))
    with pytest.raises(LeaseLost):
        it.do()
    assert it.storage.snapshots.rows == {}


# What needs no work.


def test_what_is_stored_as_new_as_the_dashboard_has_it_is_skipped() -> None:
    """R10.3"""
    it = Collecting()
    for district in ("01", "02", "99"):
        it.storage.snapshots.put(a_snapshot(district=district))
    it.storage.snapshots.put(a_snapshot(district=SUMMARY, as_of=date(2024, 2, 8)))
    assert sorted(it.execution.skips(it.day)) == [
        Outcome(WorkItem(DAY, district), OutcomeKind.SKIPPED, NOW, SkipReason.STORED) for district in ("01", "02")
    ]


def test_nothing_is_skipped_where_stored_ones_are_to_be_collected_again() -> None:
    it = Collecting(skip_existing=False)
    it.storage.snapshots.put(a_snapshot())
    assert list(it.execution.skips(it.day)) == []


@pytest.mark.parametrize("skip_existing", [True, False])
def test_what_this_job_stored_before_it_was_killed_counts_as_done_by_it(*, skip_existing: bool) -> None:
    """R10.3"""
    it = Collecting(skip_existing=skip_existing)
    it.do()
    assert list(it.execution.skips(it.day)) == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]


def test_the_close_of_an_open_month_is_collected_again() -> None:
    it = Collecting()
    it.storage.snapshots.put(a_snapshot(is_final=False))
    it.day = PlannedDay(DAY, ("01",), an_edition(is_final=False))
    assert list(it.execution.skips(it.day)) == []


def test_each_request_is_counted_as_it_starts() -> None:
    """R12.4"""
    it, counts = Collecting(), list[int]()
    answer = it.dashboard.report

    def report(request: ReportRequest) -> Report:
        counts.append(it.limiter.report().requests_made)
        return answer(request)

    it.dashboard.report = report  # type: ignore[method-assign]
    it.do()
    assert counts == [1, 2, 3]


def test_a_refused_report_fails_its_item_with_the_beginning_of_what_came() -> None:
    refused = MissingColumn("No column.")
    refused.excerpt = '"Club"\n'
    assert Collecting().told(*[refused] * ATTEMPTS).do().excerpt == '"Club"\n'
    assert Collecting().told(*[ServerError("Broken.")] * ATTEMPTS).do().excerpt == ""


def test_a_local_problem_is_no_failure_of_an_item_however_often_it_is_met() -> None:
    it = Collecting().told(*[LocalProblem("DNS does not resolve it.")] * (2 * ATTEMPTS))
    assert it.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
