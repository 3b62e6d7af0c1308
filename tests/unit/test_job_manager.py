"""Claims, records and takeovers of jobs, and the counters that each claim rebuilds from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from backfill.domain import (
    STANDARD_LEASES,
    SUMMARY,
    Job,
    LimiterReport,
    LimiterState,
    OutcomeKind,
    Plan,
    Progress,
    Segment,
    Status,
    WorkItem,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.claim import SEGMENT_SIZE, Claim
from backfill.engine.job_manager import JobManager
from backfill.errors import CorruptRecord, LeaseLost, StorageUnavailable
from backfill.storage import Change
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import NOW, a_job, a_plan, a_running_job, all_items, an_outcome, skipped

LEASE = STANDARD_LEASES.duration

IDLE = LimiterReport()
LATER = NOW + timedelta(seconds=2)


def stored(storage: MemoryStorage, plan: Plan, **fields: object) -> Job:
    return storage.jobs.put_in(a_job(progress=Progress(total_items=plan.total_items), **fields), plan)


def claimed(storage: MemoryStorage, plan: Plan) -> Claim:
    stored(storage, plan)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    return claim


def taken_over(storage: MemoryStorage, job: Job) -> Claim:
    """Claims the job for the next worker after its lease has expired."""
    assert job.lease is not None
    claim = JobManager(storage).claim("next", job.lease.expires_at)
    assert claim is not None
    return claim


# Claiming.


def test_no_job_is_claimed_if_none_is_active_or_a_live_runner_holds_it() -> None:
    """R3.1"""
    storage = MemoryStorage()
    manager = JobManager(storage)
    assert manager.claim("runner", NOW) is None
    stored(storage, a_plan(), status=Status.COMPLETED, ended_at=NOW)
    assert manager.claim("runner", NOW) is None
    storage.jobs.put_in(a_running_job())
    assert manager.claim("runner", NOW) is None
    assert storage.jobs.updates == 0


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_lease_from_a_clock_that_is_an_hour_fast_holds_only_while_it_is_renewed() -> None:
    """Found by the protocol model: the runner was killed, and the job stopped until that hour had passed."""
    storage, plan, clock = MemoryStorage(), a_plan(), ManualClock()
    ahead = NOW + timedelta(hours=1)
    stored(storage, plan)
    first = JobManager(storage).claim("ahead", ahead)
    assert first is not None
    manager = JobManager(storage, RuntimeConfig(clock=Clock(monotonic=clock)))
    for seconds in range(0, 40, 5):
        first.record((), IDLE, ahead + timedelta(seconds=seconds))
        assert manager.claim("next", NOW) is None
        clock.seconds += 5
    clock.seconds += LEASE.total_seconds() - 5.1  # the last renewal was seen five seconds earlier
    assert manager.claim("next", NOW) is None
    clock.seconds += 0.1
    taken = manager.claim("next", NOW)
    assert taken is not None
    assert taken.job.takeover_seconds == 0
    with pytest.raises(LeaseLost):
        first.record((), IDLE, ahead)


def test_a_lease_that_is_renewed_at_the_last_moment_is_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, plan, clock = MemoryStorage(), a_plan(), ManualClock()
    claim = claimed(storage, plan)
    manager = JobManager(storage, RuntimeConfig(clock=Clock(monotonic=clock)))
    assert manager.claim("next", NOW) is None
    clock.seconds += LEASE.total_seconds()
    found = storage.jobs.active()
    claim.record((), IDLE, LATER)
    monkeypatch.setattr(storage.jobs, "active", lambda: found)
    with pytest.raises(LeaseLost):
        manager.claim("next", NOW)


def test_reading_a_ledger_for_longer_than_a_lease_renews_the_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise two workers would take over the job from each other endlessly, before either has read the ledger."""
    storage, plan, clock = MemoryStorage(), a_plan(), ManualClock()
    job = claimed(storage, plan).release(NOW)
    segments = [Segment(n, (an_outcome(item),)) for n, item in enumerate(all_items(plan)[:5])]

    def read_slowly(_: object) -> Iterator[Segment]:
        for segment in segments:
            clock.seconds += 6
            now = NOW + timedelta(seconds=clock.seconds - 100)
            assert JobManager(storage).claim("another", now) is None
            yield segment

    monkeypatch.setattr(storage.ledger, "segments", read_slowly)
    claim = JobManager(storage, RuntimeConfig(clock=Clock(monotonic=clock))).claim("reader", NOW)
    assert claim is not None
    assert (claim.job.token, claim.job.progress.processed) == (job.token + 1, 5)
    assert claim.job.is_held(NOW + timedelta(seconds=30) + LEASE - timedelta(seconds=1))


def test_a_paused_job_is_not_claimed() -> None:
    storage = MemoryStorage()
    stored(storage, a_plan(), status=Status.PAUSED)
    assert JobManager(storage).claim("runner", NOW) is None


def test_a_claim_starts_the_job_and_reads_its_plan() -> None:
    """R3.3"""
    storage, plan = MemoryStorage(), a_plan()
    claim = claimed(storage, plan)
    job = storage.jobs.rows[claim.job.id]
    assert (job.status, job.token, claim.fence.token, job.started_at) == (Status.RUNNING, 1, 1, NOW)
    assert (claim.plan, claim.unwritten) == (plan, 0)
    assert job.progress.total_items == 6
    assert set(job.progress.districts) == {SUMMARY, "01", "F"}


def test_the_slower_of_two_claims_fails_with_lease_lost() -> None:
    """R3.1"""
    storage = MemoryStorage()
    job = stored(storage, a_plan())
    stale_view = storage.jobs.active
    storage.jobs.active = lambda: job  # type: ignore[method-assign]
    JobManager(storage).claim("quick", NOW)
    with pytest.raises(LeaseLost, match="held by quick"):
        JobManager(storage).claim("slow", NOW)
    storage.jobs.active = stale_view  # type: ignore[method-assign]


# Recording.


def test_a_record_stores_outcomes_and_progress_and_renews_the_lease() -> None:
    """R1.3, R5.1, R10.2"""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    one, two, *_ = all_items(claim.plan)
    claim.note([an_outcome(one, at=LATER)])
    assert claim.unwritten == 1
    job = claim.record([two], LimiterReport(requests_made=3), LATER)
    assert claim.unwritten == 0
    assert storage.jobs.get(job.id) == job
    assert job.lease is not None
    assert job.lease.expires_at == LATER + LEASE
    assert job.progressed_at == LATER
    progress = job.progress
    assert (progress.processed, progress.settled_items, progress.current_item) == (1, 1, two.key)
    assert (progress.last_item, progress.last_item_at) == (one.key, LATER)
    assert progress.districts["01"].status == "processing"
    assert storage.ledger.of(job.id) == [an_outcome(one, at=LATER)]


def test_an_outcome_that_is_noted_repeatedly_is_recorded_once() -> None:
    """R10.3"""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    item = all_items(claim.plan)[0]
    stranger = WorkItem(item.date, "99")
    claim.note([an_outcome(item), an_outcome(item, OutcomeKind.FAILED), an_outcome(stranger)])
    claim.note([an_outcome(item, OutcomeKind.SKIPPED)])
    job = claim.record((), IDLE, NOW)
    assert storage.ledger.of(job.id) == [an_outcome(item)]
    assert (job.progress.processed, job.progress.failed, job.progress.skipped_items) == (1, 0, 0)


def test_a_ledger_segment_is_filled_before_the_next_one_begins() -> None:
    """R10.2"""
    storage, plan = MemoryStorage(), a_plan(300, (SUMMARY, "01", "F"))
    claim = claimed(storage, plan)
    items = all_items(plan)
    for start, count in ((0, 1), (1, SEGMENT_SIZE - 1), (SEGMENT_SIZE, 1), (SEGMENT_SIZE + 1, 2)):
        claim.note(an_outcome(item) for item in items[start : start + count])
        claim.record((), IDLE, NOW)
    assert [(number, count) for _, number, count in storage.ledger.writes] == [
        (0, 1),
        (0, SEGMENT_SIZE),
        (1, 1),
        (1, 3),
    ]
    assert [outcome.item for outcome in storage.ledger.of(claim.job.id)] == items[: SEGMENT_SIZE + 3]
    assert storage.jobs.rows[claim.job.id].segments == 2


def test_a_failed_record_is_repeated_without_lost_or_duplicate_outcomes() -> None:
    """R10.3"""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    items = all_items(claim.plan)
    claim.note([an_outcome(items[0])])
    storage.store.is_down = True
    with pytest.raises(StorageUnavailable):
        claim.record((), IDLE, NOW)
    assert claim.unwritten == 1
    storage.store.is_down = False
    claim.note([an_outcome(items[1])])
    claim.record((), IDLE, NOW)
    assert [outcome.item for outcome in storage.ledger.of(claim.job.id)] == items[:2]


def test_a_record_without_a_response_is_written_again_with_the_same_number() -> None:
    """R10.3"""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    item = all_items(claim.plan)[0]
    claim.note([an_outcome(item)])
    update = storage.jobs.update

    def write_and_fail(*args: object, **options: object) -> Change[Job]:
        update(*args, **options)  # type: ignore[arg-type]
        raise StorageUnavailable("The answer was lost.")

    storage.jobs.update = write_and_fail  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable):
        claim.record((), IDLE, NOW)
    storage.jobs.update = update  # type: ignore[method-assign]
    claim.record((), IDLE, NOW)
    assert [outcome.item for outcome in storage.ledger.of(claim.job.id)] == [item]
    again = taken_over(storage, storage.jobs.rows[claim.job.id])
    assert again.job.progress.processed == 1


@pytest.mark.parametrize(
    ("report", "moves"),
    [
        (IDLE, False),
        (LimiterReport(requests_made=1), True),
        (LimiterReport(state=LimiterState.BACKING_OFF, waiting_until=LATER, reason="asked to wait"), True),
    ],
)
def test_requests_and_waits_with_a_known_end_are_progress(report: LimiterReport, *, moves: bool) -> None:
    """R3.4"""
    claim = claimed(MemoryStorage(), a_plan())
    job = claim.record((), report, LATER)
    assert job.progressed_at == (LATER if moves else NOW)


def test_recording_and_looking_return_the_state_requested_by_the_operator() -> None:
    """R7.2"""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    storage.jobs.update(claim.job.id, lambda job: job.cancel_requested(NOW))
    assert claim.look().status is Status.CANCELLING
    assert claim.record((), IDLE, NOW).status is Status.CANCELLING
    assert claim.finish(LATER).status is Status.CANCELLED


def test_a_former_runner_can_neither_write_nor_read_the_job() -> None:
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    claim.note([an_outcome(all_items(claim.plan)[0])])
    again = taken_over(storage, claim.job)
    before = storage.jobs.rows[claim.job.id]
    for write in (
        claim.look,
        lambda: claim.record((), IDLE, LATER),
        lambda: claim.finish(LATER),
        lambda: claim.release(LATER),
        lambda: claim.fail("It cannot be run.", LATER),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert storage.jobs.rows[claim.job.id] == before == again.job
    assert storage.ledger.of(claim.job.id) == []


def test_a_job_that_cannot_run_fails_with_a_message() -> None:
    storage = MemoryStorage()
    job = claimed(storage, a_plan()).fail("It cannot be run.", LATER)
    assert (job.status, job.error, job.ended_at) == (Status.FAILED, "It cannot be run.", LATER)


# Taking over.


def test_counters_settled_items_and_errors_are_rebuilt_from_the_ledger() -> None:
    """R10.1, R10.3: this includes stored counters that are out of date."""
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    items = all_items(claim.plan)
    failure = an_outcome(items[1], OutcomeKind.FAILED, reason="TIMEOUT", message="It took too long.", is_retryable=True)
    claim.note([an_outcome(items[0]), failure, *skipped([items[2]])])
    job = claim.record((), LimiterReport(requests_made=9), NOW)
    storage.jobs.rows[job.id] = replace(job, progress=Progress(total_items=6, limiter=LimiterReport(requests_made=9)))
    again = taken_over(storage, job)
    progress = again.job.progress
    assert (progress.processed, progress.failed, progress.skipped) == (1, 1, {"stored": 1})
    assert [item in again.settled for item in items] == [True] * 3 + [False] * 3
    (error,) = progress.errors
    assert (error.item_key, error.code, error.message, error.is_retryable) == (
        items[1].key,
        "TIMEOUT",
        "It took too long.",
        True,
    )
    assert progress.districts[items[1].district].last_error == "It took too long."
    assert progress.limiter == LimiterReport(requests_made=9)
    assert again.job.resume_count == 1


def test_the_next_runner_appends_to_the_existing_ledger() -> None:
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    items = all_items(claim.plan)
    claim.note([an_outcome(items[0])])
    again = taken_over(storage, claim.record((), IDLE, NOW))
    again.note([an_outcome(items[0]), an_outcome(items[1])])
    again.record((), IDLE, LATER)
    assert [number for _, number, _ in storage.ledger.writes] == [0, 1]
    assert [outcome.item for outcome in storage.ledger.of(claim.job.id)] == items[:2]


def test_an_outcome_that_is_in_a_ledger_twice_counts_once() -> None:
    storage = MemoryStorage()
    claim = claimed(storage, a_plan())
    item = all_items(claim.plan)[0]
    for number in (0, 1):
        storage.jobs.update(claim.job.id, lambda job: job, segment=Segment(number, (an_outcome(item),)))
    assert taken_over(storage, claim.job).job.progress.processed == 1


@pytest.mark.parametrize("part", ["plan", "segment"])
def test_a_job_with_an_unreadable_plan_or_ledger_fails_and_names_it(part: str) -> None:
    storage = MemoryStorage()
    job = stored(storage, a_plan())
    if part == "plan":
        storage.jobs.plans[job.id] = b"no plan"
    else:
        storage.ledger.rows[job.id][0] = b"no segment"
    with pytest.raises(CorruptRecord, match=part):
        JobManager(storage).claim("runner", NOW)
    failed = storage.jobs.rows[job.id]
    assert failed.status is Status.FAILED
    assert part in failed.error
    assert JobManager(storage).claim("runner", NOW) is None
