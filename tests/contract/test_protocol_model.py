"""The protocol of admission, lease, fence, cancel, pause and displacement as a state machine, over every adapter.

Three workers and an operator act in any order, each under a clock of its own that may jump. Any call of a worker to the
store may be lost before it is made, or after what it wrote and before its answer; and at either point the worker may
die. What must hold is read back from the store after every step, and not from what the actors believe.
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
FEWEST = 10
"""Of an adapter that has no number of its own."""
REASONS = {OutcomeKind.PROCESSED: "", OutcomeKind.FAILED: "SERVER_ERROR", OutcomeKind.SKIPPED: "stored"}


class Killed(BaseException):
    """The process of a worker ends here, without a word."""


@dataclass(frozen=True)
class Trouble:
    """What befalls the calls to the store that an act makes."""

    call: int
    """Which of them, from 0."""
    is_after: bool
    """The write happened, and only its answer is lost."""
    kills: bool


TROUBLE = st.one_of(st.none(), st.none(), st.builds(Trouble, st.integers(0, 4), st.booleans(), st.booleans()))


class Line:
    """A worker's way to one port, on which trouble may befall a call."""

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
    """A process that may hold a claim; it acts on nothing but what its own calls told it."""

    number: int
    storage: Storage
    clock: Callable[[], float]
    clock_is_ahead: timedelta = timedelta(0)
    births: int = 0
    claim: Claim | None = None
    in_hand: list[WorkItem] = field(default_factory=list)
    trouble: Trouble | None = None
    _calls: int = 0

    def __post_init__(self) -> None:
        lines = {port.name: cast("Any", Line(getattr(self.storage, port.name), self)) for port in fields(Storage)}
        self.remote = Storage(**lines)
        self.manager = JobManager(self.remote, RuntimeConfig(clock=Clock(monotonic=self.clock)))

    @property
    def owner(self) -> str:
        return f"worker-{self.number}-{self.births}"

    def called(self, *, is_after: bool) -> None:
        trouble = self.trouble
        if trouble is not None and (trouble.call, trouble.is_after) == (self._calls, is_after):
            self.trouble = None
            raise Killed if trouble.kills else StorageUnavailable("The job store does not answer: a test says so.")
        self._calls += is_after

    def meets(self, trouble: Trouble | None) -> None:
        self.trouble, self._calls = trouble, 0

    def ends_run(self) -> None:
        self.claim = None
        self.in_hand.clear()

    def dies(self) -> None:
        self.ends_run()
        self.births += 1
        self.manager = JobManager(self.remote, RuntimeConfig(clock=Clock(monotonic=self.clock)))


Ledger = Mapping[WorkItem, Outcome]


@dataclass(frozen=True)
class Seen:
    """Everything that the store holds of one job."""

    job: Job
    segments: tuple[Segment, ...]

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for segment in self.segments for outcome in segment.outcomes]


def in_kinds(outcomes: list[Outcome]) -> tuple[int, ...]:
    """How many were processed, failed and skipped."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return tuple(counts[kind] for kind in OutcomeKind)


class Protocol(RuleBasedStateMachine):
    """See the module."""

    storage: Storage
    clear: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.clear()
        self.now, self.elapsed = NOW, 0.0
        self.renewed_at: tuple[Lease | None, float] = None, 0.0
        self.operator_is_ahead = timedelta(0)
        self.workers = [Worker(number, self.storage, lambda: self.elapsed) for number in range(3)]
        self.seen: dict[UUID, Seen] = {}

    # What the world does.

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

    # What the operator does.

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

    @rule(verb=st.sampled_from(["cancel_requested", "pause_requested", "resume_requested"]))
    def operator_asks(self, verb: str) -> None:
        """Of the active job, or of the newest where none is."""
        now = self.now + self.operator_is_ahead
        job = self.active() or self.storage.jobs.page(JobFilter(), limit=1, offset=0).rows[0]
        try:
            after = self.storage.jobs.update(job.id, lambda job: getattr(job, verb)(now)).after
        except InvalidJobState:
            assert verb != "cancel_requested" or not job.status.is_active
        else:
            assert job.status.is_active
            expected = {
                "cancel_requested": {Status.CANCELLING, Status.CANCELLED},
                "pause_requested": {Status.PAUSING, Status.PAUSED},
                "resume_requested": {Status.RUNNING, Status.PENDING},
            }
            assert after.status in expected[verb]

    # What workers do.

    @contextmanager
    def acting(self, worker: Worker, trouble: Trouble | None) -> Iterator[Claim]:
        """An act under a claim: refused where that holds no more, and then nothing is changed by it."""
        claim = worker.claim
        assert claim is not None
        before = self.everything()
        stored = before[claim.fence.job_id].job
        is_fenced_off = stored.token != claim.fence.token or stored.lease is None
        worker.meets(trouble)
        try:
            yield claim
        except LeaseLost:
            assert is_fenced_off, "a runner that holds the job was refused"
            worker.ends_run()
        except StorageUnavailable:
            pass
        except Killed:
            worker.dies()
        else:
            assert not is_fenced_off, "a runner that was fenced off was not refused"
        finally:
            worker.meets(None)
        if is_fenced_off:
            assert self.everything() == before

    def runs(self) -> bool:
        return any(worker.claim for worker in self.workers)

    def picked(self, number: int, *, holding: bool) -> Worker | None:
        """One of those that hold a claim, or that hold none."""
        fitting = [worker for worker in self.workers if (worker.claim is not None) is holding]
        return fitting[number % len(fitting)] if fitting else None

    def now_of(self, worker: Worker) -> Any:
        return self.now + worker.clock_is_ahead

    @rule(number=WORKERS, trouble=TROUBLE)
    def a_worker_claims(self, number: int, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=False)
        if worker is None:
            return
        before = self.active()
        now = self.now_of(worker)
        worker.meets(trouble)
        try:
            worker.claim = worker.manager.claim(worker.owner, now)
        except StorageUnavailable:
            return
        except Killed:
            worker.dies()
            return
        finally:
            worker.meets(None)
        if before is not None and before.can_be_claimed(now):
            assert worker.claim is not None
        elif worker.claim is not None:  # from a runner that was silent for as long as a lease lasts
            assert self.elapsed - self.renewed_at[1] >= STANDARD_LEASES.duration.total_seconds()
        if worker.claim is not None and before is not None:
            assert worker.claim.job.token > before.token
            assert {item for item in ITEMS if item in worker.claim.settled} == {
                outcome.item for outcome in self.read(before.id).outcomes
            }

    @precondition(runs)
    @rule(number=WORKERS, count=st.integers(1, 3))
    def a_runner_begins_items(self, number: int, count: int) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        assert worker.claim is not None
        if worker.claim.job.status is Status.RUNNING:
            left = [item for item in ITEMS if item not in worker.claim.settled and item not in worker.in_hand]
            worker.in_hand += left[:count]

    @precondition(runs)
    @rule(number=WORKERS, kind=st.sampled_from(OutcomeKind), trouble=TROUBLE)
    def a_runner_settles_an_item(self, number: int, kind: OutcomeKind, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        if not worker.in_hand:
            return
        item = worker.in_hand[0]
        now = self.now_of(worker)
        if kind is OutcomeKind.PROCESSED:
            with self.acting(worker, trouble) as claim:
                snapshot = SnapshotFactory.build(date=item.date, district=item.district, job_id=claim.fence.job_id)
                worker.remote.snapshots.put(snapshot, fence=claim.fence)
                self.noted(worker, Outcome(item, kind, now, attempts=1))
        else:
            self.noted(worker, Outcome(item, kind, now, REASONS[kind], attempts=1))

    @staticmethod
    def noted(worker: Worker, outcome: Outcome) -> None:
        assert worker.claim is not None
        worker.claim.note([outcome])
        worker.in_hand.remove(outcome.item)

    @precondition(runs)
    @rule(number=WORKERS, trouble=TROUBLE)
    def a_runner_records(self, number: int, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        with self.acting(worker, trouble) as claim:
            claim.record(worker.in_hand, LimiterReport(), self.now_of(worker))
            assert not claim.unwritten
            assert claim.job == self.storage.jobs.get(claim.fence.job_id), "what the operator wishes is brought back"
            assert {outcome.item for outcome in self.read(claim.fence.job_id).outcomes} == {
                item for item in ITEMS if item in claim.settled
            }

    @precondition(runs)
    @rule(number=WORKERS, trouble=TROUBLE)
    def a_runner_looks(self, number: int, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        with self.acting(worker, trouble) as claim:
            claim.look()
            assert claim.job == self.storage.jobs.get(claim.fence.job_id)

    @precondition(runs)
    @rule(number=WORKERS, trouble=TROUBLE)
    def a_runner_reserves_a_turn(self, number: int, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None

        def reserve(schedule: RequestSchedule) -> RequestSchedule:
            return schedule.reserved(timedelta(seconds=2), self.now_of(worker))[0]

        with self.acting(worker, trouble) as claim:
            worker.remote.control.update_schedule(reserve, fence=claim.fence)

    @precondition(runs)
    @rule(number=WORKERS, trouble=TROUBLE)
    def a_runner_comes_to_the_end(self, number: int, trouble: Trouble | None) -> None:
        """Of its items, or of those in flight after a cancel or a pause."""
        worker = self.picked(number, holding=True)
        assert worker is not None
        assert worker.claim is not None
        is_through = all(item in worker.claim.settled for item in ITEMS)
        if worker.in_hand or worker.claim.unwritten or (worker.claim.job.status is Status.RUNNING and not is_through):
            return
        with self.acting(worker, trouble) as claim:
            after = claim.finish(self.now_of(worker))
            assert after.lease is None
            assert after.status.is_active is (not is_through and after.status in {Status.PENDING, Status.PAUSED})
            worker.ends_run()

    @precondition(runs)
    @rule(number=WORKERS, trouble=TROUBLE)
    def a_runner_stops_cleanly(self, number: int, trouble: Trouble | None) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        with self.acting(worker, trouble) as claim:
            claim.record((), LimiterReport(), self.now_of(worker))
            claim.release(self.now_of(worker))
            worker.ends_run()

    @precondition(runs)
    @rule(number=WORKERS)
    def a_runner_is_killed(self, number: int) -> None:
        worker = self.picked(number, holding=True)
        assert worker is not None
        worker.dies()

    # What must hold, as read from the store.

    def active(self) -> Job | None:
        return self.storage.jobs.active()

    def read(self, job_id: UUID) -> Seen:
        job = self.storage.jobs.get(job_id)
        assert job is not None
        return Seen(job, tuple(self.storage.ledger.segments(job_id)))

    def everything(self) -> dict[UUID, Seen]:
        page = self.storage.jobs.page(JobFilter(), limit=100, offset=0)
        return {job.id: self.read(job.id) for job in page.rows}

    @invariant()
    def the_store_keeps_its_promises(self) -> None:
        now = self.everything()
        lease = next((seen.job.lease for seen in now.values() if seen.job.lease), None)
        if lease != self.renewed_at[0]:
            self.renewed_at = lease, self.elapsed
        assert sum(seen.job.status in ACTIVE for seen in now.values()) <= 1
        for job_id, before in self.seen.items():
            self.assert_moved_as_allowed(before, now[job_id])
        for job_id, seen in now.items():
            if seen != self.seen.get(job_id):
                self.assert_whole(seen)
        self.seen = now

    @staticmethod
    def assert_moved_as_allowed(before: Seen, after: Seen) -> None:
        if not before.job.status.is_active:
            assert after == before, "a job that has ended never changes"
        status = before.job.status, after.job.status
        assert status[0] is status[1] or status in TRANSITIONS
        assert after.job.token >= before.job.token
        assert after.outcomes[: len(before.outcomes)] == before.outcomes, "nothing that was settled is lost or changed"

    def assert_whole(self, seen: Seen) -> None:
        job, outcomes = seen.job, seen.outcomes
        items = Counter(outcome.item for outcome in outcomes)
        assert set(items.values()) <= {1}, "no item is settled twice"
        assert set(items) <= set(ITEMS)
        assert [segment.number for segment in seen.segments] == list(range(job.segments))
        progress = job.progress
        assert (progress.processed, progress.failed, progress.skipped_items) == in_kinds(outcomes)
        if job.token:  # a job that nobody has claimed has no detail
            for name, district in progress.districts.items():
                of_district = [outcome for outcome in outcomes if outcome.item.district == name]
                assert (district.processed, district.failed, district.skipped) == in_kinds(of_district)
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

    # And at last nothing is stuck.

    def teardown(self) -> None:
        """Every worker is gone; a new one, under a good clock, brings the job to its end as soon as it may claim it."""
        manager = JobManager(self.storage, RuntimeConfig(clock=Clock(monotonic=lambda: self.elapsed)))
        if (job := self.active()) is None:
            return
        if job.status in {Status.PAUSED, Status.PAUSING}:
            job = self.storage.jobs.update(job.id, lambda job: job.resume_requested(self.now)).after
            self.the_store_keeps_its_promises()
        claim = manager.claim("the last", self.now)
        if claim is None:
            self.now += STANDARD_LEASES.duration
            self.elapsed += STANDARD_LEASES.duration.total_seconds()
            claim = manager.claim("the last", self.now)
        assert claim is not None, f"the job is stuck: {job.status}, {job.lease}, at {self.now}"
        self.the_store_keeps_its_promises()
        if claim.job.status is Status.RUNNING:
            claim.note([Outcome(item, OutcomeKind.FAILED, self.now, "X") for item in ITEMS])
            claim.record((), LimiterReport(), self.now)
        ended = claim.finish(self.now)
        assert not ended.status.is_active
        self.the_store_keeps_its_promises()


def test_the_protocol_holds_whatever_happens_between_any_two_calls(
    storage: Storage,
    backend: Backend,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R1.4, R3.1, R3.3, R7.2, R10.3"""
    monkeypatch.setattr("backfill.engine.claim.SEGMENT_SIZE", 2)  # so that a few items make several segments

    class ProtocolHere(Protocol):
        pass

    ProtocolHere.storage, ProtocolHere.clear = storage, staticmethod(backend.clear)
    run_state_machine_as_test(
        ProtocolHere,
        settings=settings(
            max_examples=EXAMPLES.get(request.node.callspec.params["backend"], FEWEST),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
