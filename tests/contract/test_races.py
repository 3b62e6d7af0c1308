"""Eight real processes write to one store: exactly one of them wins, and no write is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from backfill.domain import Job, JobFilter, OutcomeFilter, OutcomeKind, RequestSchedule, Reservation, Segment, Status
from backfill.engine.job_manager import JobManager
from backfill.errors import JobConflict, LeaseLost
from backfill.storage import Storage
from tests.contract.backends import Backend
from tests.contract.concurrent_processes import ConcurrentProcesses, Synchronize
from tests.factories import CLOSE, DAY, NOW, JobFactory, OutcomeFactory, PlanFactory, SnapshotFactory, named_job

pytestmark = [
    pytest.mark.alone,
    pytest.mark.parametrize(
        "backend", ["sqlite", "postgresql", "firestore"], indirect=True
    ),  # several processes can open them
]

ROUNDS = 20
PROCESSES = 8
UPDATES = 50
Function = Callable[[Storage, Synchronize, int], list[tuple[str, str]]]
WON = "won"


def create_in_rounds(storage: Storage, synchronize: Synchronize, number: int) -> list[tuple[str, str]]:
    """Return for each round whether this process won, and the id of the job that it saw as active."""
    results = []
    for _ in range(ROUNDS):
        synchronize()
        job = JobFactory.build()
        try:
            storage.jobs.create(job, PlanFactory.build(), displace=lambda _: None)
            result = WON, str(job.id)
        except JobConflict as exc:
            result = "refused", named_job(exc)
        results.append(result)
        synchronize()
        if result[0] == WON:
            storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))
    return results


def displace_in_rounds(storage: Storage, synchronize: Synchronize, number: int) -> list[tuple[str, str]]:
    """Do the same, but each round begins with the job of the round before, which is stale by then."""
    results = []
    for n in range(ROUNDS):
        synchronize()
        now = NOW + timedelta(hours=n)
        job = JobFactory.build(created_at=now)
        try:
            storage.jobs.create(job, PlanFactory.build(), displace=partial(Job.displaced, now=now))
            results.append((WON, str(job.id)))
        except JobConflict as exc:
            results.append(("refused", named_job(exc)))
        synchronize()
    return results


def claim_in_rounds(storage: Storage, synchronize: Synchronize, number: int) -> list[int]:
    """Return for each round the token with which this process claimed the job, or 0."""
    tokens = []
    for n in range(ROUNDS):
        synchronize()
        try:
            claim = JobManager(storage).claim(f"process-{number}", NOW + timedelta(minutes=n))
            tokens.append(claim.job.token if claim else 0)
        except LeaseLost:
            tokens.append(0)
        synchronize()
    return tokens


def update_often(storage: Storage, synchronize: Synchronize, number: int) -> None:
    """Increase a counter of the active job; each update writes another segment."""
    active = storage.jobs.active()
    assert active is not None
    for n in range(UPDATES):
        outcomes = OutcomeFactory.build_batch(1 + n % 3, kind=OutcomeKind.SKIPPED, reason="stored")
        storage.jobs.update(
            active.id,
            lambda job: replace(job, resume_count=job.resume_count + 1),
            segment=Segment(number * UPDATES + n, tuple(outcomes)),
        )


def update_in_two_processes(storage: Storage, synchronize: Synchronize, number: int) -> int:
    """Update in the first two processes only. Return the number of updates of this process."""
    active = storage.jobs.active()
    assert active is not None
    if number > 1:
        return 0
    for _ in range(200):
        storage.jobs.update(active.id, lambda job: replace(job, resume_count=job.resume_count + 1))
    return 200


def reserve_often(storage: Storage, synchronize: Synchronize, number: int) -> list[Reservation]:
    reservations: list[Reservation] = []
    attempts: list[Reservation] = []

    def change(schedule: RequestSchedule) -> RequestSchedule:
        after, reservation = schedule.reserved(timedelta(milliseconds=10), NOW)
        attempts.append(reservation)
        return after

    for _ in range(20):
        storage.control.update_schedule(change)
        reservations.append(attempts[-1])  # the result of the last call of `change` is stored
    return reservations


def put_in_rounds(storage: Storage, synchronize: Synchronize, number: int) -> list[bool]:
    """Return for each round whether this process's snapshot was stored.

    Each round has its own district, and each process another as-of date.
    """
    stored = []
    for n in range(ROUNDS):
        snapshot = SnapshotFactory.build(
            district=f"{n + 1:02d}", as_of=CLOSE + timedelta(days=(number + n) % PROCESSES)
        )
        synchronize()
        stored.append(storage.snapshots.put(snapshot))
    return stored


@pytest.mark.parametrize("function", [create_in_rounds, displace_in_rounds])
def test_exactly_one_of_eight_processes_that_start_a_job_concurrently_succeeds(
    storage: Storage,
    backend: Backend,
    processes: ConcurrentProcesses,
    function: Function,
) -> None:
    """R3.1, R3.2, R3.3, R3.4: in twenty rounds, on an empty store and with a stale job to displace; the errors of the
    other processes name the active job."""
    for rounds in zip(*processes.run(backend, function), strict=True):
        assert Counter(result for result, _ in rounds) == {WON: 1, "refused": PROCESSES - 1}
        assert len({job_id for _, job_id in rounds}) == 1
    jobs = storage.jobs.page(JobFilter(), limit=100, offset=0)
    assert jobs.total == ROUNDS
    assert sum(job.status.is_active for job in jobs.rows) == (function is displace_in_rounds)


def test_exactly_one_of_eight_processes_that_claim_a_job_concurrently_holds_it(
    storage: Storage,
    backend: Backend,
    processes: ConcurrentProcesses,
) -> None:
    """R3.1, R3.3: also at every takeover; the token only grows."""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    rounds = list(zip(*processes.run(backend, claim_in_rounds), strict=True))
    assert [sum(token > 0 for token in tokens) for tokens in rounds] == [1] * ROUNDS
    assert [max(tokens) for tokens in rounds] == list(range(1, ROUNDS + 1))
    held = storage.jobs.get(job.id)
    assert held is not None
    assert (held.status, held.token, held.resume_count) == (Status.RUNNING, ROUNDS, ROUNDS - 1)


def test_no_update_is_lost_when_two_processes_update_one_job_two_hundred_times_each(
    storage: Storage,
    backend: Backend,
    processes: ConcurrentProcesses,
) -> None:
    """R1.1, R3.3: no update fails, and each is counted."""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    assert sum(processes.run(backend, update_in_two_processes)) == 400
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.revision, after.resume_count) == (400, 400)


def test_no_update_or_segment_is_lost_when_eight_processes_update_one_job(
    storage: Storage,
    backend: Backend,
    processes: ConcurrentProcesses,
) -> None:
    """R1.1, R1.5"""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    processes.run(backend, update_often)
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.revision, after.resume_count) == (PROCESSES * UPDATES, PROCESSES * UPDATES)
    segments = list(storage.ledger.segments(job.id))
    assert [segment.number for segment in segments] == list(range(PROCESSES * UPDATES))
    outcomes = storage.ledger.outcomes(job.id, OutcomeFilter(kind=OutcomeKind.SKIPPED), limit=1, offset=0)
    assert outcomes.total == sum(len(segment.outcomes) for segment in segments)


def test_the_newest_of_eight_snapshots_that_are_stored_concurrently_is_kept(
    storage: Storage, backend: Backend, processes: ConcurrentProcesses
) -> None:
    """R1.1: in any order of the writes."""
    rounds = zip(*processes.run(backend, put_in_rounds), strict=True)
    assert all(any(stored) for stored in rounds)
    editions = list(storage.snapshots.editions(DAY, DAY))
    assert {edition.as_of for edition in editions} == {CLOSE + timedelta(days=PROCESSES - 1)}
    assert sum(len(edition.districts) for edition in editions) == ROUNDS


def test_reservations_of_eight_processes_never_overlap(
    storage: Storage, backend: Backend, processes: ConcurrentProcesses
) -> None:
    """R1.1: several servers together keep the limit of one server."""
    reservations = sorted(
        (reservation for reservations in processes.run(backend, reserve_often) for reservation in reservations),
        key=lambda reservation: reservation.starts_at,
    )
    length = timedelta(milliseconds=10)
    assert [reservation.starts_at for reservation in reservations] == [NOW + n * length for n in range(PROCESSES * 20)]
