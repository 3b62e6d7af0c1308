"""The operator's commands: preview, start, retry, control and queries, and the errors they raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from backfill.domain import (
    ENDED_BY_OPERATORS,
    FIRST_DAY,
    SUMMARY,
    Actor,
    AuditAction,
    Cadence,
    Channel,
    Job,
    JobFilter,
    JobRequest,
    JobType,
    LimiterReport,
    OutcomeFilter,
    OutcomeKind,
    Plan,
    PlannedDay,
    Progress,
    RateLimits,
    Segment,
    SkipReason,
    SnapshotFilter,
    Status,
    WaitReason,
    WorkItem,
    parsed_job_type,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import (
    DashboardUnavailable,
    IdempotencyKeyReused,
    InvalidDateRange,
    InvalidJobState,
    InvalidJobType,
    InvalidRequest,
    JobConflict,
    JobNotFound,
    NothingToRetry,
    PlanChanged,
    SnapshotNotFound,
    StorageUnavailable,
)
from backfill.service.commands import BackfillService
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import (
    DAY,
    NOW,
    FakeClock,
    FakeHandler,
    a_job,
    a_plan,
    a_report,
    a_running_job,
    a_snapshot,
    all_items,
    an_outcome,
    limits_of,
)

PLAN = replace(a_plan(2, (SUMMARY, "01", "F")), skipped={SkipReason.STORED: 1}, requests=11, unpublished_dates=3)
ANN, BOB = Actor("ann", Channel.API), Actor("bob", Channel.CLI)
REQUEST = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=date(2024, 1, 30), end_date=DAY)


class Service(BackfillService):
    """A service with an in-memory storage and a fake job type. It counts how often it wakes the worker."""

    def __init__(self) -> None:
        self.clock, self.wakes = FakeClock(), list[int]()
        self.handler, self.memory = FakeHandler(PLAN), MemoryStorage()
        super().__init__(
            storage=self.memory,
            handlers={JobType.DATA_COLLECTION: self.handler},
            config=RuntimeConfig(clock=Clock(now=self.clock)),
            wake=lambda: self.wakes.append(1),
        )

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the service itself is frozen

    def begin(self, request: JobRequest = REQUEST, by: Actor = ANN, key: str = "") -> Job:
        return self.start(request, by=by, idempotency_key=key).job

    def ended(self, *outcomes: tuple[WorkItem, str], status: Status = Status.COMPLETED, **fields: Any) -> Job:
        """Stores an ended job with these failures, given as pairs of item and code."""
        job = self.memory.jobs.put_in(a_job(status=status, ended_at=NOW, **fields), PLAN)
        failures = [an_outcome(item, OutcomeKind.FAILED, reason=code) for item, code in outcomes]
        processed = [an_outcome(item) for item in all_items(PLAN) if item not in dict(outcomes)]
        for number, outcome in enumerate([*processed, *failures]):
            self.memory.jobs.update(job.id, lambda held: held, segment=Segment(number, (outcome,)))
        return job


# Validation of requests.


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        (date(2024, 1, 31), date(2024, 1, 30), {"startDate"}),
        (date(2024, 1, 31), NOW.date(), {"endDate"}),
        (date(2024, 1, 31), NOW.date() + timedelta(days=1), {"endDate"}),
        (FIRST_DAY - timedelta(days=1), date(2024, 1, 30), {"startDate"}),
        (NOW.date() + timedelta(days=1), NOW.date(), {"startDate", "endDate"}),
    ],
)
def test_an_invalid_date_range_is_refused_with_its_fields(
    start: date,
    end: date,
    fields: set[str],
) -> None:
    """R4.3, R4.4"""
    with pytest.raises(InvalidDateRange) as raised:
        Service().preview(replace(REQUEST, start_date=start, end_date=end))
    assert set(raised.value.details or ()) == fields


def test_the_widest_range_is_from_the_first_day_of_the_dashboard_to_yesterday() -> None:
    """R4.3, R4.4"""
    service = Service()
    service.preview(replace(REQUEST, start_date=FIRST_DAY, end_date=NOW.date() - timedelta(days=1)))
    service.preview(replace(REQUEST, start_date=DAY, end_date=DAY))


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"start_date": None}, {"startDate"}),
        ({"end_date": None}, {"endDate"}),
        ({"start_date": None, "end_date": None}, {"startDate", "endDate"}),
    ],
)
def test_a_collection_requires_both_dates(fields: dict[str, Any], missing: set[str]) -> None:
    """R4.1"""
    with pytest.raises(InvalidRequest, match="required for data-collection") as raised:
        Service().preview(replace(REQUEST, **fields))
    assert set(raised.value.details or ()) == missing


def test_analytics_accept_no_dates_and_refuse_empty_date_ranges() -> None:
    """R4.2, R4.5"""
    request = JobRequest(job_type=JobType.ANALYTICS_GENERATION)
    config = request.config(RateLimits(), NOW.date())
    assert (config.start_date, config.end_date) == (None, None)
    today = NOW.date()
    replace(request, start_date=today - timedelta(days=1)).config(RateLimits(), today)
    replace(request, end_date=FIRST_DAY).config(RateLimits(), today)
    for empty in (
        replace(request, end_date=today),
        replace(request, start_date=today),
        replace(request, end_date=FIRST_DAY - timedelta(days=1)),
    ):
        with pytest.raises(InvalidDateRange):
            empty.config(RateLimits(), today)


def test_districts_are_normalised_sorted_and_deduplicated() -> None:
    config = replace(REQUEST, target_districts=("F", "1", "100", "01", " 9")).config(RateLimits(), NOW.date())
    assert config.target_districts == ("01", "09", "100", "F")
    with pytest.raises(InvalidRequest, match="'all' is not a district") as raised:
        replace(REQUEST, target_districts=("all",)).config(RateLimits(), NOW.date())
    assert set(raised.value.details or ()) == {"targetDistricts"}


def test_only_the_two_job_types_are_accepted() -> None:
    """R2.1"""
    assert [parsed_job_type(name) for name in ("data-collection", "analytics-generation")] == list(JobType)
    with pytest.raises(InvalidJobType, match="must be data-collection or analytics-generation; it was 'tea'"):
        parsed_job_type("tea")


def test_an_unavailable_job_type_is_refused() -> None:
    """R2.1"""
    request = JobRequest(job_type=JobType.ANALYTICS_GENERATION)
    service = Service()
    for command in (service.preview, lambda request: service.start(request, by=ANN)):
        with pytest.raises(InvalidJobType, match="analytics-generation is not offered by this version; use data-coll"):
            command(request)


def test_only_equal_requests_have_equal_fingerprints() -> None:
    different = [
        REQUEST,
        replace(REQUEST, start_date=date(2024, 1, 29)),
        replace(REQUEST, end_date=date(2024, 1, 30)),
        replace(REQUEST, target_districts=("01",)),
        replace(REQUEST, target_districts=("02",)),
        replace(REQUEST, cadence=Cadence.MONTH_ENDS),
        replace(REQUEST, skip_existing=False),
        replace(REQUEST, plan_id="plan-1"),
        replace(REQUEST, job_type=JobType.ANALYTICS_GENERATION),
    ]
    fingerprints = [request.fingerprint() for request in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert replace(REQUEST).fingerprint() == REQUEST.fingerprint()


# Preview.


def test_a_preview_shows_the_plan_and_creates_nothing() -> None:
    """R11.2, R11.3"""
    service = Service()
    preview = service.preview(replace(REQUEST, target_districts=("1",)))
    assert (preview.plan, preview.job_type) == (PLAN, JobType.DATA_COLLECTION)
    assert preview.config.target_districts == ("01",)
    assert preview.plan_id == f"plan-6-1-11-60_3_500_30000_2-{PLAN.digest}"
    assert preview.duration.seconds == pytest.approx(11 * RateLimits().interval.total_seconds())
    assert preview.duration.low < preview.duration.seconds < preview.duration.high
    assert (service.memory.jobs.rows, service.wakes) == ({}, [])


def test_with_high_limits_the_duration_depends_on_the_dashboard() -> None:
    """R11.3"""
    service = Service()
    service.change_rate_limits({"max_requests_per_minute": 6000, "min_delay_ms": 0}, by=ANN)
    assert service.preview(REQUEST).duration.seconds == pytest.approx(1.1)


# Start.


def test_a_start_stores_a_pending_job_and_wakes_the_worker() -> None:
    """R1.2, R2.4"""
    service = Service()
    started = service.start(REQUEST, by=ANN)
    job = started.job
    assert started.is_new
    (stored,) = service.memory.jobs.rows.values()
    assert service.job(stored.id) == job
    assert (job.status, job.job_type, job.created_at, job.created_by) == (
        Status.PENDING,
        JobType.DATA_COLLECTION,
        NOW,
        "ann",
    )
    assert (stored.progress.total_items, stored.progress.expected_skips) == (6, 1)
    assert stored.progress.throughput.expected_each is not None
    assert service.memory.jobs.plan(job.id).digest == PLAN.digest
    assert service.wakes == [1]


def test_a_job_keeps_a_copy_of_the_limits_at_its_start() -> None:
    """R12.2, R12.3, R12.5"""
    service = Service()
    stored = service.change_rate_limits({"max_requests_per_minute": 30}, by=ANN)
    assert (stored.updated_at, stored.updated_by) == (NOW, "ann")
    job = service.begin()
    service.change_rate_limits({"max_concurrent": 1}, by=BOB)
    assert service.job(job.id).config.rate_limits == limits_of(max_requests_per_minute=30)
    assert service.rate_limits().limits == limits_of(max_requests_per_minute=30, max_concurrent=1)
    with pytest.raises(InvalidRequest):
        service.change_rate_limits({"max_concurrent": 0}, by=BOB)
    assert service.rate_limits().updated_by == "bob"
    assert service.rate_limits().limits.max_concurrent == 1


@pytest.mark.parametrize(
    "active_job", [a_job(), a_running_job(), a_job(status=Status.PAUSED)], ids=lambda job: job.status
)
def test_a_second_start_is_refused_before_planning_and_names_the_active_job(active_job: Job) -> None:
    """R3.1, R3.2"""
    service = Service()
    service.memory.jobs.put_in(active_job)
    with pytest.raises(
        JobConflict, match=f"Job {active_job.id} \\(data-collection\\) is {active_job.status} at 0 %"
    ) as raised:
        service.begin()
    assert ("resume it" in raised.value.message) is (active_job.status is Status.PAUSED)
    details = raised.value.details or {}
    assert (details["jobId"], details["path"]) == (str(active_job.id), f"/api/admin/backfill/{active_job.id}")
    assert details["progress"] == {"totalItems": 6, "settledItems": 0, "percent": 0}
    assert (service.handler.configs, service.wakes, len(service.memory.jobs.rows)) == ([], [], 1)


def test_a_request_is_validated_before_the_check_for_conflicts() -> None:
    service = Service()
    service.memory.jobs.put_in(a_running_job())
    with pytest.raises(InvalidDateRange):
        service.begin(replace(REQUEST, end_date=NOW.date()))


def test_a_preview_is_possible_while_a_job_runs() -> None:
    """R11.2"""
    service = Service()
    service.memory.jobs.put_in(a_running_job())
    assert service.preview(REQUEST).plan == PLAN


def test_the_storage_refuses_a_start_if_another_job_started_during_planning() -> None:
    """R3.1, R3.3"""
    service = Service()

    def another_starts() -> None:
        service.memory.jobs.put_in(a_running_job())

    service.handler.meanwhile = another_starts
    with pytest.raises(JobConflict):
        service.begin()
    assert len(service.memory.jobs.rows) == 1


def test_a_new_job_displaces_a_stale_job() -> None:
    """R3.4"""
    service = Service()
    stale = service.memory.jobs.put_in(a_running_job())
    service.clock.forward(minutes=9, seconds=59)
    with pytest.raises(JobConflict):
        service.begin()
    service.clock.forward(seconds=1)
    job = service.begin()
    displaced_job = service.job(stale.id)
    assert (displaced_job.status, displaced_job.token, displaced_job.ended_at) == (Status.FAILED, 2, service.clock())
    assert displaced_job.error == "Displaced by a new job: no progress for 10 minutes."
    assert service.active() == job


def test_no_job_is_created_if_the_calendar_is_unavailable() -> None:
    service = Service()

    def fail() -> None:
        raise DashboardUnavailable("The calendar is needed and cannot be had.")

    service.handler.meanwhile = fail
    with pytest.raises(DashboardUnavailable):
        service.begin()
    assert (service.memory.jobs.rows, service.wakes) == ({}, [])


# The plan of a preview.


def test_a_start_runs_exactly_the_plan_that_was_previewed() -> None:
    """R11.4"""
    service = Service()
    job = service.begin(replace(REQUEST, plan_id=service.preview(REQUEST).plan_id))
    assert service.memory.jobs.plan(job.id).digest == PLAN.digest


@pytest.mark.parametrize(
    ("plan", "after"),
    [
        (a_plan(3), {"totalItems": 9, "skippedItems": 0, "estimatedRequests": 0}),
        (
            replace(PLAN, skipped={SkipReason.STORED: 4}, requests=2),
            {"totalItems": 6, "skippedItems": 4, "estimatedRequests": 2},
        ),
        (
            replace(PLAN, days=(replace(PLAN.days[0], date=date(2024, 1, 1)), PLAN.days[1])),
            {"totalItems": 6, "skippedItems": 1, "estimatedRequests": 11},
        ),
    ],
)
def test_a_plan_that_changed_since_the_preview_is_refused_with_the_changes(
    plan: Plan,
    after: dict[str, int],
) -> None:
    """R11.4"""
    service = Service()
    plan_id = service.preview(REQUEST).plan_id
    service.handler.planned = plan
    with pytest.raises(PlanChanged, match="has changed since the preview") as raised:
        service.begin(replace(REQUEST, plan_id=plan_id))
    assert raised.value.details == {
        "before": {"totalItems": 6, "skippedItems": 1, "estimatedRequests": 11},
        "now": after,
        "rateLimits": {},
        "planId": service.preview(REQUEST).plan_id,
    }
    assert "other items" in raised.value.message
    assert service.memory.jobs.rows == {}


@pytest.mark.parametrize("plan_id", ["plan", "plan-1-2-3", "plan-6-1-11-" + "G" * 16, "plan-a-b-c-" + "0" * 16, "x"])
def test_an_invalid_plan_id_is_refused(plan_id: str) -> None:
    with pytest.raises(InvalidRequest, match="planId is not that of a preview") as raised:
        Service().begin(replace(REQUEST, plan_id=plan_id))
    assert set(raised.value.details or ()) == {"planId"}


# Idempotency.


def test_the_same_key_and_request_return_the_same_job_during_and_after_its_run() -> None:
    service = Service()
    job = service.begin(key="k")
    again = service.start(REQUEST, by=ANN, idempotency_key="k")
    assert (again.job.id, again.is_new, service.wakes) == (job.id, False, [1])
    service.cancel(job.id, by=ANN)
    assert service.begin(key="k").id == job.id
    assert len(service.handler.configs) == 1


def test_the_same_key_with_another_request_is_refused() -> None:
    service = Service()
    job = service.begin(key="k")
    with pytest.raises(IdempotencyKeyReused, match=f"created job {job.id}. Use a new key"):
        service.begin(replace(REQUEST, skip_existing=False), key="k")
    with pytest.raises(IdempotencyKeyReused):
        service.retry(job.id, by=ANN, idempotency_key="k")


def test_idempotency_keys_of_different_operators_are_independent() -> None:
    service = Service()
    job = service.begin(key="k")
    with pytest.raises(JobConflict):
        service.begin(by=BOB, key="k")
    service.cancel(job.id, by=ANN)
    assert service.begin(by=BOB, key="k").id != job.id
    with pytest.raises(IdempotencyKeyReused):
        service.begin(replace(REQUEST, skip_existing=False), by=ANN, key="k")


def test_without_a_key_each_start_creates_a_job() -> None:
    service = Service()
    first = service.begin()
    service.cancel(first.id, by=ANN)
    assert service.begin().id != first.id


def test_an_idempotency_key_expires_after_a_day() -> None:
    service = Service()
    first = service.begin(key="k")
    service.cancel(first.id, by=ANN)
    service.clock.forward(hours=24)
    assert service.begin(key="k").id == first.id
    service.clock.forward(seconds=1)
    assert service.begin(replace(REQUEST, skip_existing=False), key="k").id != first.id


@pytest.mark.parametrize("meanwhile", ["runs", "ended", "stored what was planned"])
def test_the_slower_of_two_concurrent_equal_starts_returns_the_job_of_the_faster(meanwhile: str) -> None:
    """R3.1"""
    service = Service()
    faster = list[Job]()
    request = replace(REQUEST, plan_id=service.preview(REQUEST).plan_id)

    def while_it_is_planned() -> None:
        faster.append(service.begin(request, key="k"))
        if meanwhile == "ended":
            service.cancel(faster[0].id, by=ANN)
        if meanwhile == "stored what was planned":
            service.handler.planned = replace(PLAN, skipped={SkipReason.STORED: 2})

    service.handler.meanwhile = while_it_is_planned
    slower = service.start(request, by=ANN, idempotency_key="k")
    assert (slower.job.id, slower.is_new) == (faster[0].id, False)
    assert len(service.memory.jobs.rows) == 1


def test_a_start_returns_the_job_of_an_equal_start_during_the_conflict_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3.1"""
    service = Service()
    faster = list[Job]()

    def active() -> Job | None:
        monkeypatch.undo()
        faster.append(service.begin(key="k"))
        return service.memory.jobs.active()

    monkeypatch.setattr(service.memory.jobs, "active", active)
    slower = service.start(REQUEST, by=ANN, idempotency_key="k")
    assert (slower.job.id, slower.is_new) == (faster[0].id, False)


# Retry.

ITEMS = all_items(PLAN)
FAILED = ((ITEMS[1], "TIMEOUT"), (ITEMS[2], "TIMEOUT"), (ITEMS[5], "NO_ROWS"))


def test_a_retry_is_a_new_job_with_exactly_the_failed_items() -> None:
    service = Service()
    failed = service.ended(*FAILED)
    service.change_rate_limits({"max_requests_per_minute": 30}, by=ANN)
    started = service.retry(failed.id, by=BOB)
    job = started.job
    assert started.is_new
    assert (job.retry_of, job.created_by, job.status, job.progress.total_items) == (failed.id, "bob", Status.PENDING, 3)
    assert all_items(service.memory.jobs.plan(job.id)) == [ITEMS[1], ITEMS[2], ITEMS[5]]
    assert (job.config.start_date, job.config.end_date) == (ITEMS[1].date, ITEMS[5].date)
    assert job.config.rate_limits == limits_of(max_requests_per_minute=30)


@pytest.mark.parametrize(
    ("filters", "items"),
    [
        ({"codes": ["NO_ROWS"]}, [ITEMS[5]]),
        ({"codes": ["NO_ROWS", "TIMEOUT"]}, [ITEMS[1], ITEMS[2], ITEMS[5]]),
        ({"districts": ["01"]}, [ITEMS[1]]),
        ({"districts": ["1"]}, [ITEMS[1]]),
        ({"districts": ["F"], "codes": ["TIMEOUT"]}, [ITEMS[2]]),
    ],
)
def test_a_retry_can_be_limited_to_codes_and_districts(filters: dict[str, Any], items: list[WorkItem]) -> None:
    service = Service()
    job = service.retry(service.ended(*FAILED).id, by=ANN, **filters).job
    assert all_items(service.memory.jobs.plan(job.id)) == items


def test_a_retry_includes_more_failures_than_fit_on_a_page() -> None:
    service = Service()
    service.handler.planned = a_plan(30, (SUMMARY, *(f"{n:02d}" for n in range(1, 80))))
    items = all_items(service.handler.planned)
    failed = service.memory.jobs.put_in(a_job(status=Status.FAILED, ended_at=NOW), service.handler.planned)
    service.memory.jobs.update(
        failed.id,
        lambda job: job,
        segment=Segment(0, tuple(an_outcome(item, OutcomeKind.FAILED, reason="TIMEOUT") for item in items)),
    )
    job = service.retry(failed.id, by=ANN).job
    assert job.progress.total_items == len(items) == 2400


def test_the_retry_of_an_active_job_is_refused() -> None:
    service = Service()
    # The job is stale, so it causes no conflict.
    job = service.memory.jobs.put_in(a_running_job(progressed_at=NOW - timedelta(minutes=11)))
    with pytest.raises(InvalidJobState, match="can be retried once it has ended"):
        service.retry(job.id, by=ANN)


def test_a_retry_is_refused_while_another_job_runs() -> None:
    """R3.2"""
    service = Service()
    failed = service.ended(*FAILED)
    running = service.memory.jobs.put_in(a_running_job())
    with pytest.raises(JobConflict, match=str(running.id)):
        service.retry(failed.id, by=ANN)


@pytest.mark.parametrize("filters", [{}, {"codes": ["HTML_PAGE"]}, {"districts": ["99"]}])
def test_a_retry_without_matching_failures_is_refused(filters: dict[str, Any]) -> None:
    service = Service()
    ended = service.ended(*(FAILED if filters else ()), progress=Progress(total_items=6, processed=6))
    kind = " of that kind" if filters else ""
    with pytest.raises(NothingToRetry, match=f"Job {ended.id} has no failed item{kind}; there is nothing to retry.$"):
        service.retry(ended.id, by=ANN, **filters)


def test_the_retry_of_a_cancelled_job_without_failures_suggests_a_new_job() -> None:
    service = Service()
    cancelled = service.ended(status=Status.CANCELLED, progress=Progress(total_items=6, processed=2))
    with pytest.raises(NothingToRetry, match="A new job over its dates processes its unsettled items"):
        service.retry(cancelled.id, by=ANN)


def test_failed_items_that_the_dashboard_no_longer_publishes_cannot_be_retried() -> None:
    service = Service()
    ended = service.ended(*FAILED)
    service.handler.planned = Plan((PlannedDay(date(2024, 1, 1), ("01",)),))
    with pytest.raises(NothingToRetry, match="no longer publishes"):
        service.retry(ended.id, by=ANN)


def test_the_retry_of_an_unknown_job_is_refused() -> None:
    with pytest.raises(JobNotFound):
        Service().retry(uuid4(), by=ANN)


def test_a_retry_with_the_same_key_and_filter_returns_the_same_job() -> None:
    service = Service()
    failed = service.ended(*FAILED)

    def retry(**filters: Any) -> Job:
        return service.retry(failed.id, by=ANN, idempotency_key="k", **filters).job

    job = retry(codes=["TIMEOUT"], districts=["01", "F"])
    assert retry(districts=["F", "01"], codes=["TIMEOUT"]).id == job.id
    with pytest.raises(IdempotencyKeyReused):
        retry(codes=["NO_ROWS"], districts=["01", "F"])


# Control of active jobs.


def test_a_cancel_returns_the_previous_status_and_wakes_the_worker() -> None:
    """R7.3"""
    service = Service()
    job = service.memory.jobs.put_in(a_running_job())
    cancelled = service.cancel(job.id, by=ANN)
    assert (cancelled.job.status, cancelled.previous_status) == (Status.CANCELLING, Status.RUNNING)
    assert service.wakes == [1]
    service.clock.forward(seconds=15)
    cancelled = service.cancel(job.id, by=ANN)
    assert (cancelled.job.status, cancelled.previous_status) == (Status.CANCELLED, Status.CANCELLING)
    assert cancelled.job.cancelled_at == NOW
    with pytest.raises(InvalidJobState):
        service.cancel(job.id, by=ANN)


def test_a_pending_job_can_be_paused_and_resumed_and_its_limits_lowered() -> None:
    service = Service()
    job = service.begin()
    assert service.pause(job.id, by=ANN).status is Status.PAUSED
    assert service.resume(job.id, by=ANN).status is Status.PENDING
    lowered = service.lower_limits(job.id, {"max_requests_per_minute": 10}, by=ANN)
    assert lowered.config.rate_limits == limits_of(max_requests_per_minute=10)
    with pytest.raises(InvalidJobState, match="can only be lowered"):
        service.lower_limits(job.id, {"max_requests_per_minute": 11}, by=ANN)
    with pytest.raises(InvalidRequest):
        service.lower_limits(job.id, {"max_requests_per_minute": 0}, by=ANN)


@pytest.mark.parametrize(
    "command",
    [
        lambda service: service.job(uuid4()),
        lambda service: service.cancel(uuid4(), by=ANN),
        lambda service: service.pause(uuid4(), by=ANN),
        lambda service: service.resume(uuid4(), by=ANN),
        lambda service: service.try_now(uuid4(), by=ANN),
        lambda service: service.lower_limits(uuid4(), {}, by=ANN),
        lambda service: service.items(uuid4(), OutcomeFilter(), limit=1, offset=0),
    ],
    ids=["job", "cancel", "pause", "resume", "try-now", "lower", "items"],
)
def test_an_unknown_job_is_not_found(command: Callable[[Service], object]) -> None:
    with pytest.raises(JobNotFound, match="There is no job"):
        command(Service())


# Ending a wait.


def held(service: Service, waits_for: WaitReason | None = WaitReason.ASKED_TO_WAIT) -> Job:
    until = NOW + timedelta(hours=24)
    service.storage.control.update_schedule(lambda schedule: schedule.held(until, "429", NOW))
    limiter = LimiterReport(waits_for=waits_for, waiting_until=until, reason="It asks to wait.")
    return service.memory.jobs.put_in(a_running_job(progress=Progress(total_items=6, limiter=limiter)))


@pytest.mark.parametrize("waits_for", sorted(ENDED_BY_OPERATORS))
def test_an_ended_wait_is_stored_with_its_audit_entry_and_ends_the_hold_of_all_processes(waits_for: WaitReason) -> None:
    service = Service()
    job = held(service, waits_for)
    assert service.try_now(job.id, by=BOB).webhook_events.hold_ended_at == NOW
    (entry,) = service.audit(job.id, limit=5, offset=0).rows
    assert (entry.action, entry.actor, entry.changes) == (
        AuditAction.TRIED_NOW,
        BOB,
        {"waitingUntil": ((NOW + timedelta(hours=24)).isoformat().replace("+00:00", "Z"), None)},
    )
    assert service.storage.control.update_schedule(lambda schedule: schedule).hold(NOW) is None
    assert service.wakes


@pytest.mark.parametrize("waits_for", [None, *sorted(set(WaitReason) - ENDED_BY_OPERATORS)])
def test_a_job_without_a_wait_that_can_be_ended_is_refused_with_what_it_does(waits_for: WaitReason | None) -> None:
    service = Service()
    job = held(service, waits_for)
    with pytest.raises(InvalidJobState, match=r"is running and has no wait that can be ended\. It asks to wait\."):
        service.try_now(job.id, by=BOB)
    assert service.audit(job.id, limit=5, offset=0).rows == []
    assert service.storage.control.update_schedule(lambda schedule: schedule).hold(NOW) is not None


# Queries and pruning.


def test_jobs_are_listed_newest_first_and_by_status() -> None:
    """R1.6, R6.3"""
    service = Service()
    jobs = [
        service.memory.jobs.put_in(a_job(status=status, created_at=NOW + timedelta(minutes=n), ended_at=NOW))
        for n, status in enumerate([Status.COMPLETED, Status.FAILED, Status.CANCELLED])
    ]
    page = service.jobs(JobFilter(), limit=2, offset=0)
    assert ([job.id for job in page.rows], page.total) == ([jobs[2].id, jobs[1].id], 3)
    page = service.jobs(JobFilter(statuses=frozenset({Status.FAILED})), limit=20, offset=0)
    assert ([job.id for job in page.rows], page.total) == ([jobs[1].id], 1)


def test_the_items_of_a_job_are_listed_in_the_order_of_their_outcomes() -> None:
    """R5.4"""
    service = Service()
    job = service.ended(*FAILED)
    page = service.items(job.id, OutcomeFilter(kind=OutcomeKind.FAILED), limit=2, offset=1)
    assert ([outcome.item for outcome in page.rows], page.total) == ([ITEMS[2], ITEMS[5]], 3)


def test_a_stored_snapshot_is_returned_and_an_unknown_one_is_not_found() -> None:
    service = Service()
    name = next(iter(a_snapshot(district=SUMMARY).reports))
    summary = a_snapshot(
        district=SUMMARY,
        reports={name: a_report(b'"REGION","DISTRICT"\r\n"01","02"\r\nMonth of Jan, As of 02/09/2024\r\n')},
    )
    service.memory.snapshots.put(summary)
    assert service.history.snapshot(DAY, SUMMARY) == summary
    assert service.history.rows(summary) == [{"REGION": "01", "DISTRICT": "02"}]
    assert service.history.page(SnapshotFilter(), limit=5, offset=0).total == 1
    with pytest.raises(SnapshotNotFound, match="No snapshot is stored for 01 on 2024-01-31"):
        service.history.snapshot(DAY, "01")


def test_ended_jobs_are_pruned_after_the_retention_period() -> None:
    """R1.7"""
    service = Service()
    old = service.memory.jobs.put_in(a_job(status=Status.FAILED, ended_at=NOW - timedelta(days=30, seconds=1)))
    young = service.memory.jobs.put_in(a_job(status=Status.FAILED, ended_at=NOW - timedelta(days=30)))
    assert service.prune() == 1
    assert set(service.memory.jobs.rows) == {young.id} != {old.id}


def test_an_unavailable_store_is_reported() -> None:
    service = Service()
    service.ping()
    service.memory.store.is_down = True
    for command in (service.ping, service.active, service.begin):
        with pytest.raises(StorageUnavailable):
            command()
