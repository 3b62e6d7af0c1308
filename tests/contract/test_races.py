"""Eight real processes at one store: the decision who is first is the storage's, and nothing gets lost."""

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
from tests.contract.concurrent_processes import Meet, Racers
from tests.factories import CLOSE, DAY, NOW, JobFactory, OutcomeFactory, PlanFactory, SnapshotFactory, named_job

pytestmark = [
    pytest.mark.alone,
    pytest.mark.parametrize("backend", ["sqlite", "postgresql", "firestore"], indirect=True),  # processes share them
]

ROUNDS = 20
RACERS = 8
UPDATES = 50
Act = Callable[[Storage, Meet, int], list[tuple[str, str]]]
WON = "won"


def create_in_rounds(storage: Storage, meet: Meet, number: int) -> list[tuple[str, str]]:
    """For each round whether this process won, and the job that is active in its eyes."""
    results = []
    for _ in range(ROUNDS):
        meet()
        job = JobFactory.build()
        try:
            storage.jobs.create(job, PlanFactory.build(), displace=lambda _: None)
            result = WON, str(job.id)
        except JobConflict as exc:
            result = "refused", named_job(exc)
        results.append(result)
        meet()
        if result[0] == WON:
            storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))
    return results


def displace_in_rounds(storage: Storage, meet: Meet, number: int) -> list[tuple[str, str]]:
    """As above, but each round begins with the job of the last one, which is stale by then."""
    results = []
    for n in range(ROUNDS):
        meet()
        now = NOW + timedelta(hours=n)
        job = JobFactory.build(created_at=now)
        try:
            storage.jobs.create(job, PlanFactory.build(), displace=partial(Job.displaced, now=now))
            results.append((WON, str(job.id)))
        except JobConflict as exc:
            results.append(("refused", named_job(exc)))
        meet()
    return results


def claim_in_rounds(storage: Storage, meet: Meet, number: int) -> list[int]:
    """For each round the token with which this process holds the job, 0 where it does not."""
    tokens = []
    for n in range(ROUNDS):
        meet()
        try:
            claim = JobManager(storage).claim(f"racer-{number}", NOW + timedelta(minutes=n))
            tokens.append(claim.job.token if claim else 0)
        except LeaseLost:
            tokens.append(0)
        meet()
    return tokens


def update_often(storage: Storage, meet: Meet, number: int) -> None:
    """Count on the one active job, with a segment of this process's own every time."""
    active = storage.jobs.active()
    assert active is not None
    for n in range(UPDATES):
        outcomes = OutcomeFactory.build_batch(1 + n % 3, kind=OutcomeKind.SKIPPED, reason="stored")
        storage.jobs.update(
            active.id,
            lambda job: replace(job, resume_count=job.resume_count + 1),
            segment=Segment(number * UPDATES + n, tuple(outcomes)),
        )


def update_by_two(storage: Storage, meet: Meet, number: int) -> int:
    """The first two of the racers only; how many updates this one made."""
    active = storage.jobs.active()
    assert active is not None
    if number > 1:
        return 0
    for _ in range(200):
        storage.jobs.update(active.id, lambda job: replace(job, resume_count=job.resume_count + 1))
    return 200


def reserve_often(storage: Storage, meet: Meet, number: int) -> list[Reservation]:
    reservations: list[Reservation] = []
    tried: list[Reservation] = []

    def change(schedule: RequestSchedule) -> RequestSchedule:
        after, reservation = schedule.reserved(timedelta(milliseconds=10), NOW)
        tried.append(reservation)
        return after

    for _ in range(20):
        storage.control.update_schedule(change)
        reservations.append(tried[-1])  # what was stored is what the change said last
    return reservations


def put_in_rounds(storage: Storage, meet: Meet, number: int) -> list[bool]:
    """For each round, in a district of its own: whether this process's snapshot, one of another as-of, was stored."""
    stored = []
    for n in range(ROUNDS):
        snapshot = SnapshotFactory.build(district=f"{n + 1:02d}", as_of=CLOSE + timedelta(days=(number + n) % RACERS))
        meet()
        stored.append(storage.snapshots.put(snapshot))
    return stored


@pytest.mark.parametrize("act", [create_in_rounds, displace_in_rounds])
def test_of_eight_processes_that_start_a_job_at_once_exactly_one_does(
    storage: Storage,
    backend: Backend,
    racers: Racers,
    act: Act,
) -> None:
    """R3.1, R3.2, R3.3, R3.4: in twenty rounds, with an empty store and with a stale job to displace; every other one
    is told which job runs."""
    for rounds in zip(*racers.race(backend, act), strict=True):
        assert Counter(result for result, _ in rounds) == {WON: 1, "refused": RACERS - 1}
        assert len({job_id for _, job_id in rounds}) == 1
    jobs = storage.jobs.page(JobFilter(), limit=100, offset=0)
    assert jobs.total == ROUNDS
    assert sum(job.status.is_active for job in jobs.rows) == (act is displace_in_rounds)


def test_of_eight_processes_that_claim_a_job_at_once_exactly_one_holds_it(
    storage: Storage,
    backend: Backend,
    racers: Racers,
) -> None:
    """R3.1, R3.3: again at every takeover, under a token that only grows."""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    rounds = list(zip(*racers.race(backend, claim_in_rounds), strict=True))
    assert [sum(token > 0 for token in tokens) for tokens in rounds] == [1] * ROUNDS
    assert [max(tokens) for tokens in rounds] == list(range(1, ROUNDS + 1))
    held = storage.jobs.get(job.id)
    assert held is not None
    assert (held.status, held.token, held.resume_count) == (Status.RUNNING, ROUNDS, ROUNDS - 1)


def test_two_processes_update_one_job_two_hundred_times_each_and_nothing_is_lost(
    storage: Storage,
    backend: Backend,
    racers: Racers,
) -> None:
    """R1.1, R3.3: none fails, and each is counted."""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    assert sum(racers.race(backend, update_by_two)) == 400
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.revision, after.resume_count) == (400, 400)


def test_eight_processes_update_one_job_with_segments_and_nothing_is_lost(
    storage: Storage,
    backend: Backend,
    racers: Racers,
) -> None:
    """R1.1, R1.5"""
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    racers.race(backend, update_often)
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.revision, after.resume_count) == (RACERS * UPDATES, RACERS * UPDATES)
    segments = list(storage.ledger.segments(job.id))
    assert [segment.number for segment in segments] == list(range(RACERS * UPDATES))
    outcomes = storage.ledger.outcomes(job.id, OutcomeFilter(kind=OutcomeKind.SKIPPED), limit=1, offset=0)
    assert outcomes.total == sum(len(segment.outcomes) for segment in segments)


def test_of_eight_snapshots_put_at_once_the_newest_stays(storage: Storage, backend: Backend, racers: Racers) -> None:
    """R1.1: whoever comes last."""
    rounds = zip(*racers.race(backend, put_in_rounds), strict=True)
    assert all(any(stored) for stored in rounds)
    editions = list(storage.snapshots.editions(DAY, DAY))
    assert {edition.as_of for edition in editions} == {CLOSE + timedelta(days=RACERS - 1)}
    assert sum(len(edition.districts) for edition in editions) == ROUNDS


def test_turns_that_eight_processes_reserve_never_overlap(storage: Storage, backend: Backend, racers: Racers) -> None:
    """R1.1: so that servers together never press the dashboard harder than one may."""
    reservations = sorted(
        (reservation for reservations in racers.race(backend, reserve_often) for reservation in reservations),
        key=lambda reservation: reservation.starts_at,
    )
    length = timedelta(milliseconds=10)
    assert [reservation.starts_at for reservation in reservations] == [NOW + n * length for n in range(RACERS * 20)]
