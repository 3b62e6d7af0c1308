"""The collection of an item: complete or not at all, with retries, pauses and empty reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta

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
    DashboardError,
    DeadlineExceeded,
    HtmlPage,
    LeaseLost,
    LocalProblem,
    MalformedRow,
    MissingColumn,
    NoRows,
    NotCsv,
    NotSent,
    ServerError,
    Stopped,
    Throttled,
    TimedOut,
    TooLarge,
    Truncated,
    UnexpectedStatus,
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
    a_report,
    a_running_job,
    a_snapshot,
    an_edition,
)
from tests.unit.virtual_clock import VirtualClock

ITEM = WorkItem(DAY, "01")
CLUBS, DISTRICT, DIVISIONS = DISTRICT_REPORTS


class CollectionScenario:
    """The execution of a claimed job with a scripted dashboard."""

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
        self.handler = CollectionHandler(self.dashboard, self.storage, calendars, reader, now=self.clock)
        self.execution: Execution = self.handler.execute(self.job, Fence(self.job.id, 1), self.limiter)
        self.day = PlannedDay(DAY, (SUMMARY, "01", "02"), an_edition())

    def respond_with(self, *errors: Exception, report: ReportName = CLUBS) -> CollectionScenario:
        self.dashboard.answers[report, "01"] += errors
        return self

    def do(self, item: WorkItem = ITEM) -> Outcome:
        (outcome,) = self.execution.process(self.day, [item])
        return outcome

    @property
    def requested_reports(self) -> list[ReportName]:
        return [request.report for request in self.dashboard.report_requests]


def test_a_district_is_collected_with_its_three_reports_in_one_snapshot() -> None:
    """R2.2"""
    scenario = CollectionScenario()
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
    assert scenario.requested_reports == [CLUBS, DISTRICT, DIVISIONS]
    snapshot = scenario.storage.snapshots.rows[DAY, "01"]
    assert set(snapshot.reports) == set(DISTRICT_REPORTS)
    assert snapshot.reports[CLUBS].content == b"clubperformance~01~1/31/2024~2/9/2024~2023-2024"
    assert (snapshot.data_month, snapshot.as_of, snapshot.is_final) == (DAY, date(2024, 2, 9), True)
    assert (snapshot.job_id, snapshot.fetched_at) == (scenario.job.id, NOW)


def test_the_summary_is_collected_with_its_single_report() -> None:
    """R2.2"""
    scenario = CollectionScenario()
    assert scenario.do(WorkItem(DAY, SUMMARY)).kind is OutcomeKind.PROCESSED
    assert scenario.requested_reports == [ReportName.SUMMARY]
    assert set(scenario.storage.snapshots.rows[DAY, SUMMARY].reports) == {ReportName.SUMMARY}


def test_a_day_within_a_month_is_never_final() -> None:
    scenario = CollectionScenario()
    day = date(2024, 1, 30)
    scenario.day = PlannedDay(day, ("01",), an_edition(as_of=day, is_final=True))
    scenario.do(WorkItem(day, "01"))
    assert not scenario.storage.snapshots.rows[day, "01"].is_final


def test_a_day_without_an_edition_cannot_be_collected() -> None:
    scenario = CollectionScenario()
    scenario.day = PlannedDay(DAY, ("01",))
    with pytest.raises(ValueError, match="2024-01-31/01 has no edition"):
        scenario.do()


# Failures.


@pytest.mark.parametrize(
    "error", [ServerError("502"), ConnectionFailed("reset"), TimedOut("slow"), Truncated("cut"), HtmlPage("a page")]
)
def test_errors_are_retried_without_requesting_fetched_reports_again(error: Exception) -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(error, error, report=DISTRICT)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=3)
    assert scenario.requested_reports == [CLUBS, DISTRICT, DISTRICT, DISTRICT, DIVISIONS]
    assert scenario.limiter.back_offs == [(1, str(error)), (2, str(error))]


def test_an_item_that_keeps_failing_is_settled_as_failed_and_stores_nothing() -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(*[TimedOut("It took too long.")] * ATTEMPTS, report=DIVISIONS)
    assert scenario.do() == Outcome(
        ITEM, OutcomeKind.FAILED, NOW, "TIMEOUT", "It took too long.", ATTEMPTS, is_retryable=True
    )
    assert scenario.storage.snapshots.rows == {}
    assert [failures for failures, _ in scenario.limiter.back_offs] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "error", [NotCsv("neither"), UnexpectedStatus("403"), MalformedRow("two cells"), TooLarge("21 MB")]
)
def test_an_item_whose_report_stays_unusable_fails_after_five_attempts(error: DashboardError) -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(*[error] * ATTEMPTS, report=DISTRICT)
    assert scenario.do() == Outcome(
        ITEM, OutcomeKind.FAILED, NOW, error.code, error.message, ATTEMPTS, is_retryable=error.is_retryable
    )
    assert scenario.requested_reports == [
        CLUBS,
        *[DISTRICT] * (ATTEMPTS + 1),
    ]  # the last one is a known report of another district
    assert scenario.dashboard.report_requests[-1].district == "02"
    assert scenario.storage.snapshots.rows == {}


def test_a_request_that_cannot_be_sent_fails_its_item_at_once() -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(NotSent("invalid"), report=DISTRICT)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "DASHBOARD_ERROR", "invalid", 1, is_retryable=False)
    assert (scenario.requested_reports, scenario.limiter.back_offs) == ([CLUBS, DISTRICT], [])


def test_an_item_whose_responses_reach_the_deadline_fails_after_two_attempts() -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(*[DeadlineExceeded("Too slow.")] * 2, report=DISTRICT)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "TIMEOUT", "Too slow.", 2, is_retryable=True)


# Throttling.


def paused(until: datetime) -> str:
    return f"Too many requests. No request is sent before {until:%Y-%m-%d %H:%M:%S} UTC."


def test_a_requested_pause_costs_no_attempt_and_holds_every_request() -> None:
    """R12.4"""
    until = NOW + timedelta(minutes=2)
    scenario = CollectionScenario().respond_with(*[Throttled("Too many requests.", retry_at=until)] * (ATTEMPTS - 1))
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
    assert scenario.limiter.holds == [(until, paused(until))] * (ATTEMPTS - 1)
    assert scenario.limiter.back_offs == []


def test_an_item_that_always_gets_a_request_for_a_pause_fails_if_other_requests_succeed() -> None:
    """R12.4"""
    until = NOW + timedelta(minutes=2)
    scenario = CollectionScenario().respond_with(*[Throttled("Too many requests.", retry_at=until)] * ATTEMPTS)
    assert scenario.do() == Outcome(
        ITEM, OutcomeKind.FAILED, NOW, "THROTTLED", "Too many requests.", ATTEMPTS, is_retryable=True
    )
    assert scenario.dashboard.report_requests[-1].district == "02"


def test_a_source_that_does_not_say_when_holds_everybody_longer_each_time_and_costs_attempts() -> None:
    """R12.4"""
    scenario = CollectionScenario().respond_with(*[Throttled("Too many requests.")] * ATTEMPTS)
    outcome = scenario.do()
    assert (outcome.kind, outcome.reason, outcome.attempts, outcome.is_retryable) == (
        OutcomeKind.FAILED,
        "THROTTLED",
        ATTEMPTS,
        True,
    )
    reasons = [reason for _, reason in scenario.limiter.holds]
    assert {reason.partition(" No request")[0] for reason in reasons[:-1]} == {"Too many requests."}
    assert len(reasons) == ATTEMPTS
    assert "No usable response since" in reasons[-1]  # nobody else is asked for: something known decides


# Probes.


class ProbingLimiter(RecordingLimiter):
    """A limiter whose first request is a probe for a known report."""

    has_probed = False

    @contextmanager
    def request(self, item: str = "", report: str = "", *, is_first: bool = False) -> Iterator[bool]:
        with super().request(item, report, is_first=is_first) as asks_for_known:
            is_probe, self.has_probed = not self.has_probed, True
            yield is_probe or asks_for_known


@pytest.mark.parametrize(
    ("planned", "stored", "district"),
    [((SUMMARY, "203", "F"), ("01",), "203"), ((SUMMARY,), ("201", "F"), "201"), ((SUMMARY,), (), "F")],
)
def test_a_probe_for_a_summary_requests_the_calendar_page_of_a_district_that_exists(
    planned: tuple[str, ...], stored: tuple[str, ...], district: str
) -> None:
    """No district exists in every program year."""
    scenario = CollectionScenario(limiter=ProbingLimiter)
    scenario.storage.calendars.save(a_month(DAY, date(2024, 2, 9), districts=stored))
    scenario.day = PlannedDay(DAY, planned, an_edition())
    assert scenario.do(WorkItem(DAY, SUMMARY)).kind is OutcomeKind.PROCESSED
    assert (scenario.dashboard.page_requests, scenario.dashboard.page_districts) == ([(DAY, False)], [district])


@pytest.mark.parametrize(
    ("planned", "snapshots", "probed"),
    [(("01", "02", "03"), ("03",), "03"), (("01", "02"), (), "02"), (("01",), (), "F"), (("01",), ("01",), "F")],
)
def test_a_probe_for_a_district_requests_the_same_report_of_another_one(
    planned: tuple[str, ...], snapshots: tuple[str, ...], probed: str
) -> None:
    scenario = CollectionScenario(limiter=ProbingLimiter)
    scenario.storage.calendars.save(a_month(DAY, date(2024, 2, 9), districts=("01", "F")))
    for district in snapshots:
        scenario.storage.snapshots.put(a_snapshot(district=district))
    scenario.day = PlannedDay(DAY, planned, an_edition())
    assert scenario.do().kind is OutcomeKind.PROCESSED
    assert [(request.report, request.district) for request in scenario.dashboard.report_requests[:2]] == [
        (CLUBS, probed),
        (CLUBS, "01"),
    ]


# Empty reports.


def with_summary(scenario: CollectionScenario, *districts: str, as_of: date = date(2024, 2, 9)) -> CollectionScenario:
    columns = '"REGION","DISTRICT","Paid Clubs"\r\n'
    rows = "".join(f'"01","{district} ","3"\r\n' for district in districts)
    content = f"{columns}{rows}Month of Jan, As of 02/09/2024\r\n".encode()
    scenario.storage.snapshots.put(
        a_snapshot(district=SUMMARY, as_of=as_of, reports={ReportName.SUMMARY: a_report(content, len(districts))})
    )
    return scenario


@pytest.mark.parametrize("listed", [("02", "F"), ()])
def test_a_report_without_rows_is_not_published_if_the_summary_lacks_its_district(listed: tuple[str, ...]) -> None:
    scenario = with_summary(CollectionScenario(), *listed).respond_with(NoRows("No rows."))
    assert scenario.do() == Outcome(ITEM, OutcomeKind.SKIPPED, NOW, SkipReason.NOT_PUBLISHED, "No rows.", 1)
    assert scenario.requested_reports == [CLUBS]
    assert set(scenario.storage.snapshots.rows) == {(DAY, SUMMARY)}


@pytest.mark.parametrize("listed", [("1", "02"), None])
def test_a_report_without_rows_is_a_failure_if_the_summary_has_its_district_or_is_unknown(
    listed: tuple[str, ...] | None,
) -> None:
    """R5.4"""
    scenario = CollectionScenario() if listed is None else with_summary(CollectionScenario(), *listed)
    scenario.respond_with(*[NoRows("No rows.")] * ATTEMPTS)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "NO_ROWS", "No rows.", ATTEMPTS, is_retryable=True)


def test_the_summary_of_another_edition_does_not_decide_whether_a_district_is_published() -> None:
    scenario = with_summary(CollectionScenario(), "02", as_of=date(2024, 2, 8)).respond_with(
        *[NoRows("No rows.")] * ATTEMPTS
    )
    assert scenario.do().kind is OutcomeKind.FAILED


def test_a_date_whose_summary_stays_empty_is_not_published() -> None:
    scenario = CollectionScenario().respond_with(NoRows("No rows."))
    scenario.dashboard.answers[ReportName.SUMMARY, SUMMARY] += [NoRows("None."), NoRows("None.")]
    summary = WorkItem(DAY, SUMMARY)
    assert scenario.do(summary) == Outcome(summary, OutcomeKind.SKIPPED, NOW, SkipReason.NOT_PUBLISHED, "None.", 2)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.SKIPPED, NOW, SkipReason.NOT_PUBLISHED, "No rows.", 1)
    assert scenario.storage.snapshots.rows == {}


def test_a_report_that_was_empty_once_is_collected() -> None:
    scenario = CollectionScenario().respond_with(NoRows("No rows."))
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=2)


def test_an_empty_report_fails_the_item_if_its_other_reports_have_rows() -> None:
    """R5.4"""
    scenario = CollectionScenario().respond_with(*[NoRows("No rows.")] * ATTEMPTS, report=DISTRICT)
    assert scenario.do() == Outcome(ITEM, OutcomeKind.FAILED, NOW, "NO_ROWS", "No rows.", ATTEMPTS, is_retryable=True)


# Stops and store outages.


def test_a_drain_starts_no_item_and_finishes_started_items() -> None:
    """R7.2, R7.4"""
    scenario = CollectionScenario()
    scenario.limiter.drain()
    with pytest.raises(Stopped):
        scenario.do()
    assert scenario.requested_reports == []
    scenario.limiter.drain(on=False)
    answer = scenario.dashboard.report

    def report(request: ReportRequest) -> Report:
        scenario.limiter.drain()
        return answer(request)

    scenario.dashboard.report = report  # type: ignore[method-assign]
    assert scenario.do().kind is OutcomeKind.PROCESSED
    assert scenario.requested_reports == [CLUBS, DISTRICT, DIVISIONS]


def test_fetched_reports_are_stored_after_a_store_outage() -> None:
    """R10.3"""
    refused = list[bool]()

    class WaitingLimiter(RecordingLimiter):
        def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
            super()._back_off(failures, reason, is_over)
            refused.append(True)
            assert scenario.time.eventually(lambda: not scenario.storage.store.is_down)

    scenario = CollectionScenario(limiter=WaitingLimiter)
    put = scenario.storage.snapshots.put

    def put_while_down(*args: object, **options: object) -> bool:
        if not refused:
            scenario.storage.store.is_down = True
        return put(*args, **options)  # type: ignore[arg-type]

    scenario.storage.snapshots.put = put_while_down  # type: ignore[method-assign]
    outcomes: list[Outcome] = []
    thread = scenario.time.thread(lambda: outcomes.append(scenario.do()), "collects")
    thread.start()
    assert scenario.time.eventually(lambda: refused)
    scenario.storage.store.is_down = False
    thread.join(5)
    assert outcomes == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]
    assert scenario.limiter.back_offs == [(1, "The job store does not answer: it is down.")]
    assert scenario.requested_reports == [CLUBS, DISTRICT, DIVISIONS]
    assert scenario.storage.snapshots.puts == 1


def test_a_snapshot_of_a_former_runner_is_not_stored() -> None:
    scenario = CollectionScenario()
    scenario.storage.jobs.update(scenario.job.id, lambda job: job.claimed("next", NOW + timedelta(days=2)))
    with pytest.raises(LeaseLost):
        scenario.do()
    assert scenario.storage.snapshots.rows == {}


# Skipped items.


def test_stored_snapshots_that_are_as_recent_as_the_dashboard_are_skipped() -> None:
    """R10.3"""
    scenario = CollectionScenario()
    for district in ("01", "02", "99"):
        scenario.storage.snapshots.put(a_snapshot(district=district))
    scenario.storage.snapshots.put(a_snapshot(district=SUMMARY, as_of=date(2024, 2, 8)))
    assert sorted(scenario.execution.skips(scenario.day)) == [
        Outcome(WorkItem(DAY, district), OutcomeKind.SKIPPED, NOW, SkipReason.STORED) for district in ("01", "02")
    ]


def test_nothing_is_skipped_if_stored_items_are_fetched_again() -> None:
    scenario = CollectionScenario(skip_existing=False)
    scenario.storage.snapshots.put(a_snapshot())
    assert list(scenario.execution.skips(scenario.day)) == []


@pytest.mark.parametrize("skip_existing", [True, False])
def test_snapshots_stored_by_this_job_before_a_kill_count_as_processed(*, skip_existing: bool) -> None:
    """R10.3"""
    scenario = CollectionScenario(skip_existing=skip_existing)
    scenario.do()
    assert list(scenario.execution.skips(scenario.day)) == [Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)]


def test_the_close_of_an_open_month_is_collected_again() -> None:
    scenario = CollectionScenario()
    scenario.storage.snapshots.put(a_snapshot(is_final=False))
    scenario.day = PlannedDay(DAY, ("01",), an_edition(is_final=False))
    assert list(scenario.execution.skips(scenario.day)) == []


def test_each_request_is_counted_when_it_starts() -> None:
    """R12.4"""
    scenario, counts = CollectionScenario(), list[int]()
    answer = scenario.dashboard.report

    def report(request: ReportRequest) -> Report:
        counts.append(scenario.limiter.report().requests_made)
        return answer(request)

    scenario.dashboard.report = report  # type: ignore[method-assign]
    scenario.do()
    assert counts == [1, 2, 3]


def test_the_failure_of_a_refused_report_contains_its_beginning() -> None:
    refused = MissingColumn("No column.")
    refused.excerpt = '"Club"\n'
    assert CollectionScenario().respond_with(*[refused] * ATTEMPTS).do().excerpt == '"Club"\n'
    assert CollectionScenario().respond_with(*[ServerError("Broken.")] * ATTEMPTS).do().excerpt == ""


def test_local_problems_do_not_count_as_failures_of_an_item() -> None:
    scenario = CollectionScenario().respond_with(*[LocalProblem("DNS does not resolve it.")] * (2 * ATTEMPTS))
    assert scenario.do() == Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1)
