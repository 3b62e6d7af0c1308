"""Crash isolation: finding the items that kill their process, and quarantining them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from backfill.domain import (
    STANDARD_LEASES,
    CrashIsolation,
    Job,
    JobConfig,
    LeasePolicy,
    LimiterReport,
    Outcome,
    OutcomeKind,
    Progress,
    Status,
    WorkItem,
)
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.rate_limit import Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import DAY, FAST, NOW, FakeExecution, a_job, a_plan, all_items, an_outcome
from tests.unit.virtual_clock import VirtualClock

clock = VirtualClock.at()


@pytest.fixture(autouse=True)
def virtual_time() -> None:
    """Gives each test its own clock."""
    global clock  # noqa: PLW0603 - functions of this module read it
    clock = VirtualClock.at()


LEASE = STANDARD_LEASES.duration

IDLE = LimiterReport()
KEY, OTHER = "2024-01-31/01", "2024-01-31/02"


# The rules.


def test_an_item_in_flight_at_three_crashes_in_a_row_is_quarantined() -> None:
    crash_isolation = CrashIsolation()
    for _ in range(3):
        assert crash_isolation.quarantined == ()
        crash_isolation = crash_isolation.recorded((KEY,), is_settling=False).died()
    assert crash_isolation.quarantined == (KEY,)
    assert crash_isolation.deaths == 3


def test_an_item_that_is_not_in_flight_at_a_crash_is_no_longer_suspect() -> None:
    crash_isolation = CrashIsolation(suspects={KEY: 2, OTHER: 2}).recorded((OTHER,), is_settling=False).died()
    assert crash_isolation.suspects == {OTHER: 3}


def test_a_settled_item_resets_the_number_of_crashes_but_not_the_suspects() -> None:
    crash_isolation = CrashIsolation(deaths=2, suspects={KEY: 2}).recorded((KEY,), is_settling=True)
    assert (crash_isolation.deaths, crash_isolation.died().suspects) == (0, {KEY: 3})


def test_the_key_of_an_item_can_be_parsed() -> None:
    item = WorkItem(DAY, "01")
    assert WorkItem.of(item.key) == item
    with pytest.raises(ValueError, match="Invalid isoformat"):
        WorkItem.of("tomorrow/01")


# Takeovers.


def died(job: Job, at_work: str = KEY) -> Job:
    """Returns the job after a claim, a record of the item in flight, and the death of the runner."""
    now = job.lease.expires_at if job.lease else NOW
    claimed = job.claimed("runner", now)
    return claimed.recorded(claimed.token, claimed.progress, 0, now, is_progress=False, at_work=(at_work,))


def test_a_takeover_counts_a_crash_and_a_clean_stop_clears_the_suspects() -> None:
    job = died(died(a_job()))
    assert (job.crash_isolation.deaths, job.crash_isolation.suspects) == (1, {KEY: 1})
    assert job.lease is not None
    again = job.claimed("next", job.lease.expires_at)
    assert (again.crash_isolation.deaths, again.crash_isolation.suspects) == (2, {KEY: 2})
    assert again.released(again.token, NOW).crash_isolation == CrashIsolation()


def test_a_job_that_always_kills_its_runner_becomes_stale() -> None:
    """R3.4"""
    job = a_job()
    for _ in range(4):
        job = died(job)
    moved_at = job.progressed_at
    while not job.is_stale(job.lease.expires_at if job.lease else NOW):
        job = died(job)
        assert job.progressed_at == moved_at
    assert job.lease is not None
    assert job.lease.expires_at - moved_at < STANDARD_LEASES.stale_after + 2 * LEASE


def test_a_quarantined_item_is_recorded_as_failed_at_the_claim_and_the_job_continues() -> None:
    storage, plan = MemoryStorage(), a_plan(1, ("01", "02"))
    job = a_job(progress=Progress(total_items=2), created_at=NOW)
    storage.jobs.put_in(job, plan)
    now = NOW
    for _ in range(3):
        claim = JobManager(storage).claim("runner", now)
        assert claim is not None
        claim.record([WorkItem(DAY, "01")], IDLE, now)
        now += LEASE
    claim = JobManager(storage).claim("runner", now)
    assert claim is not None
    (outcome,) = storage.ledger.of(job.id)
    assert (outcome.item, outcome.kind, outcome.reason) == (WorkItem(DAY, "01"), OutcomeKind.FAILED, "QUARANTINED")
    assert outcome.message.startswith("The process died 3 times in a row while it worked on this item")
    assert storage.jobs.rows[job.id].progress.failed == 1
    claim.note([an_outcome(WorkItem(DAY, "02"))])
    claim.record((), IDLE, now)
    assert claim.finish(now).status is Status.COMPLETED


def test_an_item_that_only_waits_is_not_in_flight() -> None:
    storage = MemoryStorage()
    storage.jobs.put_in(a_job(), a_plan())
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    item = all_items(claim.plan)[0]
    assert claim.record([item], IDLE, NOW).crash_isolation.items == (item.key,)
    assert claim.record([item], IDLE, NOW, is_holding=True).crash_isolation.items == ()


# The runner after a crash.


class Killed(BaseException):
    """Simulates `kill -9`: the thread ends at once."""


class CrashingJob:
    """Runs a job repeatedly, each time until it ends or an item kills the runner within milliseconds."""

    def __init__(self, killer: str, *, items: int) -> None:
        self.storage, self.plan = MemoryStorage(), a_plan(1, tuple(f"{n:02d}" for n in range(1, items + 1)))
        self.killer, self.deaths, self.in_flight_at_death = WorkItem(DAY, killer), 0, list[tuple[str, ...]]()
        self.now = clock.now()
        config = JobConfig(start_date=DAY, end_date=DAY, rate_limits=FAST)
        self.job_id = self.storage.jobs.put_in(
            a_job(created_at=self.now, progressed_at=self.now, config=config, progress=Progress(total_items=items)),
            self.plan,
        ).id

    def run_once(self) -> None:
        clock.sleep((self.now - clock.now()).total_seconds())
        claim = JobManager(self.storage, RuntimeConfig(clock=clock)).claim("runner", self.now)
        assert claim is not None
        dead = clock.event()

        def do(item: WorkItem) -> Outcome:
            if item == self.killer:
                dead.set()
            if dead.wait(0.01):
                raise Killed
            return an_outcome(item, at=self.now)

        limiter = Limiter(FAST, self.storage.control.update_schedule, clock=clock)
        runner = Runner(claim, FakeExecution(do), limiter, stop=clock.event(), disconnect=lambda: None)
        runner._take_results = self._dying(runner._take_results, dead, claim)  # type: ignore[method-assign]
        try:
            runner.run()
        except Killed:
            self.deaths += 1
            self.now = clock.now() + LEASE

    def _dying(self, take: Callable[[], None], dead: threading.Event, claim: Claim) -> Callable[[], None]:
        def take_or_die() -> None:
            if dead.is_set():
                self.in_flight_at_death.append(self.storage.jobs.rows[claim.job.id].crash_isolation.items)
                raise Killed
            take()
            if dead.is_set():
                self.in_flight_at_death.append(self.storage.jobs.rows[claim.job.id].crash_isolation.items)
                raise Killed

        return take_or_die


def test_an_item_that_kills_its_process_within_milliseconds_is_quarantined() -> None:
    crashing_job = CrashingJob("05", items=9)
    while crashing_job.storage.jobs.rows[crashing_job.job_id].status.is_active and crashing_job.deaths < 9:
        crashing_job.run_once()
    job = crashing_job.storage.jobs.rows[crashing_job.job_id]
    assert crashing_job.deaths <= 4  # before the first death the item started without a record
    assert crashing_job.in_flight_at_death[1:] == [(crashing_job.killer.key,)] * (crashing_job.deaths - 1)
    assert (job.status, job.progress.failed, job.progress.processed) == (Status.COMPLETED, 1, 8)
    assert [error.code for error in job.progress.errors] == ["QUARANTINED"]


def test_after_a_crash_items_start_one_at_a_time_and_each_is_recorded_first() -> None:
    policy = LeasePolicy(careful_for=timedelta(seconds=1))
    storage, plan, now = MemoryStorage(), a_plan(30, ("01", "02", "F")), clock.now()
    config = JobConfig(start_date=plan.days[0].date, end_date=DAY, rate_limits=FAST)
    progress = Progress(total_items=90)
    job = a_job(created_at=now, progressed_at=now, config=config, progress=progress).claimed("dead", now - LEASE)
    storage.jobs.put_in(job, plan)
    claim = JobManager(storage, RuntimeConfig(clock=clock, lease_policy=policy)).claim("runner", now)
    assert claim is not None
    unrecorded: list[str] = []
    began = clock.monotonic()

    def do(item: WorkItem) -> Outcome:
        if clock.monotonic() - began < 0.9 and storage.jobs.rows[job.id].crash_isolation.items != (item.key,):
            unrecorded.append(item.key)
        clock.sleep(0.03)
        return an_outcome(item, at=clock.now())

    execution = FakeExecution(do)
    limiter = Limiter(FAST, storage.control.update_schedule, clock=clock)
    runner = Runner(claim, execution, limiter, stop=clock.event(), disconnect=lambda: None)
    thread = clock.thread(runner.run, "runner")
    thread.start()
    assert clock.eventually(lambda: clock.monotonic() - began > 0.9)
    assert execution.most_in_flight == 1
    thread.join(10)
    assert unrecorded == []
    assert execution.most_in_flight == 3
    assert storage.jobs.rows[job.id].status is Status.COMPLETED
    assert storage.jobs.rows[job.id].resumed_at is not None
    assert storage.jobs.rows[job.id].progressed_at - now < timedelta(minutes=1)


def test_items_in_flight_at_two_crashes_run_alone_regardless_of_their_duration() -> None:
    """At one request a minute an item takes three minutes. All items in flight would be quarantined with the killer."""
    policy = LeasePolicy(careful_for=timedelta(seconds=0.01))
    storage, plan, now = MemoryStorage(), a_plan(4, ("01", "02", "F")), clock.now()
    config = JobConfig(start_date=plan.days[0].date, end_date=DAY, rate_limits=FAST)
    stored = a_job(created_at=now, progressed_at=now, config=config, progress=Progress(total_items=12))
    job, suspects = stored, set(all_items(plan)[:3])
    for deaths in (2, 1):
        job = job.claimed("dead", now - deaths * LEASE)
        at_work = tuple(item.key for item in suspects)
        job = job.recorded(job.token, job.progress, 0, now - deaths * LEASE, is_progress=False, at_work=at_work)
    storage.jobs.put_in(job, plan)
    claim = JobManager(storage, RuntimeConfig(clock=clock, lease_policy=policy)).claim("runner", now)
    assert claim is not None
    in_flight_with: dict[WorkItem, int] = {}

    def do(item: WorkItem) -> Outcome:
        clock.sleep(0.05)
        in_flight_with[item] = execution.in_flight
        return an_outcome(item, at=clock.now())

    execution = FakeExecution(do)
    limiter = Limiter(FAST, storage.control.update_schedule, clock=clock)
    Runner(claim, execution, limiter, stop=clock.event(), disconnect=lambda: None).run()
    assert {in_flight_with[item] for item in suspects} == {1}
    assert execution.most_in_flight == 3
    assert storage.jobs.rows[job.id].status is Status.COMPLETED
