"""The thread that finds work and survives everything."""

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
from tests.unit.fakes import FAST, FakeExecution, FakeWork, a_job, a_plan, an_outcome
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Each test begins with a clock of its own."""
    global clock  # noqa: PLW0603 - functions of this module ask it
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
    handlers: dict[JobType, JobTypeHandler] = {JobType.DATA_COLLECTION: FakeWork(PLAN, execution)}
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


def test_a_worker_takes_a_job_that_comes_and_then_the_next() -> None:
    """R1.4, R10.1"""
    storage, execution = MemoryStorage(), FakeExecution()
    with working(worker_of(storage, execution)):
        first = stored(storage)
        assert clock.eventually(lambda: status_of(storage, first) is Status.COMPLETED)
        second = stored(storage)
        assert clock.eventually(lambda: status_of(storage, second) is Status.COMPLETED)
    assert len(execution.items) == 2 * PLAN.total_items


def test_a_nudge_wakes_a_worker_that_is_waiting() -> None:
    storage = MemoryStorage()
    worker = worker_of(storage, policy=SLOW)
    with working(worker):
        assert clock.eventually(lambda: worker._last_prune is not None)
        job = stored(storage)
        worker.wake()
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_an_idle_worker_looks_as_seldom_as_the_store_asks_for_and_begins_at_once_when_nudged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryJobs, "idle_poll_interval", 60.0)
    storage, looks, active = MemoryStorage(), list[datetime](), MemoryJobs.active

    def look(jobs: MemoryJobs) -> Job | None:
        looks.append(clock.now())
        return active(jobs)

    monkeypatch.setattr(MemoryJobs, "active", look)
    worker = worker_of(storage)
    with working(worker):
        assert clock.eventually(lambda: looks)
        job = stored(storage)
        assert not clock.eventually(lambda: len(looks) > 1, within=59)
        worker.wake()
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_while_another_runs_a_job_a_worker_looks_as_often_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """R10.1: a lease that is given back is taken up within two seconds, whatever a look costs."""
    monkeypatch.setattr(MemoryJobs, "idle_poll_interval", 60.0)
    storage = MemoryStorage()
    job = stored(storage)
    held = storage.jobs.rows[job.id] = job.claimed("another", clock.now())
    with working(worker_of(storage)):
        assert not clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=10)
        storage.jobs.rows[job.id] = held.released(held.token, clock.now())
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED, within=5)


def test_of_two_workers_one_claims_a_job() -> None:
    """R3.1"""
    storage, gate = MemoryStorage(), FakeExecution()
    workers = [worker_of(storage, gate) for _ in range(3)]
    assert len({worker.owner for worker in workers}) == 3
    with working(*workers):
        for _ in range(5):
            job = stored(storage)
            assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)  # noqa: B023 - asked at once
            assert storage.jobs.rows[job.id].token == 1
    assert len(gate.items) == 5 * PLAN.total_items


def test_a_worker_takes_over_where_a_runner_died_and_leaves_a_live_one_alone() -> None:
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


def test_a_worker_looks_again_when_a_lease_ends_and_not_a_whole_pause_later() -> None:
    """R10.1: the campaign's median of resumes was a pause too long."""
    storage = MemoryStorage()
    job = stored(storage)
    storage.jobs.rows[job.id] = job.claimed("another", clock.now() - timedelta(seconds=14.5))
    with working(worker_of(storage, policy=SLOW)):
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)


def test_a_worker_that_stops_gives_the_lease_back() -> None:
    """R10.1"""

    def asks(item: WorkItem) -> Outcome:
        assert clock.eventually(worker._stop.is_set)
        return an_outcome(item)

    storage = MemoryStorage()
    job = stored(storage)
    worker = worker_of(storage, FakeExecution(asks))
    with working(worker):
        assert clock.eventually(lambda: status_of(storage, job) is Status.RUNNING)
    assert worker._thread is not None
    assert not worker._thread.is_alive()
    after = storage.jobs.rows[job.id]
    assert (after.status, after.lease) == (Status.PENDING, None)
    assert storage.store.disconnects >= 1


def test_a_worker_waits_for_a_store_that_is_away_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_worker_survives_an_error_that_it_does_not_know_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    storage.store.broken_by = ZeroDivisionError("by nought")
    with working(worker_of(storage)):
        assert clock.eventually(lambda: "Unexpected error in the worker" in caplog.text)
        job = stored(storage)
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    assert "ZeroDivisionError: by nought" in caplog.text


def test_a_job_that_cannot_be_read_fails_and_the_worker_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    broken = stored(storage)
    storage.jobs.plans[broken.id] = b"no plan"
    with working(worker_of(storage)):
        assert clock.eventually(lambda: status_of(storage, broken) is Status.FAILED)
        job = stored(storage)
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
    assert f"plan of job {broken.id} cannot be read" in storage.jobs.rows[broken.id].error


def test_a_job_of_a_type_that_this_version_does_not_know_fails_with_a_sentence() -> None:
    """R2.4"""
    storage = MemoryStorage()
    job = stored(storage, job_type=JobType.ANALYTICS_GENERATION)
    with working(worker_of(storage)):
        assert clock.eventually(lambda: status_of(storage, job) is Status.FAILED)
    after = storage.jobs.rows[job.id]
    assert after.error == "This version of the service cannot run analytics-generation jobs."
    assert after.ended_at is not None


def test_a_job_of_which_something_cannot_be_read_while_it_runs_is_failed_with_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else each worker would take it, and give it up, for ever."""

    def skips(day: PlannedDay) -> list[Outcome]:
        raise CorruptRecord(f"What is stored of {day.date} cannot be read.")

    storage = MemoryStorage()
    job = stored(storage)
    with working(worker_of(storage, FakeExecution(skips=skips))):
        assert clock.eventually(lambda: status_of(storage, job) is Status.FAILED)
    assert storage.jobs.rows[job.id].error == f"What is stored of {PLAN.days[0].date} cannot be read."
    assert f"{storage.jobs.rows[job.id].error} The job has failed; other jobs can run." in caplog.messages


def test_a_job_keeps_the_limits_and_the_count_of_requests_that_it_had() -> None:
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


def test_jobs_that_ended_longer_ago_than_the_retention_are_removed_once_a_day() -> None:
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
    assert set(storage.jobs.rows) == {young.id}  # older than the retention by now, but it is not a day yet
    clock.sleep(0.2 * 3600)
    worker._work_once()
    assert storage.jobs.rows == {}


def test_an_active_job_is_never_removed_however_old() -> None:
    """R1.7"""
    storage = MemoryStorage()
    paused = storage.jobs.put_in(a_job(status=Status.PAUSED, created_at=clock.now() - timedelta(days=400)))
    worker_of(storage)._work_once()
    assert set(storage.jobs.rows) == {paused.id}


def test_a_process_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_process_worker", None)
    storage, made = MemoryStorage(), list[Worker]()

    def new_worker() -> Worker:
        made.append(worker_of(storage))
        return made[-1]

    worker_module.wake_process_worker()  # without a worker this does nothing
    worker_module.start_process_worker(new_worker)
    worker_module.start_process_worker(new_worker)
    (worker,) = made
    worker_module.wake_process_worker()
    assert worker._thread is not None
    worker.stop()


def test_a_worker_says_twice_a_minute_that_it_is_there() -> None:
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


class Listener:
    """A dispatcher that keeps the calls."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def start(self) -> None:
        self.heard.append("start")

    def stop(self) -> None:
        self.heard.append("stop")

    def wake(self) -> None:
        self.heard.append("wake")

    def on_store_outage(self, job: Job, event: WebhookEvent | None) -> None:
        self.heard.append(f"outage: {event.sentence}" if event else "outage over")


def test_the_dispatcher_runs_with_the_worker_and_learns_of_outages_and_ended_jobs() -> None:
    storage, listener = MemoryStorage(), Listener()

    def asks(item: WorkItem) -> Outcome:
        assert clock.eventually(lambda: "outage over" in listener.heard)
        return an_outcome(item, at=clock.now())

    execution = FakeExecution(asks)
    job = stored(storage)
    with working(worker_of(storage, execution, dispatcher=listener)):
        assert clock.eventually(lambda: execution.items)
        storage.store.is_down = True
        assert clock.eventually(lambda: len(listener.heard) > 1)
        storage.store.is_down = False
        assert clock.eventually(lambda: status_of(storage, job) is Status.COMPLETED)
        assert clock.eventually(lambda: "wake" in listener.heard)
    assert listener.heard == [
        "start",
        "outage: The job store does not answer: it is down.",
        "outage over",
        "wake",
        "stop",
    ]
