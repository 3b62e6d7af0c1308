"""Leases and fencing tokens of a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from backfill.domain import STANDARD_LEASES, Job, Progress, Status
from backfill.errors import LeaseLost
from tests.unit.fakes import NOW, a_job, a_running_job

WRITES: dict[str, Callable[[Job, int], Job]] = {
    "record": lambda job, token: job.recorded(token, Progress(total_items=6, processed=1), 1, NOW, is_progress=True),
    "release": lambda job, token: job.released(token, NOW),
    "finish": lambda job, token: job.finished(token, NOW),
    "break": lambda job, token: job.broken(token, "It cannot be run.", NOW),
}


def test_a_lease_can_be_renewed_three_times_and_expires_before_the_job_is_stale() -> None:
    """R10.1: a job continues within 15 s of a kill -9."""
    assert timedelta(seconds=15) == STANDARD_LEASES.duration
    assert STANDARD_LEASES.renew_after * 3 <= STANDARD_LEASES.duration < STANDARD_LEASES.stale_after


def test_a_lease_is_valid_until_its_last_moment() -> None:
    job = a_job().claimed("runner", NOW)
    assert job.is_held(NOW + STANDARD_LEASES.duration - timedelta(microseconds=1))
    assert not job.is_orphaned(NOW + STANDARD_LEASES.duration - timedelta(microseconds=1))
    assert not job.is_held(NOW + STANDARD_LEASES.duration)
    assert job.is_orphaned(NOW + STANDARD_LEASES.duration)


def test_a_job_without_a_lease_is_not_orphaned() -> None:
    assert not a_job().is_orphaned(NOW)
    assert not a_job().is_held(NOW)


def test_the_first_claim_starts_the_job() -> None:
    job = a_job().claimed("runner", NOW)
    assert (job.status, job.token, job.started_at, job.resumed_at, job.resume_count) == (
        Status.RUNNING,
        1,
        NOW,
        None,
        0,
    )
    assert job.lease is not None
    assert (job.lease.owner, job.lease.expires_at) == ("runner", NOW + STANDARD_LEASES.duration)


def test_a_second_claim_is_refused_while_the_job_is_held() -> None:
    """R3.1"""
    job = a_job().claimed("runner", NOW)
    with pytest.raises(LeaseLost, match="held by runner"):
        job.claimed("another", NOW + STANDARD_LEASES.duration - timedelta(microseconds=1))


def test_a_takeover_from_a_dead_runner_keeps_the_first_start_time() -> None:
    """R10.1, R10.4"""
    job = a_job().claimed("dead", NOW)
    later = NOW + STANDARD_LEASES.duration
    taken = job.claimed("next", later)
    assert (taken.token, taken.started_at, taken.resumed_at, taken.resume_count) == (2, NOW, later, 1)
    again = taken.released(2, later).claimed("third", later + timedelta(seconds=1))
    assert (again.token, again.started_at, again.resume_count) == (3, NOW, 2)
    assert again.resumed_at == later + timedelta(seconds=1)


@pytest.mark.parametrize("status", [Status.PAUSED, Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_a_paused_or_ended_job_cannot_be_claimed(status: Status) -> None:
    job = a_job(status=status)
    assert not job.can_be_claimed(NOW)
    with pytest.raises(LeaseLost, match="no runner"):
        job.claimed("runner", NOW)


@pytest.mark.parametrize("status", [Status.PAUSING, Status.CANCELLING])
def test_an_orphaned_job_that_is_pausing_or_cancelling_can_be_claimed(status: Status) -> None:
    job = a_running_job(status=status)
    assert not job.can_be_claimed(NOW)
    later = NOW + STANDARD_LEASES.duration
    claimed = job.claimed("next", later)
    assert (claimed.status, claimed.resume_count, claimed.resumed_at) == (status, 0, None)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_with_the_token_of_the_claim_is_accepted(name: str) -> None:
    assert WRITES[name](a_job().claimed("runner", NOW), 1) is not None


@pytest.mark.parametrize("name", WRITES)
def test_a_write_with_an_old_token_is_refused_after_a_takeover(name: str) -> None:
    taken = a_job().claimed("dead", NOW).claimed("next", NOW + STANDARD_LEASES.duration)
    with pytest.raises(LeaseLost, match="taken over \\(token 1, now 2\\)"):
        WRITES[name](taken, 1)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_after_a_displacement(name: str) -> None:
    """R3.4"""
    displaced_job = a_job().claimed("runner", NOW).displaced(NOW + STANDARD_LEASES.stale_after)
    assert displaced_job is not None
    for token in (1, displaced_job.token):
        with pytest.raises(LeaseLost):
            WRITES[name](displaced_job, token)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_after_a_release_although_the_token_is_current(name: str) -> None:
    released = a_job().claimed("runner", NOW).released(1, NOW)
    assert released.token == 1
    with pytest.raises(LeaseLost):
        WRITES[name](released, 1)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_after_the_orphaned_job_was_cancelled_or_paused(name: str) -> None:
    late = NOW + STANDARD_LEASES.duration
    for job in (a_running_job().cancel_requested(late), a_running_job().pause_requested(late)):
        with pytest.raises(LeaseLost):
            WRITES[name](job, 1)


def test_a_record_renews_the_lease_and_states_whether_the_job_made_progress() -> None:
    """R1.3"""
    job = a_job().claimed("runner", NOW)
    later = NOW + timedelta(seconds=5)
    progress = Progress(total_items=6, processed=1)
    moved = job.recorded(1, progress, 1, later, is_progress=True)
    assert moved.lease is not None
    assert (moved.lease.expires_at, moved.progressed_at, moved.progress, moved.segments) == (
        later + STANDARD_LEASES.duration,
        later,
        progress,
        1,
    )
    waited = job.recorded(1, progress, 0, later, is_progress=False)
    assert waited.lease == moved.lease
    assert waited.progressed_at == NOW


def test_a_late_record_of_a_runner_without_a_successor_restores_its_lease() -> None:
    job = a_job().claimed("runner", NOW)
    late = NOW + STANDARD_LEASES.duration * 2
    assert job.recorded(1, job.progress, 0, late, is_progress=False).is_held(late)


def test_the_number_of_segments_never_falls() -> None:
    job = a_running_job(segments=4)
    assert job.recorded(1, job.progress, 3, NOW, is_progress=True).segments == 4
