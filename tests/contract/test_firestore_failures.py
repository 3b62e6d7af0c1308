"""Failures of Firestore: a refused call is retried within a limit; a write whose answer is lost has one effect."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from backfill.domain import JobFilter, LimiterReport, Outcome, OutcomeKind, RateLimits, Status, StoredLimits
from backfill.engine.job_manager import JobManager
from backfill.errors import LeaseLost, StorageUnavailable
from backfill.storage import Fence, Storage
from tests.contract.backends import FirestoreBackend
from tests.contract.test_job_storage import created
from tests.factories import DAY, NOW, AuditEntryFactory, JobFactory, PlanFactory, ResultFactory, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

MAX_WAIT = 1.0


class RpcFailure(grpc.RpcError):
    """An error as gRPC raises it; also a call that has failed."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return f"{self._code.name}, injected by a test"

    def result(self) -> None:
        raise self

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Fault:
    """A failure of a call: the call is refused, or it is executed and its answer is lost."""

    def __init__(self, code: grpc.StatusCode, *, is_executed: bool = False) -> None:
        self.code, self.is_executed = code, is_executed


@dataclass
class FaultInjector(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Intercepts the calls of the adapter to the real emulator. `choose` maps the name of a call to its fault."""

    choose: Callable[[str], Fault | None] = lambda _name: None
    injected: Counter[str] = field(default_factory=Counter)

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        name = details.method.rpartition("/")[2]
        fault = self.choose(name)
        if fault is None:
            return continuation(details, request)
        self.injected[name] += 1
        if fault.is_executed:
            continuation(details, request).result()
        raise RpcFailure(fault.code)

    def intercept_unary_stream(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        name = details.method.rpartition("/")[2]
        fault = self.choose(name)
        if fault is None:
            return continuation(details, request)
        self.injected[name] += 1
        raise RpcFailure(fault.code)

    def fail_first(self, times: int, fault: Fault, *names: str) -> None:
        """Inject the fault into the first calls with one of the names, or into the first calls if there are no names.

        A negative number of times has no end.
        """
        left = times

        def choose(name: str) -> Fault | None:
            nonlocal left
            if left == 0 or (names and name not in names):
                return None
            left -= 1
            return fault

        self.choose, self.injected = choose, Counter()


@dataclass
class DelayedCommit(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Reports a commit as failed, and executes it some calls later."""

    calls: int = 0
    is_armed: bool = False
    delayed: Callable[[], Any] | None = None

    def delay_next_commit(self, calls: int) -> None:
        self.calls, self.is_armed, self.delayed = calls, True, None

    def execute(self) -> None:
        """Execute the delayed commit. The server may refuse it by now."""
        if self.delayed is not None:
            self.delayed().exception()
            self.delayed = None

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if self.is_armed and details.method.endswith("/Commit"):
            self.is_armed, self.delayed = False, lambda: continuation(details, request)
            raise RpcFailure(grpc.StatusCode.UNAVAILABLE)
        return self.intercept_unary_stream(continuation, details, request)

    def intercept_unary_stream(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if self.delayed is not None:
            if self.calls == 0:
                self.execute()
            self.calls -= 1
        return continuation(details, request)


@pytest.fixture
def faulty(storage: Storage, backend: FirestoreBackend) -> tuple[FaultInjector, Storage]:
    """An empty storage, and the injector of faults into its calls to the emulator."""
    injector = FaultInjector()
    return injector, backend.through(injector, max_wait=MAX_WAIT)


REFUSAL_CODES = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
]
LOSS_CODES = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN]

FAULTS = [pytest.param(Fault(code), id=f"refused as {code.name}") for code in REFUSAL_CODES] + [
    pytest.param(Fault(code, is_executed=True), id=f"answer lost, {code.name}") for code in LOSS_CODES
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_whose_commit_fails_once_has_one_effect(faulty: tuple[FaultInjector, Storage], fault: Fault) -> None:
    """Each kind of write; its first commit is refused, or is executed and its answer is lost."""
    injector, storage = faulty

    def with_failure(write: Callable[[], Any]) -> Any:
        injector.fail_first(1, fault, "Commit")
        answer = write()
        assert injector.injected == {"Commit": 1}
        return answer

    job = with_failure(lambda: created(storage))
    assert storage.jobs.active() == job
    changed = with_failure(
        lambda: (
            storage.jobs.update(
                job.id,
                lambda held: replace(held, resume_count=held.resume_count + 1),
                audit=lambda _before, after: AuditEntryFactory.build(job_id=after.id),
            ).after
        )
    )
    assert changed == storage.jobs.get(job.id)
    assert (changed.resume_count, changed.revision) == (1, job.revision + 1)
    assert storage.audit.page(job.id, limit=10, offset=0).total == 1

    def raise_delay(stored: StoredLimits) -> StoredLimits:
        return replace(stored, limits=replace(stored.limits, max_delay_ms=stored.limits.max_delay_ms + 1))

    with_failure(
        lambda: storage.control.update_rate_limits(
            raise_delay, audit=lambda _b, _a: AuditEntryFactory.build(job_id=None)
        )
    )
    assert storage.control.rate_limits().limits.max_delay_ms == RateLimits().max_delay_ms + 1
    assert storage.audit.page(None, limit=10, offset=0).total == 2

    with_failure(
        lambda: storage.control.update_schedule(
            lambda schedule: replace(schedule, reserved_until=(schedule.reserved_until or NOW) + timedelta(seconds=1))
        )
    )
    assert storage.control.update_schedule(lambda schedule: schedule).reserved_until == NOW + timedelta(seconds=1)

    claimed = storage.jobs.update(job.id, lambda held: held.claimed("runner", NOW)).after
    fence = Fence(job.id, claimed.token)
    snapshot, result = SnapshotFactory.build(), ResultFactory.build()
    assert storage.snapshots.put(replace(snapshot, district="02"), fence=fence)  # detects whether the server verifies
    assert with_failure(lambda: storage.snapshots.put(snapshot, fence=fence)) is True
    assert storage.snapshots.get(snapshot.date, snapshot.district) == snapshot
    with_failure(lambda: storage.results.put([result], fence=fence))
    assert storage.results.get(result.date, result.district) == result

    ended = with_failure(
        lambda: storage.jobs.update(job.id, lambda held: held.cancel_requested(NOW + timedelta(hours=1))).after
    )
    assert ended.status is Status.CANCELLED
    assert storage.control.counters().jobs == {f"{job.job_type} cancelled": 1}
    assert storage.jobs.active() is None
    assert with_failure(lambda: storage.jobs.delete_finished(NOW + timedelta(days=1))) == 1
    assert storage.jobs.page(JobFilter(), limit=10, offset=0).total == 0


@pytest.mark.parametrize("calls", range(6))
def test_a_commit_that_is_executed_during_the_retry_has_one_effect(
    storage: Storage, backend: FirestoreBackend, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry has read some documents before the commit and some after it."""
    from backfill.storage.firestore import database

    monkeypatch.setattr(database, "_MAX_PAUSE", 0.001)
    commit = DelayedCommit()
    delayed = backend.through(commit)

    def with_failure(write: Callable[[], Any]) -> Any:
        commit.delay_next_commit(calls)
        answer = write()
        commit.execute()
        return answer

    stale = with_failure(lambda: created(delayed))
    assert storage.jobs.active() == stale
    later = NOW + timedelta(minutes=11)
    job = with_failure(
        lambda: (
            delayed.jobs.create(
                JobFactory.build(created_at=later),
                PlanFactory.build(),
                displace=lambda active: active.displaced(later),
                audit=lambda _displaced: [AuditEntryFactory.build()],
            ).job
        )
    )
    assert storage.jobs.active() == job
    assert storage.control.counters().jobs == {f"{job.job_type} failed": 1}
    assert storage.audit.page(None, limit=10, offset=0).total == 1
    claimed = with_failure(lambda: delayed.jobs.update(job.id, lambda held: held.claimed("runner", later)).after)
    assert storage.jobs.get(job.id) == claimed
    snapshot, fence = SnapshotFactory.build(), Fence(job.id, claimed.token)
    delayed.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)  # detects whether the server verifies
    assert with_failure(lambda: delayed.snapshots.put(snapshot, fence=fence)) is True
    assert storage.snapshots.get(snapshot.date, snapshot.district) == snapshot
    with_failure(
        lambda: delayed.control.update_rate_limits(
            lambda stored: replace(stored, updated_by=f"{stored.updated_by}again")
        )
    )
    assert storage.control.rate_limits().updated_by == "again"
    second = timedelta(seconds=1)
    with_failure(
        lambda: delayed.control.update_schedule(
            lambda schedule: replace(schedule, reserved_until=(schedule.reserved_until or NOW) + second), fence=fence
        )
    )
    assert storage.control.update_schedule(lambda schedule: schedule).reserved_until == NOW + second
    ended = with_failure(
        lambda: delayed.jobs.update(job.id, lambda held: held.cancel_requested(later + timedelta(hours=1))).after
    )
    assert storage.jobs.get(job.id) == ended
    assert storage.jobs.active() is None
    assert storage.control.counters().jobs == {f"{job.job_type} failed": 1, f"{job.job_type} cancelled": 1}


@pytest.mark.parametrize("code", REFUSAL_CODES, ids=lambda code: code.name)
def test_a_refused_read_is_retried(faulty: tuple[FaultInjector, Storage], code: grpc.StatusCode) -> None:
    injector, storage = faulty
    job = created(storage)
    reads: list[tuple[Callable[[], Any], str]] = [
        (lambda: storage.jobs.get(job.id), "BatchGetDocuments"),
        (storage.jobs.active, "RunQuery"),
        (lambda: storage.jobs.page(JobFilter(), limit=1, offset=0).rows[0], "RunAggregationQuery"),
    ]
    for read, name in reads:
        injector.fail_first(2, Fault(code), name)
        assert read() == job
        assert injector.injected == {name: 2}


@pytest.mark.parametrize(
    "code", [*REFUSAL_CODES, None], ids=lambda code: code.name if code else "no answer after a write"
)
def test_an_endless_failure_is_reported_within_the_limit_and_duplicates_nothing(
    faulty: tuple[FaultInjector, Storage], code: grpc.StatusCode | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner then writes the same segment again, under the same number."""
    from backfill.storage.firestore import database

    monkeypatch.setattr(database, "_CONTENTION_LIMIT", MAX_WAIT)
    injector, storage = faulty
    job = created(storage)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    item = next(item for day in PlanFactory.build().days for item in day.items())
    claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])

    def fail_after_a_write(name: str) -> Fault | None:
        if injector.injected:
            return Fault(grpc.StatusCode.UNAVAILABLE)
        return Fault(grpc.StatusCode.UNAVAILABLE, is_executed=True) if name == "Commit" else None

    if code is None:
        injector.choose = fail_after_a_write
    else:
        injector.fail_first(-1, Fault(code), "Commit")
    began = time.monotonic()
    with pytest.raises(StorageUnavailable) as error:
        claim.record((), LimiterReport(), NOW)
    assert time.monotonic() - began < MAX_WAIT + 5
    assert injector.injected.total() > 1, "The call is retried."
    assert error.value.__cause__ is not None

    injector.choose = lambda _name: None
    claim.record((), LimiterReport(), NOW)
    assert [outcome.item for segment in storage.ledger.segments(job.id) for outcome in segment.outcomes] == [item]
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert stored.progress.processed == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_job_settles_each_item_once_when_every_fourth_call_fails(
    faulty: tuple[FaultInjector, Storage], seed: int
) -> None:
    """Calls are refused or their answers are lost while the job is claimed, recorded item by item, and finished."""
    injector, storage = faulty
    rng = random.Random(seed)

    def choose(name: str) -> Fault | None:
        if rng.random() > 0.25:
            return None
        if name == "Commit" and rng.random() < 0.5:
            return Fault(rng.choice(LOSS_CODES), is_executed=True)
        return Fault(rng.choice(REFUSAL_CODES))

    def retry_until_stored(write: Callable[[], Any]) -> Any:
        while True:
            try:
                return write()
            except StorageUnavailable:
                continue

    injector.choose = choose
    job = retry_until_stored(lambda: created(storage))
    claim = retry_until_stored(lambda: JobManager(storage).claim("runner", NOW))
    items = [item for day in PlanFactory.build().days for item in day.items()]
    for item in items:
        claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])
        retry_until_stored(lambda: claim.record((), LimiterReport(), NOW))
    retry_until_stored(lambda: claim.finish(NOW))
    assert injector.injected.total() > len(items) / 2
    injector.choose = lambda _name: None

    ended = storage.jobs.get(job.id)
    assert ended is not None
    assert (ended.status, ended.progress.processed) == (Status.COMPLETED, len(items))
    outcomes = [outcome.item for segment in storage.ledger.segments(job.id) for outcome in segment.outcomes]
    assert outcomes == items
    assert storage.control.counters().jobs == {f"{job.job_type} completed": 1}
    with pytest.raises(LeaseLost):
        storage.snapshots.put(SnapshotFactory.build(date=DAY), fence=Fence(job.id, ended.token))
