"""Firestore in trouble: what it refuses is tried again within a limit; what it did without saying so is done once."""

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

PATIENCE = 1.0


class Refusal(grpc.RpcError):
    """As gRPC raises it, or gives it as a call that has failed."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return f"{self._code.name}, as the test has it"

    def result(self) -> None:
        raise self

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Fault:
    """What becomes of a call: it goes through, is refused, or is done and its answer lost."""

    def __init__(self, code: grpc.StatusCode, *, is_done: bool = False) -> None:
        self.code, self.is_done = code, is_done


@dataclass
class Trouble(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Stands between the adapter and the real emulator, and asks `choose` about each call by its name."""

    choose: Callable[[str], Fault | None] = lambda _name: None
    met: Counter[str] = field(default_factory=Counter)

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        name = details.method.rpartition("/")[2]
        fault = self.choose(name)
        if fault is None:
            return go_on(details, request)
        self.met[name] += 1
        if fault.is_done:
            go_on(details, request).result()
        raise Refusal(fault.code)

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        name = details.method.rpartition("/")[2]
        fault = self.choose(name)
        if fault is None:
            return go_on(details, request)
        self.met[name] += 1
        raise Refusal(fault.code)

    def first(self, times: int, fault: Fault, *names: str) -> None:
        """The fault happens to the first calls of those names (of none: of any), and then no more."""
        left = times

        def choose(name: str) -> Fault | None:
            nonlocal left
            if left == 0 or (names and name not in names):
                return None
            left -= 1
            return fault

        self.choose, self.met = choose, Counter()


@dataclass
class Late(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Does a commit some calls after it was told that it had failed."""

    calls: int = 0
    is_next: bool = False
    kept: Callable[[], Any] | None = None

    def next_commit(self, calls: int) -> None:
        self.calls, self.is_next, self.kept = calls, True, None

    def do(self) -> None:
        """Whatever comes of it: by then it may be refused."""
        if self.kept is not None:
            self.kept().exception()
            self.kept = None

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if self.is_next and details.method.endswith("/Commit"):
            self.is_next, self.kept = False, lambda: go_on(details, request)
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        return self.intercept_unary_stream(go_on, details, request)

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if self.kept is not None:
            if self.calls == 0:
                self.do()
            self.calls -= 1
        return go_on(details, request)


@pytest.fixture
def troubled(storage: Storage, backend: FirestoreBackend) -> tuple[Trouble, Storage]:
    """A storage of which each call to the emulator may meet trouble, over an empty store."""
    trouble = Trouble()
    return trouble, backend.through(trouble, max_wait=PATIENCE)


REFUSALS = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
]
LOSSES = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN]

FAULTS = [pytest.param(Fault(code), id=f"refused as {code.name}") for code in REFUSALS] + [
    pytest.param(Fault(code, is_done=True), id=f"answer lost, {code.name}") for code in LOSSES
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_that_meets_trouble_is_made_once(troubled: tuple[Trouble, Storage], fault: Fault) -> None:
    """Each kind of write, with its first commit refused, or done and its answer lost."""
    trouble, storage = troubled

    def met(write: Callable[[], Any]) -> Any:
        trouble.first(1, fault, "Commit")
        answer = write()
        assert trouble.met == {"Commit": 1}
        return answer

    job = met(lambda: created(storage))
    assert storage.jobs.active() == job
    changed = met(
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

    met(
        lambda: storage.control.update_rate_limits(
            raise_delay, audit=lambda _b, _a: AuditEntryFactory.build(job_id=None)
        )
    )
    assert storage.control.rate_limits().limits.max_delay_ms == RateLimits().max_delay_ms + 1
    assert storage.audit.page(None, limit=10, offset=0).total == 2

    met(
        lambda: storage.control.update_schedule(
            lambda schedule: replace(schedule, reserved_until=(schedule.reserved_until or NOW) + timedelta(seconds=1))
        )
    )
    assert storage.control.update_schedule(lambda schedule: schedule).reserved_until == NOW + timedelta(seconds=1)

    claimed = storage.jobs.update(job.id, lambda held: held.claimed("runner", NOW)).after
    fence = Fence(job.id, claimed.token)
    snapshot, result = SnapshotFactory.build(), ResultFactory.build()
    assert storage.snapshots.put(replace(snapshot, district="02"), fence=fence)  # the server is known from here on
    assert met(lambda: storage.snapshots.put(snapshot, fence=fence)) is True
    assert storage.snapshots.get(snapshot.date, snapshot.district) == snapshot
    met(lambda: storage.results.put([result], fence=fence))
    assert storage.results.get(result.date, result.district) == result

    ended = met(lambda: storage.jobs.update(job.id, lambda held: held.cancel_requested(NOW + timedelta(hours=1))).after)
    assert ended.status is Status.CANCELLED
    assert storage.control.counters().jobs == {f"{job.job_type} cancelled": 1}
    assert storage.jobs.active() is None
    assert met(lambda: storage.jobs.delete_finished(NOW + timedelta(days=1))) == 1
    assert storage.jobs.page(JobFilter(), limit=10, offset=0).total == 0


@pytest.mark.parametrize("calls", range(6))
def test_a_commit_that_is_done_between_two_calls_of_the_next_try_is_made_once(
    storage: Storage, backend: FirestoreBackend, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer never comes, and some of what the next try has read is of the moment before; or it comes too late."""
    from backfill.storage.firestore import database

    monkeypatch.setattr(database, "_MAX_PAUSE", 0.001)
    late = Late()
    belated = backend.through(late)

    def met(write: Callable[[], Any]) -> Any:
        late.next_commit(calls)
        answer = write()
        late.do()
        return answer

    stale = met(lambda: created(belated))
    assert storage.jobs.active() == stale
    later = NOW + timedelta(minutes=11)
    job = met(
        lambda: (
            belated.jobs.create(
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
    claimed = met(lambda: belated.jobs.update(job.id, lambda held: held.claimed("runner", later)).after)
    assert storage.jobs.get(job.id) == claimed
    snapshot, fence = SnapshotFactory.build(), Fence(job.id, claimed.token)
    belated.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)  # the server is known from here on
    assert met(lambda: belated.snapshots.put(snapshot, fence=fence)) is True
    assert storage.snapshots.get(snapshot.date, snapshot.district) == snapshot
    met(
        lambda: belated.control.update_rate_limits(
            lambda stored: replace(stored, updated_by=f"{stored.updated_by}again")
        )
    )
    assert storage.control.rate_limits().updated_by == "again"
    second = timedelta(seconds=1)
    met(
        lambda: belated.control.update_schedule(
            lambda schedule: replace(schedule, reserved_until=(schedule.reserved_until or NOW) + second), fence=fence
        )
    )
    assert storage.control.update_schedule(lambda schedule: schedule).reserved_until == NOW + second
    ended = met(
        lambda: belated.jobs.update(job.id, lambda held: held.cancel_requested(later + timedelta(hours=1))).after
    )
    assert storage.jobs.get(job.id) == ended
    assert storage.jobs.active() is None
    assert storage.control.counters().jobs == {f"{job.job_type} failed": 1, f"{job.job_type} cancelled": 1}


@pytest.mark.parametrize("code", REFUSALS, ids=lambda code: code.name)
def test_reading_goes_on_after_a_refusal(troubled: tuple[Trouble, Storage], code: grpc.StatusCode) -> None:
    trouble, storage = troubled
    job = created(storage)
    reads: list[tuple[Callable[[], Any], str]] = [
        (lambda: storage.jobs.get(job.id), "BatchGetDocuments"),
        (storage.jobs.active, "RunQuery"),
        (lambda: storage.jobs.page(JobFilter(), limit=1, offset=0).rows[0], "RunAggregationQuery"),
    ]
    for read, name in reads:
        trouble.first(2, Fault(code), name)
        assert read() == job
        assert trouble.met == {name: 2}


@pytest.mark.parametrize("code", [*REFUSALS, None], ids=lambda code: code.name if code else "silent after a write")
def test_an_endless_failure_is_reported_within_the_limit_and_doubles_nothing(
    troubled: tuple[Trouble, Storage], code: grpc.StatusCode | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the runner tries again, as in any outage: the same segment, under the same number."""
    from backfill.storage.firestore import database

    monkeypatch.setattr(database, "_CONTENTION_LIMIT", PATIENCE)
    trouble, storage = troubled
    job = created(storage)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    item = next(item for day in PlanFactory.build().days for item in day.items())
    claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])

    def silent_after_a_write(name: str) -> Fault | None:
        if trouble.met:
            return Fault(grpc.StatusCode.UNAVAILABLE)
        return Fault(grpc.StatusCode.UNAVAILABLE, is_done=True) if name == "Commit" else None

    if code is None:
        trouble.choose = silent_after_a_write
    else:
        trouble.first(-1, Fault(code), "Commit")
    began = time.monotonic()
    with pytest.raises(StorageUnavailable) as told:
        claim.record((), LimiterReport(), NOW)
    assert time.monotonic() - began < PATIENCE + 5
    assert trouble.met.total() > 1, "It was tried again."
    assert told.value.__cause__ is not None

    trouble.choose = lambda _name: None
    claim.record((), LimiterReport(), NOW)
    assert [outcome.item for segment in storage.ledger.segments(job.id) for outcome in segment.outcomes] == [item]
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert stored.progress.processed == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_job_that_meets_trouble_at_every_fourth_call_settles_each_item_once(
    troubled: tuple[Trouble, Storage], seed: int
) -> None:
    """Refused or lost, whatever comes: claimed, recorded item by item, and finished."""
    trouble, storage = troubled
    rng = random.Random(seed)

    def choose(name: str) -> Fault | None:
        if rng.random() > 0.25:
            return None
        if name == "Commit" and rng.random() < 0.5:
            return Fault(rng.choice(LOSSES), is_done=True)
        return Fault(rng.choice(REFUSALS))

    def patiently(write: Callable[[], Any]) -> Any:
        while True:
            try:
                return write()
            except StorageUnavailable:
                continue

    trouble.choose = choose
    job = patiently(lambda: created(storage))
    claim = patiently(lambda: JobManager(storage).claim("runner", NOW))
    items = [item for day in PlanFactory.build().days for item in day.items()]
    for item in items:
        claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])
        patiently(lambda: claim.record((), LimiterReport(), NOW))
    patiently(lambda: claim.finish(NOW))
    assert trouble.met.total() > len(items) / 2
    trouble.choose = lambda _name: None

    ended = storage.jobs.get(job.id)
    assert ended is not None
    assert (ended.status, ended.progress.processed) == (Status.COMPLETED, len(items))
    outcomes = [outcome.item for segment in storage.ledger.segments(job.id) for outcome in segment.outcomes]
    assert outcomes == items
    assert storage.control.counters().jobs == {f"{job.job_type} completed": 1}
    with pytest.raises(LeaseLost):
        storage.snapshots.put(SnapshotFactory.build(date=DAY), fence=Fence(job.id, ended.token))
