"""The request schedule that all processes share. A process reserves time before it starts requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from backfill.domain import Job, RequestSchedule, Reservation, Status
from backfill.errors import LeaseLost
from backfill.storage import Fence, Storage
from tests.factories import NOW, JobFactory, PlanFactory

SECOND = timedelta(seconds=1)


def reserve(storage: Storage, length: timedelta = SECOND, fence: Fence | None = None) -> Reservation:
    reservations: list[Reservation] = []

    def change(schedule: RequestSchedule) -> RequestSchedule:
        after, reservation = schedule.reserved(length, NOW)
        reservations.append(reservation)
        return after

    storage.control.update_schedule(change, fence=fence)
    return reservations[-1]


def claimed(storage: Storage) -> Job:
    job = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job
    return storage.jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after


def stored_schedule(storage: Storage) -> RequestSchedule:
    return storage.control.update_schedule(lambda schedule: schedule)


def test_a_new_schedule_is_free(storage: Storage) -> None:
    assert stored_schedule(storage) == RequestSchedule()
    assert reserve(storage) == Reservation(starts_at=NOW, ends_at=NOW + SECOND)


def test_a_schedule_is_stored_unchanged_to_the_microsecond(storage: Storage) -> None:
    """R1.1"""
    schedule = RequestSchedule(
        reserved_until=NOW,
        held_until=NOW + timedelta(microseconds=1),
        held_at=NOW - timedelta(microseconds=1),
        hold_reason="Retry \u00e9",
    )
    assert storage.control.update_schedule(lambda _: schedule) == schedule
    assert stored_schedule(storage) == schedule
    assert storage.control.update_schedule(lambda _: RequestSchedule()) == RequestSchedule()
    assert stored_schedule(storage) == RequestSchedule()


def test_concurrent_reservations_do_not_overlap(storage: Storage) -> None:
    """R1.1: with four threads, from the first reservation on."""

    def reserve_some(thread: int) -> list[Reservation]:
        try:
            return [reserve(storage, timedelta(milliseconds=10 + thread)) for _ in range(15)]
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(4) as pool:
        reservations = sorted(
            (reservation for some in pool.map(reserve_some, range(4)) for reservation in some),
            key=lambda reservation: reservation.starts_at,
        )
    assert reservations[0].starts_at == NOW
    assert all(reservation.starts_at == before.ends_at for before, reservation in pairwise(reservations))
    assert stored_schedule(storage).reserved_until == reservations[-1].ends_at == NOW + 15 * timedelta(milliseconds=46)


def test_a_valid_claim_can_reserve(storage: Storage) -> None:
    job = claimed(storage)
    assert reserve(storage, fence=Fence(job.id, job.token)).starts_at == NOW


def test_a_lost_claim_cannot_reserve(storage: Storage) -> None:
    """R3.3: after a takeover, a clean stop or the end of the job, and if there is no such job."""
    job = claimed(storage)
    old = Fence(job.id, job.token)
    later = NOW + timedelta(minutes=1)
    successor = storage.jobs.update(job.id, lambda job: job.claimed("host-2", later)).after
    for fence in (old, Fence(job.id, successor.token + 1), Fence(uuid4(), successor.token)):
        with pytest.raises(LeaseLost, match=str(fence.job_id)):
            reserve(storage, fence=fence)
    assert reserve(storage, fence=Fence(job.id, successor.token)).starts_at == NOW
    storage.jobs.update(job.id, lambda job: job.released(successor.token, later))
    with pytest.raises(LeaseLost):
        reserve(storage, fence=Fence(job.id, successor.token))
    storage.jobs.update(job.id, lambda job: job.cancel_requested(later))
    with pytest.raises(LeaseLost):
        reserve(storage, fence=Fence(job.id, successor.token))
    assert stored_schedule(storage).reserved_until == NOW + SECOND


def test_a_displaced_job_cannot_reserve(storage: Storage) -> None:
    """R3.4"""
    job = claimed(storage)
    later = NOW + timedelta(minutes=11)
    storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda job: job.displaced(later))
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert stored.status is Status.FAILED
    with pytest.raises(LeaseLost):
        reserve(storage, fence=Fence(job.id, job.token))
    assert stored_schedule(storage) == RequestSchedule()


def test_a_pause_delays_the_next_reservation(storage: Storage) -> None:
    until = NOW + timedelta(minutes=3)
    storage.control.update_schedule(lambda schedule: schedule.held(until, "It asked to wait.", NOW))
    storage.control.update_schedule(lambda schedule: schedule.held(NOW + SECOND, "A shorter one.", NOW))
    assert stored_schedule(storage) == RequestSchedule(held_until=until, held_at=NOW, hold_reason="It asked to wait.")
    assert reserve(storage) == Reservation(starts_at=until, ends_at=until + SECOND)


def test_a_reason_with_a_nul_character_is_stored(storage: Storage) -> None:
    storage.control.update_schedule(lambda schedule: schedule.held(NOW + SECOND, "It said \x00.", NOW))
    assert stored_schedule(storage).hold_reason.startswith("It said ")


def test_the_unused_part_of_a_reservation_can_be_returned(storage: Storage) -> None:
    reservation = reserve(storage, 10 * SECOND)
    unused_from = NOW + 2 * SECOND
    storage.control.update_schedule(lambda schedule: schedule.given_back(reservation.ends_at, unused_from))
    assert reserve(storage).starts_at == unused_from


def test_a_reservation_that_is_followed_by_another_stays_reserved(storage: Storage) -> None:
    reservation = reserve(storage, 10 * SECOND)
    following = reserve(storage)
    storage.control.update_schedule(lambda schedule: schedule.given_back(reservation.ends_at, NOW + SECOND))
    assert stored_schedule(storage).reserved_until == following.ends_at


def test_an_error_in_the_change_leaves_the_schedule_unchanged(storage: Storage) -> None:
    def refused(schedule: RequestSchedule) -> RequestSchedule:
        raise LeaseLost("No.")

    reserve(storage)
    before = stored_schedule(storage)
    with pytest.raises(LeaseLost, match=r"No\."):
        storage.control.update_schedule(refused)
    assert stored_schedule(storage) == before == replace(RequestSchedule(), reserved_until=NOW + SECOND)
