"""The worker thread: it finds jobs, runs them, and continues after errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from backfill.domain import (
    STANDARD_LEASES,
    Job,
    JobType,
    LeasePolicy,
    LimiterReport,
    Outcome,
    PlannedDay,
    Progress,
    Status,
    WebhookEvent,
    WorkItem,
)
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine import worker as worker_module
from backfill.engine.worker import Dispatcher, Worker
from backfill.errors import CorruptRecord
from backfill.job_types.base import JobTypeHandler
from tests.memory_storage import MemoryJobs, MemoryStorage
from tests.unit.fakes import FAST, FakeExecution, FakeHandler, a_job, a_plan, an_outcome
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


PLAN = a_plan(1)
SLOW = LeasePolicy(poll_interval=timedelta(seconds=14))
"""The longest poll interval that the lease allows."""


def stored(storage: MemoryStorage, **fields: object) -> Job:
    now = clock.now()
    return storage.jobs.put_in(
        a_job(created_at=now, progressed_at=now, progress=Progress(total_items=PLAN.total_items), **fields), PLAN
    )


def worker_of(
    storage: MemoryStorage,
    execution: FakeExecution | None = None,
    *,
    retention: timedelta = timedelta(days=30),
    dispatcher: Dispatcher | None = None,
    policy: LeasePolicy = STANDARD_LEASES,
) -> Worker:
    execution = execution or FakeExecution()
    execution.clock = clock
    handlers: dict[JobType, JobTypeHandler] = {JobType.DATA_COLLECTION: FakeHandler(PLAN, execution)}
    return Worker(
        storage,
        handlers,
        prune=lambda: storage.jobs.delete_finished(clock.now() - retention),
        config=RuntimeConfig(clock=clock, lease_policy=policy),
        dispatcher=dispatcher,
    )


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()


def status_of(storage: MemoryStorage, job: Job) -> Status:
    return storage.jobs.rows[job.id].status


def test_a_worker_runs_one_job_after_another() -> None:
    """R1.4, R10.1"""
    storage, execution = MemoryStorage(), FakeExecution()
    with working(worker_of(storage, execution)):
        first = stored(storage)
        assert clock.eventually(lambda: status_of(storage, first) is Status.COMPLETED)
        second = stored(storage)
        assert clock.eventually(lambda: status_of(storage, second) is Status.COMPLETED)
    assert len(execution.items) == 2 * PLAN.total_items


def test_wake_ends_the_wait_of_a_worker() -> None:
    storage = MemoryStorage()
    worker = worker_of(storage, policy=SLOW)
    with working(worker):
        assert clock.eventually(lambda: worker._last_prune is not None)
        job = stored(storage)
        worker.wake()
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_an_idle_worker_polls_at_the_interval_of_the_store_and_starts_at_once_when_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryJobs, "idle_poll_interval", 60.0)
    storage, polls, active = MemoryStorage(), list[datetime](), MemoryJobs.active

    def poll(jobs: MemoryJobs) -> Job | None:
        polls.append(clock.now())
        return active(jobs)

    monkeypatch.setattr(MemoryJobs, "active", poll)
    worker = worker_of(storage)
    with working(worker):
        assert clock.eventually(lambda: polls)
        job = stored(storage)
        assert not clock.eventually(lambda: len(polls) > 1, within=59)
        worker.wake()
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_a_worker_polls_at_the_standard_interval_while_another_worker_runs_a_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R10.1: a released job is claimed within two seconds, regardless of the cost of a poll."""
    monkeypatch.setattr(MemoryJobs, "idle_poll_interval", 60.0)
    storage = MemoryStorage()
    job = stored(storage)
    held = storage.jobs.rows[job.id] = job.claimed("another", clock.now())
    with working(worker_of(storage)):
        assert not clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=10)
        storage.jobs.rows[job.id] = held.released(held.token, clock.now())
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_only_one_of_several_workers_claims_a_job() -> None:
    """R3.1"""
    storage, execution = MemoryStorage(), FakeExecution()
    workers = [worker_of(storage, execution) for _ in range(3)]
    assert len({worker.owner for worker in workers}) == 3
    with working(*workers):
        for _ in range(5):
            job = stored(storage)
            assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)  # noqa: B023 - called at once
            assert storage.jobs.rows[job.id].token == 1
    assert len(execution.items) == 5 * PLAN.total_items


def test_a_worker_takes_over_from_a_dead_runner_but_not_from_a_live_one() -> None:
    """R10.1, R10.4"""
    storage, now = MemoryStorage(), clock.now()
    job = stored(storage)
    storage.jobs.rows[job.id] = job.claimed("another", now - timedelta(seconds=14.5))
    with working(worker_of(storage)):
        assert status_of(storage, job) is Status.RUNNING
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    after = storage.jobs.rows[job.id]
    assert (after.token, after.resume_count, after.started_at) == (2, 1, now - timedelta(seconds=14.5))
    assert after.resumed_at is not None
    assert after.resumed_at >= now + timedelta(seconds=0.5)


def test_a_worker_polls_when_a_lease_expires_and_not_a_poll_interval_later() -> None:
    """R10.1: in the chaos campaign the median time to resume was a poll interval too long."""
    storage = MemoryStorage()
    job = stored(storage)
    storage.jobs.rows[job.id] = job.claimed("another", clock.now() - timedelta(seconds=14.5))
    with working(worker_of(storage, policy=SLOW)):
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)


def test_a_worker_that_stops_releases_the_lease() -> None:
    """R10.1"""

    def wait(item: WorkItem) -> Outcome:
        assert clock.eventually(worker._stop.is_set)
        return an_outcome(item)

    storage = MemoryStorage()
    job = stored(storage)
    worker = worker_of(storage, FakeExecution(wait))
    with working(worker):
        assert clock.eventually(lambda: status_of(storage, job) is Status.RUNNING)
    assert worker._thread is not None
    assert not worker._thread.is_alive()
    after = storage.jobs.rows[job.id]
    assert (after.status, after.lease) == (Status.PENDING, None)
    assert storage.store.disconnects >= 1


def test_a_worker_waits_for_an_unavailable_store_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "backfill.engine.worker")
    storage = MemoryStorage()
    job = stored(storage)
    storage.store.is_down = True
    with working(worker_of(storage)):
        assert clock.eventually(lambda: "The worker waits" in caplog.text)
        storage.store.is_down = False
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
        assert clock.eventually(lambda: "The job store responds again." in caplog.text)
    assert caplog.text.count("The worker waits: The job store does not answer") == 1


def test_a_worker_logs_an_unexpected_error_and_continues(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    storage.store.broken_by = ZeroDivisionError("by nought")
    with working(worker_of(storage)):
        assert clock.eventually(lambda: "Unexpected error in the worker" in caplog.text)
        job = stored(storage)
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    assert "ZeroDivisionError: by nought" in caplog.text


def test_an_unreadable_job_fails_and_the_worker_continues(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    broken = stored(storage)
    storage.jobs.plans[broken.id] = b"no plan"
    with working(worker_of(storage)):
        assert clock.eventually(lambda: status_of(storage, broken) is Status.FAILED)
        job = stored(storage)
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    assert f"plan of job {broken.id} cannot be read" in storage.jobs.rows[broken.id].error


def test_a_job_of_an_unsupported_type_fails_with_a_message() -> None:
    """R2.4"""
    storage = MemoryStorage()
    job = stored(storage, job_type=JobType.ANALYTICS_GENERATION)
    with working(worker_of(storage)):
        assert clock.eventually(lambda: status_of(storage, job) is Status.FAILED)
    after = storage.jobs.rows[job.id]
    assert after.error == "This version of the service cannot run analytics-generation jobs."
    assert after.ended_at is not None


def test_a_job_fails_with_the_message_of_a_corrupt_record_found_during_its_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise each worker would claim the job and release it again endlessly."""

    def skips(day: PlannedDay) -> list[Outcome]:
        raise CorruptRecord(f"What is stored of {day.date} cannot be read.")

    storage = MemoryStorage()
    job = stored(storage)
    with working(worker_of(storage, FakeExecution(skips=skips))):
        assert clock.eventually(lambda: status_of(storage, job) is Status.FAILED)
    assert storage.jobs.rows[job.id].error == f"What is stored of {PLAN.days[0].date} cannot be read."
    assert f"{storage.jobs.rows[job.id].error} The job has failed; other jobs can run." in caplog.messages


def test_a_job_keeps_its_limits_and_its_number_of_requests() -> None:
    """R12.3, R12.4"""
    storage = MemoryStorage()
    job = stored(storage)
    storage.jobs.rows[job.id] = replace(
        job,
        config=replace(job.config, rate_limits=FAST),
        progress=replace(job.progress, limiter=LimiterReport(requests_made=41)),
    )
    with working(worker_of(storage)):
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    after = storage.jobs.rows[job.id]
    assert (after.progress.limiter.requests_made, after.config.rate_limits) == (41, FAST)


def test_ended_jobs_older_than_the_retention_period_are_deleted_once_a_day() -> None:
    """R1.7"""
    storage = MemoryStorage()

    def ended(days_ago: float) -> Job:
        at = clock.now() - timedelta(days=days_ago)
        return storage.jobs.put_in(a_job(status=Status.COMPLETED, created_at=at, ended_at=at))

    old, young = ended(30.01), ended(29.99)
    worker = worker_of(storage)
    assert worker._work_once() is False
    assert set(storage.jobs.rows) == {young.id}
    assert old.id not in storage.jobs.plans
    clock.sleep(23.9 * 3600)
    worker._work_once()
    assert set(storage.jobs.rows) == {
        young.id
    }  # older than the retention period, but the last pruning is less than a day ago
    clock.sleep(0.2 * 3600)
    worker._work_once()
    assert storage.jobs.rows == {}


def test_an_active_job_is_never_deleted_regardless_of_its_age() -> None:
    """R1.7"""
    storage = MemoryStorage()
    paused = storage.jobs.put_in(a_job(status=Status.PAUSED, created_at=clock.now() - timedelta(days=400)))
    worker_of(storage)._work_once()
    assert set(storage.jobs.rows) == {paused.id}


def test_a_process_has_only_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_process_worker", None)
    storage, created = MemoryStorage(), list[Worker]()

    def new_worker() -> Worker:
        created.append(worker_of(storage))
        return created[-1]

    worker_module.wake_process_worker()  # without a worker this does nothing
    worker_module.start_process_worker(new_worker)
    worker_module.start_process_worker(new_worker)
    (worker,) = created
    worker_module.wake_process_worker()
    assert worker._thread is not None
    worker.stop()


def test_a_worker_reports_its_heartbeat_twice_a_minute() -> None:
    storage = MemoryStorage()
    worker = worker_of(storage)
    worker._work_once()
    first = storage.control.seen_at
    assert first == clock.now()
    clock.sleep(29)
    worker._work_once()
    assert storage.control.seen_at == first
    clock.sleep(1)
    worker._work_once()
    assert storage.control.seen_at == clock.now()


class RecordingDispatcher:
    """A dispatcher that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def wake(self) -> None:
        self.calls.append("wake")

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        self.calls.append(f"outage: {event.sentence}" if event else "outage over")


def test_the_dispatcher_runs_with_the_worker_and_is_notified_of_outages_and_ended_jobs() -> None:
    storage, dispatcher = MemoryStorage(), RecordingDispatcher()

    def wait(item: WorkItem) -> Outcome:
        assert clock.eventually(lambda: "outage over" in dispatcher.calls)
        return an_outcome(item, at=clock.now())

    execution = FakeExecution(wait)
    job = stored(storage)
    with working(worker_of(storage, execution, dispatcher=dispatcher)):
        assert clock.eventually(lambda: execution.items)
        storage.store.is_down = True
        assert clock.eventually(lambda: len(dispatcher.calls) > 1)
        storage.store.is_down = False
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
        assert clock.eventually(lambda: "wake" in dispatcher.calls)
    assert dispatcher.calls == [
        "start",
        "outage: The job store does not answer: it is down.",
        "outage over",
        "wake",
        "stop",
    ]
