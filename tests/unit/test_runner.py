"""One run of a claimed job with an in-memory storage, in virtual time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from backfill.domain import (
    SUMMARY,
    Job,
    JobConfig,
    LimiterState,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    Progress,
    RateLimits,
    Status,
    WorkItem,
)
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.errors import LeaseLost, Stopped, StorageUnavailable
from backfill.rate_limit import Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import (
    DAY,
    FAST,
    FakeExecution,
    a_job,
    a_plan,
    all_items,
    an_outcome,
    skipped,
)
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


DISTRICTS = (SUMMARY, *(f"{n:02d}" for n in range(1, 10)))


class Run:
    """A claimed job and its runner in a thread."""

    def __init__(
        self, plan: Plan, execution: FakeExecution, *, storage: MemoryStorage | None = None, limits: RateLimits = FAST
    ) -> None:
        self.storage, self.execution = storage or MemoryStorage(), execution
        self.storage.ledger.clock = execution.clock = clock
        now, jobs, control = clock.now(), self.storage.jobs, self.storage.control
        if jobs.active() is None:
            config = JobConfig(start_date=plan.days[0].date if plan.days else None, end_date=DAY, rate_limits=limits)
            jobs.put_in(
                a_job(
                    created_at=now, progressed_at=now, config=config, progress=Progress(total_items=plan.total_items)
                ),
                plan,
            )
        claim = JobManager(self.storage, RuntimeConfig(clock=clock)).claim("runner", now)
        assert claim is not None
        self.claim, self.stop, self.errors = claim, clock.event(), list[BaseException]()
        self.limiter = Limiter(limits, lambda change: control.update_schedule(change, fence=claim.fence), clock=clock)
        self.runner = Runner(claim, execution, self.limiter, stop=self.stop, disconnect=control.disconnect)
        self._thread = clock.thread(self._run, "runner")

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as exc:  # noqa: BLE001 - `ended` reports it
            self.errors.append(exc)

    def begun(self) -> Run:
        self._thread.start()
        return self

    def ended(self, within: float = 10) -> Job:
        self._thread.join(within)
        assert not self._thread.is_alive()
        assert self.errors == []
        return self.job

    @property
    def job(self) -> Job:
        return self.storage.jobs.rows[self.claim.job.id]

    @property
    def ledger(self) -> list[Outcome]:
        return self.storage.ledger.of(self.job.id)

    def change(self, change: Callable[[Job], Job]) -> float:
        self.storage.jobs.update(self.job.id, change)
        return clock.monotonic()


def lasting(seconds: float) -> Callable[[WorkItem], Outcome]:
    """Returns a function that processes an item in that time."""

    def do(item: WorkItem) -> Outcome:
        clock.sleep(seconds)
        return an_outcome(item, at=clock.now())

    return do


def test_every_item_is_processed_and_recorded_once_and_the_job_ends() -> None:
    """R5.1, R10.2"""
    plan = a_plan(5, DISTRICTS)
    run = Run(plan, FakeExecution()).begun()
    job = run.ended()
    assert (job.status, job.progress.processed, job.progress.percent, job.lease) == (
        Status.COMPLETED,
        plan.total_items,
        100,
        None,
    )
    assert Counter(outcome.item for outcome in run.ledger) == Counter(all_items(plan))
    assert Counter(run.execution.items) == Counter(all_items(plan))
    assert run.execution.items[0] == all_items(plan)[0]
    assert clock.eventually(lambda: run.storage.store.disconnects > 0)


def test_a_plan_without_items_is_completed_at_once() -> None:
    job = Run(Plan(()), FakeExecution()).begun().ended()
    assert job.status is Status.COMPLETED


@pytest.mark.parametrize("concurrent", [1, 4])
def test_as_many_items_as_the_limits_allow_are_in_flight(concurrent: int) -> None:
    """R12.1"""
    limits = FAST.changed({"max_concurrent": concurrent})
    run = Run(a_plan(2, DISTRICTS), FakeExecution(lasting(0.01)), limits=limits).begun()
    assert run.ended().status is Status.COMPLETED
    assert run.execution.most_in_flight == concurrent


def test_items_without_work_are_skipped_and_not_started() -> None:
    """R5.1, R10.3"""
    plan = a_plan(3, DISTRICTS)
    run = Run(plan, FakeExecution(skips=lambda day: skipped([*day.items()][:4]))).begun()
    progress = run.ended().progress
    assert (progress.processed, progress.skipped) == (18, {"stored": 12})
    assert len(run.execution.items) == 18
    assert not {item.district for item in run.execution.items} & set(DISTRICTS[:4])


def test_a_job_is_completed_if_some_items_failed_and_failed_if_all_items_failed() -> None:
    """R5.4"""

    def fail(item: WorkItem) -> Outcome:
        return an_outcome(item, OutcomeKind.FAILED, clock.now(), reason="TIMEOUT", message="It took too long.")

    plan = a_plan(1, DISTRICTS)
    some = Run(plan, FakeExecution(lambda item: fail(item) if item.district == "01" else an_outcome(item))).begun()
    assert (some.ended().status, some.job.progress.failed) == (Status.COMPLETED, 1)
    assert [error.code for error in some.job.progress.errors] == ["TIMEOUT"]
    every = Run(plan, FakeExecution(fail)).begun()
    assert (every.ended().status, every.job.error) == (Status.FAILED, "All 10 items failed.")


def test_the_reservation_is_returned_when_the_job_ends() -> None:
    def request(item: WorkItem) -> Outcome:
        with run.limiter.request():
            return an_outcome(item)

    run = Run(a_plan(1, ("01",)), FakeExecution(request))
    run.begun()
    assert clock.eventually(lambda: run.limiter.report().requests_made == 1)
    assert run.ended().status is Status.COMPLETED
    reserved_until = run.storage.control.schedule.reserved_until
    assert reserved_until is not None
    (started_at,) = run.limiter._counts.starts
    ended_ago = timedelta(seconds=clock.monotonic() - started_at)
    assert reserved_until - (clock.now() - ended_ago) < timedelta(seconds=1.5)  # a reservation lasts for two


# Stops and resumes.


def test_a_clean_stop_releases_the_lease_and_the_next_runner_processes_only_the_rest() -> None:
    """R1.4, R10.1, R10.3"""
    plan = a_plan(30, DISTRICTS)
    first = Run(plan, FakeExecution(lasting(0.01))).begun()
    assert clock.eventually(lambda: len(first.execution.items) >= 20)
    first.stop.set()
    stopped = clock.monotonic()
    job = first.ended(3)
    assert clock.monotonic() - stopped < 2
    assert (job.status, job.lease) == (Status.PENDING, None)
    recorded = {outcome.item for outcome in first.ledger}
    assert 0 < len(recorded) < plan.total_items
    assert job.progress.processed == len(recorded)
    second = Run(plan, FakeExecution(), storage=first.storage).begun()
    job = second.ended()
    assert (job.status, job.resume_count, job.progress.processed) == (Status.COMPLETED, 1, plan.total_items)
    assert not recorded & set(second.execution.items)
    assert Counter(outcome.item for outcome in second.ledger) == Counter(all_items(plan))


def test_a_clean_stop_does_not_wait_for_a_hanging_item() -> None:
    """R10.1"""
    may_end = clock.event()

    def do(item: WorkItem) -> Outcome:
        may_end.wait(20)
        return an_outcome(item)

    run = Run(a_plan(2, DISTRICTS), FakeExecution(do)).begun()
    assert clock.eventually(lambda: len(run.execution.items) == 3)
    run.stop.set()
    job = run.ended(3)
    may_end.set()
    assert (job.status, run.ledger) == (Status.PENDING, [])


def test_items_recorded_before_a_kill_are_not_processed_again() -> None:
    """R10.1, R10.3: the lease was not released."""
    plan = a_plan(60, DISTRICTS)
    first = Run(plan, FakeExecution(lasting(0.02))).begun()
    assert clock.eventually(lambda: first.storage.ledger.of(first.job.id))
    with first.storage.store.lock:  # from here on the runner is dead: its lease expires, and another runner takes over
        recorded = {outcome.item for outcome in first.ledger}
        now = clock.now()
        first.storage.jobs.rows[first.job.id] = first.job.claimed("next", now + timedelta(seconds=60)).released(
            first.job.token + 1, now
        )
    assert first.ended().status is Status.PENDING
    second = Run(plan, FakeExecution(), storage=first.storage).begun()
    assert second.ended().status is Status.COMPLETED
    assert not recorded & set(second.execution.items)
    assert Counter(outcome.item for outcome in second.ledger) == Counter(all_items(plan))


# Cancelling and pausing.


def test_after_a_cancel_no_item_starts_and_items_in_flight_finish() -> None:
    """R7.2, R7.3, R7.4"""
    plan = a_plan(50, DISTRICTS)
    run = Run(plan, FakeExecution(lasting(0.03))).begun()
    assert clock.eventually(lambda: len(run.execution.items) >= 10)
    requested_at = run.change(lambda job: job.cancel_requested(clock.now()))
    job = run.ended(5)
    assert run.execution.started[-1][0] - requested_at < 1
    assert (job.status, job.lease) == (Status.CANCELLED, None)
    assert {outcome.item for outcome in run.ledger} == set(run.execution.items)
    assert job.progress.processed == len(run.execution.items) < plan.total_items


@pytest.mark.parametrize(
    ("request_stop", "expected"),
    [(Job.cancel_requested, Status.CANCELLED), (Job.pause_requested, Status.PAUSED)],
    ids=["cancel", "pause"],
)
def test_a_cancel_or_pause_aborts_items_in_flight_within_five_seconds(
    request_stop: Callable[[Job, datetime], Job], expected: Status
) -> None:
    class Hanging(FakeExecution):
        def abort(self) -> None:
            aborted.set()

    def hang(_: WorkItem) -> Outcome:
        aborted.wait(600)
        raise Stopped("aborted")

    aborted = clock.event()
    run = Run(a_plan(5, DISTRICTS), Hanging(hang)).begun()
    assert clock.eventually(lambda: run.execution.in_flight > 0)
    requested_at = run.change(lambda job: request_stop(job, clock.now()))
    assert clock.eventually(lambda: run.job.status is expected)
    assert clock.monotonic() - requested_at < 5
    assert run.ledger == []
    run.stop.set()
    run.ended()


def test_a_paused_job_continues_after_a_resume() -> None:
    plan = a_plan(60, DISTRICTS)
    run = Run(plan, FakeExecution(lasting(0.02))).begun()
    assert clock.eventually(lambda: len(run.execution.items) >= 5)
    run.change(lambda job: job.pause_requested(clock.now()))
    job = run.ended(5)
    assert (job.status, job.lease) == (Status.PAUSED, None)
    assert job.progress.processed == len(run.execution.items) < plan.total_items
    run.change(lambda job: job.resume_requested(clock.now()))
    again = Run(plan, FakeExecution(), storage=run.storage).begun()
    assert again.ended().status is Status.COMPLETED
    assert not set(run.execution.items) & set(again.execution.items)


def test_a_pause_that_is_revoked_in_time_does_not_end_the_run() -> None:
    gate = clock.event()

    def do(item: WorkItem) -> Outcome:
        gate.wait(10)
        return an_outcome(item)

    run = Run(a_plan(2, DISTRICTS), FakeExecution(do)).begun()
    assert clock.eventually(lambda: len(run.execution.items) == 3)
    run.change(lambda job: job.pause_requested(clock.now()))
    assert clock.eventually(lambda: run.claim.job.status is Status.PAUSING)
    run.change(lambda job: job.resume_requested(clock.now()))
    assert clock.eventually(lambda: run.claim.job.status is Status.RUNNING)
    gate.set()
    job = run.ended()
    assert (job.status, job.resume_count, job.token) == (Status.COMPLETED, 0, 1)


def test_an_orphaned_cancelling_job_is_cancelled_without_starting_an_item() -> None:
    """R7.3"""
    storage, now = MemoryStorage(), clock.now()
    job = a_job(created_at=now, progressed_at=now).claimed("dead", now - timedelta(seconds=15))
    storage.jobs.put_in(job.cancel_requested(now - timedelta(seconds=14)), a_plan())
    run = Run(a_plan(), FakeExecution(), storage=storage).begun()
    assert run.ended().status is Status.CANCELLED
    assert run.execution.items == []


def test_limits_that_are_lowered_during_the_run_apply() -> None:
    """R12.3"""
    run = Run(a_plan(9, DISTRICTS), FakeExecution(lasting(0.02))).begun()
    assert clock.eventually(lambda: run.execution.most_in_flight == 3)
    gentler = FAST.changed({"max_concurrent": 1})
    run.change(lambda job: job.limits_lowered(gentler))
    assert clock.eventually(lambda: run.claim.job.config.rate_limits == gentler)
    assert clock.eventually(lambda: run.execution.in_flight <= 1)
    run.execution.most_in_flight = 0
    assert run.ended().status is Status.COMPLETED
    assert run.execution.most_in_flight == 1


# The store.


def test_during_a_store_outage_no_item_starts_and_no_outcome_is_lost_or_duplicated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """R10.3"""
    caplog.set_level(logging.INFO, "backfill.engine.runner")
    plan = a_plan(20, DISTRICTS)
    run = Run(plan, FakeExecution(lasting(0.01))).begun()
    assert clock.eventually(lambda: len(run.execution.items) >= 15)
    run.storage.store.is_down = True
    down = clock.monotonic()
    assert clock.eventually(lambda: clock.monotonic() >= down + 2)
    run.storage.store.is_down = False
    up = clock.monotonic()
    job = run.ended()
    assert (job.status, job.token, job.progress.processed) == (Status.COMPLETED, 1, plan.total_items)
    assert Counter(outcome.item for outcome in run.ledger) == Counter(all_items(plan))
    assert Counter(run.execution.items) == Counter(all_items(plan))
    # The runner checks the store every 0.4 s.
    assert not [at for at, _ in run.execution.started if down + 0.9 < at < up]
    assert [at for at, _ in run.execution.started if at > up]
    messages = [record.getMessage() for record in caplog.records]
    assert sum("waits: The job store does not answer" in message for message in messages) == 1
    assert sum("responds again; the job continues" in message for message in messages) == 1


def test_a_store_outage_at_the_end_only_delays_the_end() -> None:
    plan = a_plan(1, DISTRICTS)

    def do(item: WorkItem) -> Outcome:
        if item == all_items(plan)[-1]:
            run.storage.store.is_down = True
        return an_outcome(item)

    run = Run(plan, FakeExecution(do))
    run.begun()
    assert clock.eventually(lambda: run.storage.store.is_down)
    down_at = clock.monotonic()
    assert clock.eventually(lambda: clock.monotonic() > down_at + 0.6)
    run.storage.store.is_down = False
    assert run.ended().status is Status.COMPLETED
    assert Counter(outcome.item for outcome in run.ledger) == Counter(all_items(plan))


def test_a_stop_during_a_store_outage_lets_the_lease_expire(caplog: pytest.LogCaptureFixture) -> None:
    run = Run(a_plan(20, DISTRICTS), FakeExecution(lasting(0.01))).begun()
    assert clock.eventually(lambda: len(run.execution.items) >= 5)
    run.storage.store.is_down = True
    run.stop.set()
    job = run.ended(4)
    assert job.status is Status.RUNNING
    assert "waits for its lease to expire" in caplog.text


def test_an_item_interrupted_by_a_store_outage_or_a_drain_is_processed_later() -> None:
    """R10.3"""
    plan = a_plan(1, DISTRICTS)
    errors: dict[WorkItem, Exception] = {
        all_items(plan)[2]: StorageUnavailable("The job store does not answer."),
        all_items(plan)[4]: Stopped("The job stops."),
    }

    def do(item: WorkItem) -> Outcome:
        if item in errors:
            raise errors.pop(item)
        return an_outcome(item)

    run = Run(plan, FakeExecution(do)).begun()
    assert run.ended().progress.processed == plan.total_items
    assert len(run.execution.items) == plan.total_items + 2
    assert Counter(outcome.item for outcome in run.ledger) == Counter(all_items(plan))


def test_a_day_whose_skipped_items_could_not_be_read_is_read_again() -> None:
    plan, refused = a_plan(3, DISTRICTS), list[date]()

    def skips(day: PlannedDay) -> list[Outcome]:
        if day.date not in refused:
            refused.append(day.date)
            raise StorageUnavailable("The job store does not answer.")
        return skipped(day.items())

    run = Run(plan, FakeExecution(skips=skips)).begun()
    assert run.ended().progress.skipped_items == plan.total_items
    assert refused == [day.date for day in plan.days]


# Loss of the lease.


def test_a_former_runner_ends_without_a_warning_or_another_write(caplog: pytest.LogCaptureFixture) -> None:
    """R10.1"""
    caplog.set_level(logging.INFO, "backfill.engine.runner")
    plan = a_plan(50, DISTRICTS)
    run = Run(plan, FakeExecution(lasting(0.01))).begun()
    assert clock.eventually(lambda: len(run.execution.items) >= 10)
    with run.storage.store.lock:
        theirs = run.change(lambda job: job.claimed("next", clock.now() + timedelta(seconds=60)))
        job, ledger = run.job, run.ledger
    assert run.ended(5) == job
    assert run.ledger == ledger
    assert run.execution.started[-1][0] - theirs < 1.5
    assert "ends without a further write" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_an_item_that_fails_with_lease_lost_ends_the_run() -> None:
    def do(item: WorkItem) -> Outcome:
        raise LeaseLost("Another runner holds the job.")

    run = Run(a_plan(2, DISTRICTS), FakeExecution(do)).begun()
    assert run.ended(5).status is Status.RUNNING
    assert run.ledger == []


def test_an_unexpected_error_fails_its_item_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """R5.4"""
    plan = a_plan(1, DISTRICTS)

    def do(item: WorkItem) -> Outcome:
        if item.district == "03":
            raise ZeroDivisionError("by nought")
        return an_outcome(item)

    run = Run(plan, FakeExecution(do)).begun()
    job = run.ended()
    (error,) = job.progress.errors
    assert (error.item_key, error.code, error.is_retryable) == ("2024-01-31/03", "UNEXPECTED_ERROR", True)
    assert error.message == "Unexpected error: ZeroDivisionError('by nought')"
    assert (job.status, job.progress.processed, job.progress.failed) == (Status.COMPLETED, 9, 1)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "2024-01-31/03" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


# Writes.


def test_a_job_ends_as_soon_as_its_last_item_is_processed() -> None:
    run = Run(a_plan(1, DISTRICTS), FakeExecution(lasting(0.1))).begun()
    began = clock.monotonic()
    assert run.ended().status is Status.COMPLETED
    assert clock.monotonic() - began < 0.1 * len(DISTRICTS) + 0.5


def test_progress_is_stored_promptly_and_segments_at_most_once_a_second() -> None:
    """R1.3"""
    run = Run(a_plan(35, DISTRICTS), FakeExecution(lasting(0.03))).begun()  # three and a half seconds
    assert clock.eventually(lambda: len(run.execution.items) >= 1)
    began = clock.monotonic()
    assert clock.eventually(lambda: run.job.progress.processed > 0)
    assert clock.monotonic() - began < 2.5
    assert clock.eventually(lambda: run.job.progress.current_item)
    run.ended()
    writes = [at for at, _, _ in run.storage.ledger.writes]
    assert len(writes) >= 3
    assert all(after - before >= 0.95 for before, after in pairwise(writes[:-1]))  # the last one does not wait


def test_the_limiter_status_is_stored_with_the_progress() -> None:
    """R5.5, R12.4"""

    def request(item: WorkItem) -> Outcome:
        run.limiter.back_off(1, "The dashboard was in trouble.")
        return an_outcome(item)

    limits = RateLimits(max_requests_per_minute=6000, max_delay_ms=20_000, min_delay_ms=20_000)
    run = Run(a_plan(1, DISTRICTS), FakeExecution(request), limits=limits)
    run.begun()
    assert clock.eventually(lambda: run.job.progress.limiter.state is LimiterState.BACKING_OFF, within=3)
    limiter = run.job.progress.limiter
    assert limiter.reason == "The dashboard was in trouble."
    assert limiter.waiting_until is not None
    run.change(lambda job: job.cancel_requested(clock.now()))
    assert run.ended(3).status is Status.CANCELLED
    assert run.job.progress.limiter.state is LimiterState.IDLE


# Waits that an operator ends.


def held_run(storage: MemoryStorage | None = None) -> Run:
    """A run whose items need a request each, during a hold of 24 hours."""
    limiters: list[Limiter] = []

    def do(item: WorkItem) -> Outcome:
        with limiters[0].request(item.key, is_first=True):
            return an_outcome(item, at=clock.now())

    run = Run(a_plan(1), FakeExecution(do), storage=storage)
    limiters.append(run.limiter)
    return run


def test_a_runner_ends_the_wait_within_a_second_of_the_request() -> None:
    run = held_run()
    run.limiter.hold(clock.now() + timedelta(hours=24), "429")
    run.begun()
    assert clock.eventually(lambda: run.job.can_end_hold, within=20)
    asked_at = run.change(lambda job: job.hold_ended(clock.now()))
    job = run.ended()
    assert (job.status, job.progress.processed) == (Status.COMPLETED, 3)
    assert run.execution.started
    assert clock.monotonic() - asked_at < 2


def test_a_wait_that_was_ended_just_before_a_kill_is_over_for_the_next_runner() -> None:
    """The request is stored with the job; the process dies before it changes the request schedule."""
    first = held_run()
    first.limiter.hold(clock.now() + timedelta(hours=24), "429")
    first.begun()
    assert clock.eventually(lambda: first.job.can_end_hold, within=20)
    first.stop.set()
    first._thread.join(5)
    clock.sleep(1)
    ended = replace(first.job.webhook_events, hold_ended_at=clock.now())
    first.change(lambda job: replace(job, webhook_events=ended))
    next_run = held_run(first.storage).begun()
    assert next_run.ended().progress.processed == 3
