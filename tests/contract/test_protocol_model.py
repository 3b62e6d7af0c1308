"""A model of admission, lease, fencing, cancel, pause and displacement as a state machine, run on every adapter.

Three workers and an operator act in any order. Each has its own clock, which may jump. A call of a worker to the store
may fail before it is made, or after its write and before its answer; the worker may also be killed at both points. The
invariants are checked after every step on what the store contains, not on the state of the actors. Jobs that have ended
are read again after a refused action and at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backfill.domain import (
    ACTIVE,
    STANDARD_LEASES,
    TRANSITIONS,
    Job,
    JobFilter,
    Lease,
    LimiterReport,
    Outcome,
    OutcomeKind,
    Plan,
    RequestSchedule,
    Segment,
    Status,
    WorkItem,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.errors import InvalidJobState, JobConflict, LeaseLost, StorageUnavailable
from backfill.storage import Storage
from tests.contract.backends import Backend
from tests.factories import NOW, JobFactory, PlanFactory, ProgressFactory, SnapshotFactory

PLAN: Plan = PlanFactory.build()
ITEMS = [item for day in PLAN.days for item in day.items()]
WORKERS = st.integers(0, 2)
EXAMPLES = {"sqlite": 60, "postgresql": 30}
DEFAULT_EXAMPLES = 10
"""The number of examples for other adapters."""
REASONS = {OutcomeKind.PROCESSED: "", OutcomeKind.FAILED: "SERVER_ERROR", OutcomeKind.SKIPPED: "stored"}


class Killed(BaseException):
    """Stands for the end of a worker's process, without any cleanup."""


@dataclass(frozen=True)
class Fault:
    """A failure of one of the calls to the store that an action makes."""

    call: int
    """The number of the call, from 0."""
    is_after: bool
    """The call is executed, and only its answer is lost."""
    kills: bool


FAULTS = st.one_of(st.none(), st.none(), st.builds(Fault, st.integers(0, 4), st.booleans(), st.booleans()))


class PortProxy:
    """A worker's access to one port. A call may fail."""

    def __init__(self, port: object, worker: Worker) -> None:
        self._port, self._worker = port, worker

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._worker.called(is_after=False)
            answer = getattr(self._port, name)(*arguments, **options)
            self._worker.called(is_after=True)
            return answer

        return call


@dataclass
class Worker:
    """A process that may hold a claim. It knows only the results of its own calls."""

    number: int
    storage: Storage
    clock: Callable[[], float]
    clock_is_ahead: timedelta = timedelta(0)
    restarts: int = 0
    claim: Claim | None = None
    in_flight: list[WorkItem] = field(default_factory=list)
    fault: Fault | None = None
    _calls: int = 0

    def __post_init__(self) -> None:
        proxies = {
            port.name: cast("Any", PortProxy(getattr(self.storage, port.name), self)) for port in fields(Storage)
        }
        self.remote = Storage(**proxies)
        self.manager = JobManager(self.remote, RuntimeConfig(clock=Clock(monotonic=self.clock)))

    @property
    def owner(self) -> str:
        return f"worker-{self.number}-{self.restarts}"

    def called(self, *, is_after: bool) -> None:
        fault = self.fault
        if fault is not None and (fault.call, fault.is_after) == (self._calls, is_after):
            self.fault = None
            raise Killed if fault.kills else StorageUnavailable("The job store does not answer: a fault of a test.")
        self._calls += is_after

    def inject(self, fault: Fault | None) -> None:
        self.fault, self._calls = fault, 0

    def end_run(self) -> None:
        self.claim = None
        self.in_flight.clear()

    def restart(self) -> None:
        self.end_run()
        self.restarts += 1
        self.manager = JobManager(self.remote, RuntimeConfig(clock=Clock(monotonic=self.clock)))


Ledger = Mapping[WorkItem, Outcome]


@dataclass(frozen=True)
class StoredState:
    """Everything that the store contains of one job."""

    job: Job
    segments: tuple[Segment, ...]

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for segment in self.segments for outcome in segment.outcomes]


def count_by_kind(outcomes: list[Outcome]) -> tuple[int, ...]:
    """Return the numbers of processed, failed and skipped outcomes."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return tuple(counts[kind] for kind in OutcomeKind)


class Protocol(RuleBasedStateMachine):
    """The state machine. See the docstring of the module."""

    storage: Storage
    clear: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.clear()
        self.now, self.elapsed = NOW, 0.0
        self.renewed_at: tuple[Lease | None, float] = None, 0.0
        self.operator_is_ahead = timedelta(0)
        self.workers = [Worker(number, self.storage, lambda: self.elapsed) for number in range(3)]
        self.states: dict[UUID, StoredState] = {}

    # Time

    @rule(seconds=st.sampled_from([1, 4, 16, STANDARD_LEASES.stale_after.total_seconds() + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.elapsed += seconds

    @rule(number=st.integers(0, 3), seconds=st.sampled_from([0, 0, 2, -2, 3600, -3600]))
    def a_clock_jumps(self, number: int, seconds: int) -> None:
        ahead = timedelta(seconds=seconds)
        if number < len(self.workers):
            self.workers[number].clock_is_ahead = ahead
        else:
            self.operator_is_ahead = ahead

    # Operator

    @initialize()
    def the_first_start(self) -> None:
        self.operator_starts()

    @rule()
    def operator_starts(self) -> None:
        now = self.now + self.operator_is_ahead
        active = self.active()
        job = JobFactory.build(
            created_at=now, progressed_at=now, progress=ProgressFactory.build(total_items=PLAN.total_items)
        )
        try:
            self.storage.jobs.create(job, PLAN, displace=lambda found: found.displaced(now))
        except JobConflict:
            assert active is not None
            assert not active.is_stale(now)
        else:
            assert active is None or active.is_stale(now)

    @rule(method=st.sampled_from(["cancel_requested", "pause_requested", "resume_requested"]))
    def operator_requests(self, method: str) -> None:
        """Change the active job, or the newest one if no job is active."""
        now = self.now + self.operator_is_ahead
        job = self.active() or self.storage.jobs.page(JobFilter(), limit=1, offset=0).rows[0]
        try:
            after = self.storage.jobs.update(job.id, lambda job: getattr(job, method)(now)).after
        except InvalidJobState:
            assert method != "cancel_requested" or not job.status.is_active
        else:
            assert job.status.is_active
            expected = {
                "cancel_requested": {Status.CANCELLING, Status.CANCELLED},
                "pause_requested": {Status.PAUSING, Status.PAUSED},
                "resume_requested": {Status.RUNNING, Status.PENDING},
            }
            assert after.status in expected[method]

    # Workers

    @contextmanager
    def acting_under_claim(self, worker: Worker, fault: Fault | None) -> Iterator[Claim]:
        """Run an action under a claim. If the claim is lost, the action must be refused and change nothing."""
        claim = worker.claim
        assert claim is not None
        stored = self.states[claim.fence.job_id].job
        is_fenced_off = stored.token != claim.fence.token or stored.lease is None
        worker.inject(fault)
        try:
            yield claim
        except LeaseLost:
            assert is_fenced_off, "a runner with a valid claim was refused"
            worker.end_run()
        except StorageUnavailable:
            pass
        except Killed:
            worker.restart()
        else:
            assert not is_fenced_off, "a runner with a lost claim was not refused"
        finally:
            worker.inject(None)
        if is_fenced_off:
            assert self.all_states() == self.states

    def any_claim(self) -> bool:
        return any(worker.claim for worker in self.workers)

    def pick_worker(self, number: int, *, has_claim: bool) -> Worker | None:
        """Return one of the workers that hold a claim, or that hold none."""
        candidates = [worker for worker in self.workers if (worker.claim is not None) is has_claim]
        return candidates[number % len(candidates)] if candidates else None

    def now_of(self, worker: Worker) -> Any:
        return self.now + worker.clock_is_ahead

    @rule(number=WORKERS, fault=FAULTS)
    def a_worker_claims(self, number: int, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=False)
        if worker is None:
            return
        before = self.active()
        now = self.now_of(worker)
        worker.inject(fault)
        try:
            worker.claim = worker.manager.claim(worker.owner, now)
        except StorageUnavailable:
            return
        except Killed:
            worker.restart()
            return
        finally:
            worker.inject(None)
        if before is not None and before.can_be_claimed(now):
            assert worker.claim is not None
        elif worker.claim is not None:  # the runner has not renewed its lease for the duration of a lease
            assert self.elapsed - self.renewed_at[1] >= STANDARD_LEASES.duration.total_seconds()
        if worker.claim is not None and before is not None:
            assert worker.claim.job.token > before.token
            assert {item for item in ITEMS if item in worker.claim.settled} == {
                outcome.item for outcome in self.read(before.id).outcomes
            }

    @precondition(any_claim)
    @rule(number=WORKERS, count=st.integers(1, 3))
    def a_runner_begins_items(self, number: int, count: int) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        assert worker.claim is not None
        if worker.claim.job.status is Status.RUNNING:
            left = [item for item in ITEMS if item not in worker.claim.settled and item not in worker.in_flight]
            worker.in_flight += left[:count]

    @precondition(any_claim)
    @rule(number=WORKERS, kind=st.sampled_from(OutcomeKind), fault=FAULTS)
    def a_runner_settles_an_item(self, number: int, kind: OutcomeKind, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        if not worker.in_flight:
            return
        item = worker.in_flight[0]
        now = self.now_of(worker)
        if kind is OutcomeKind.PROCESSED:
            with self.acting_under_claim(worker, fault) as claim:
                snapshot = SnapshotFactory.build(date=item.date, district=item.district, job_id=claim.fence.job_id)
                worker.remote.snapshots.put(snapshot, fence=claim.fence)
                self.note(worker, Outcome(item, kind, now, attempts=1))
        else:
            self.note(worker, Outcome(item, kind, now, REASONS[kind], attempts=1))

    @staticmethod
    def note(worker: Worker, outcome: Outcome) -> None:
        assert worker.claim is not None
        worker.claim.note([outcome])
        worker.in_flight.remove(outcome.item)

    @precondition(any_claim)
    @rule(number=WORKERS, fault=FAULTS)
    def a_runner_records(self, number: int, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        with self.acting_under_claim(worker, fault) as claim:
            claim.record(worker.in_flight, LimiterReport(), self.now_of(worker))
            assert not claim.unwritten
            assert claim.job == self.storage.jobs.get(claim.fence.job_id), "the claim has read the operator's requests"
            assert {outcome.item for outcome in self.read(claim.fence.job_id).outcomes} == {
                item for item in ITEMS if item in claim.settled
            }

    @precondition(any_claim)
    @rule(number=WORKERS, fault=FAULTS)
    def a_runner_reads_its_job(self, number: int, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        with self.acting_under_claim(worker, fault) as claim:
            claim.look()
            assert claim.job == self.storage.jobs.get(claim.fence.job_id)

    @precondition(any_claim)
    @rule(number=WORKERS, fault=FAULTS)
    def a_runner_reserves_time(self, number: int, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None

        def reserve(schedule: RequestSchedule) -> RequestSchedule:
            return schedule.reserved(timedelta(seconds=2), self.now_of(worker))[0]

        with self.acting_under_claim(worker, fault) as claim:
            worker.remote.control.update_schedule(reserve, fence=claim.fence)

    @precondition(any_claim)
    @rule(number=WORKERS, fault=FAULTS)
    def a_runner_finishes(self, number: int, fault: Fault | None) -> None:
        """Finish after the last item, or after the items in flight when a cancel or a pause was requested."""
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        assert worker.claim is not None
        is_settled = all(item in worker.claim.settled for item in ITEMS)
        if worker.in_flight or worker.claim.unwritten or (worker.claim.job.status is Status.RUNNING and not is_settled):
            return
        with self.acting_under_claim(worker, fault) as claim:
            after = claim.finish(self.now_of(worker))
            assert after.lease is None
            assert after.status.is_active is (not is_settled and after.status in {Status.PENDING, Status.PAUSED})
            worker.end_run()

    @precondition(any_claim)
    @rule(number=WORKERS, fault=FAULTS)
    def a_runner_stops_cleanly(self, number: int, fault: Fault | None) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        with self.acting_under_claim(worker, fault) as claim:
            claim.record((), LimiterReport(), self.now_of(worker))
            claim.release(self.now_of(worker))
            worker.end_run()

    @precondition(any_claim)
    @rule(number=WORKERS)
    def a_runner_is_killed(self, number: int) -> None:
        worker = self.pick_worker(number, has_claim=True)
        assert worker is not None
        worker.restart()

    # Invariants of the stored data

    def active(self) -> Job | None:
        return self.storage.jobs.active()

    def read(self, job_id: UUID) -> StoredState:
        job = self.storage.jobs.get(job_id)
        assert job is not None
        return StoredState(job, tuple(self.storage.ledger.segments(job_id)))

    def all_states(self) -> dict[UUID, StoredState]:
        page = self.storage.jobs.page(JobFilter(), limit=100, offset=0)
        return {job.id: self.read(job.id) for job in page.rows}

    def active_states(self) -> dict[UUID, StoredState]:
        """Read the jobs again that had not ended after the previous step."""
        page = self.storage.jobs.page(JobFilter(), limit=100, offset=0)
        ended = {job_id: state for job_id, state in self.states.items() if not state.job.status.is_active}
        return {job.id: ended.get(job.id) or self.read(job.id) for job in page.rows}

    @invariant()
    def the_store_is_consistent(self) -> None:
        self.assert_consistent_after(self.active_states())

    def assert_consistent_after(self, now: Mapping[UUID, StoredState]) -> None:
        lease = next((state.job.lease for state in now.values() if state.job.lease), None)
        if lease != self.renewed_at[0]:
            self.renewed_at = lease, self.elapsed
        assert sum(state.job.status in ACTIVE for state in now.values()) <= 1
        for job_id, before in self.states.items():
            self.assert_valid_change(before, now[job_id])
        for job_id, state in now.items():
            if state != self.states.get(job_id):
                self.assert_consistent(state)
        self.states = dict(now)

    @staticmethod
    def assert_valid_change(before: StoredState, after: StoredState) -> None:
        if not before.job.status.is_active:
            assert after == before, "an ended job must not change"
        status = before.job.status, after.job.status
        assert status[0] is status[1] or status in TRANSITIONS
        assert after.job.token >= before.job.token
        assert after.outcomes[: len(before.outcomes)] == before.outcomes, "outcomes must not be lost or changed"

    def assert_consistent(self, state: StoredState) -> None:
        job, outcomes = state.job, state.outcomes
        items = Counter(outcome.item for outcome in outcomes)
        assert set(items.values()) <= {1}, "an item must not be settled twice"
        assert set(items) <= set(ITEMS)
        assert [segment.number for segment in state.segments] == list(range(job.segments))
        progress = job.progress
        assert (progress.processed, progress.failed, progress.skipped_items) == count_by_kind(outcomes)
        if job.token:  # progress has no details before the first claim
            for name, district in progress.districts.items():
                of_district = [outcome for outcome in outcomes if outcome.item.district == name]
                assert (district.processed, district.failed, district.skipped) == count_by_kind(of_district)
        if job.status is Status.COMPLETED:
            assert set(items) == set(ITEMS)
        assert (job.lease is not None) == (job.status in {Status.RUNNING, Status.PAUSING, Status.CANCELLING})
        assert (job.ended_at is not None) == (job.status not in ACTIVE)
        stored = {
            WorkItem(edition.date, district)
            for edition in self.storage.snapshots.editions(ITEMS[0].date, ITEMS[-1].date)
            for district in edition.districts
        }
        assert {outcome.item for outcome in outcomes if outcome.kind is OutcomeKind.PROCESSED} <= stored

    # The job can be finished

    def teardown(self) -> None:
        self.finish_the_job()
        self.assert_consistent_after(self.all_states())

    def finish_the_job(self) -> None:
        """Finish the job with a new worker that has a correct clock, after all other workers have stopped."""
        manager = JobManager(self.storage, RuntimeConfig(clock=Clock(monotonic=lambda: self.elapsed)))
        if (job := self.active()) is None:
            return
        if job.status in {Status.PAUSED, Status.PAUSING}:
            job = self.storage.jobs.update(job.id, lambda job: job.resume_requested(self.now)).after
            self.the_store_is_consistent()
        claim = manager.claim("the last", self.now)
        if claim is None:
            self.now += STANDARD_LEASES.duration
            self.elapsed += STANDARD_LEASES.duration.total_seconds()
            claim = manager.claim("the last", self.now)
        assert claim is not None, f"the job is stuck: {job.status}, {job.lease}, at {self.now}"
        self.the_store_is_consistent()
        if claim.job.status is Status.RUNNING:
            claim.note([Outcome(item, OutcomeKind.FAILED, self.now, "X") for item in ITEMS])
            claim.record((), LimiterReport(), self.now)
        ended = claim.finish(self.now)
        assert not ended.status.is_active


def test_the_invariants_of_the_protocol_hold_after_any_sequence_of_actions_and_faults(
    storage: Storage,
    backend: Backend,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R1.4, R3.1, R3.3, R7.2, R10.3"""
    monkeypatch.setattr("backfill.engine.claim.SEGMENT_SIZE", 2)  # a few items then make several segments

    class ProtocolOnBackend(Protocol):
        pass

    ProtocolOnBackend.storage, ProtocolOnBackend.clear = storage, staticmethod(backend.clear)
    run_state_machine_as_test(
        ProtocolOnBackend,
        settings=settings(
            max_examples=EXAMPLES.get(request.node.callspec.params["backend"], DEFAULT_EXAMPLES),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
