"""The states of a job: its public methods make exactly the transitions that are allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import (
    ACTIVE,
    ENDED,
    STANDARD_LEASES,
    TRANSITIONS,
    DistrictProgress,
    Job,
    Lease,
    LimiterReport,
    LimiterState,
    Progress,
    Status,
)
from backfill.domain.job import _moved
from backfill.errors import BackfillError, InvalidJobState, LeaseLost
from tests.unit.fakes import NOW, a_job, a_running_job, limits_of

LEASE = STANDARD_LEASES.duration

HOLDABLE = frozenset({Status.RUNNING, Status.PAUSING, Status.CANCELLING})
"""The states in which a runner holds a job."""

FORBIDDEN = [pair for pair in product(Status, Status) if pair not in TRANSITIONS]

Action = Callable[[Job, datetime], Job]

ACTIONS: dict[str, Action] = {
    "cancel": lambda job, now: job.cancel_requested(now),
    "pause": lambda job, now: job.pause_requested(now),
    "resume": lambda job, now: job.resume_requested(now),
    "try now": lambda job, now: job.hold_ended(now),
    "lower the limits": lambda job, _: job.limits_lowered(limits_of(max_requests_per_minute=1)),
    "displace": lambda job, now: job.displaced(now) or job,
    "claim": lambda job, now: job.claimed("another", now),
    "record": lambda job, now: job.recorded(job.token, job.progress, 1, now, is_progress=True),
    "release": lambda job, now: job.released(job.token, now),
    "finish": lambda job, now: job.finished(job.token, now),
    "break": lambda job, now: job.broken(job.token, "It cannot be run.", now),
}

PROGRESSES = {
    "nothing settled": Progress(total_items=2),
    "one left": Progress(total_items=2, processed=1),
    "all processed": Progress(total_items=2, processed=2),
    "all failed": Progress(total_items=2, failed=2),
}


def all_jobs() -> list[Job]:
    """Returns jobs in each state, held, orphaned or free where possible, with each progress, fresh and stale."""
    jobs = []
    for status, progress, is_stale in product(Status, PROGRESSES.values(), (False, True)):
        leases = [
            Lease(owner="runner", expires_at=NOW + LEASE),
            Lease(owner="runner", expires_at=NOW),
        ]
        jobs += [
            a_job(
                status=status,
                progress=progress,
                lease=lease,
                token=1,
                progressed_at=NOW - (STANDARD_LEASES.stale_after if is_stale else timedelta(seconds=1)),
            )
            for lease in (leases if status in HOLDABLE else [None])
        ]
    return jobs


def outcome_of(action: Action, job: Job, now: datetime = NOW) -> Job | None:
    """Returns the changed job, or None if the action was refused."""
    try:
        return action(job, now)
    except (InvalidJobState, LeaseLost):
        return None


def transitions_made() -> set[tuple[Status, Status]]:
    transitions = set()
    for job, action in product(all_jobs(), ACTIONS.values()):
        after = outcome_of(action, job)
        if after is not None and after.status is not job.status:
            transitions.add((job.status, after.status))
    return transitions


def test_the_public_methods_make_exactly_the_transitions_of_the_table() -> None:
    assert transitions_made() == set(TRANSITIONS)


@pytest.mark.parametrize(("before", "after"), FORBIDDEN, ids=str)
def test_every_transition_that_is_not_in_the_table_is_refused(before: Status, after: Status) -> None:
    with pytest.raises(InvalidJobState, match=f"is {before} and cannot become {after}"):
        _moved(a_job(status=before), after)


def test_every_state_is_active_or_ended_and_ended_states_have_no_transitions() -> None:
    assert set(Status) == ACTIVE | ENDED
    assert not ACTIVE & ENDED
    assert not [pair for pair in TRANSITIONS if pair[0] in ENDED]


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize("name", ACTIONS)
def test_no_action_changes_an_ended_job(status: Status, name: str) -> None:
    job = a_job(status=status, token=1, ended_at=NOW)
    assert outcome_of(ACTIONS[name], job) in (None, job)


@given(st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from([0, 1, 5, 16, 700])), max_size=40))
def test_any_sequence_of_actions_keeps_the_history_of_a_job_consistent(steps: list[tuple[str, int]]) -> None:
    """R10.4: `startedAt` never changes; tokens, resumes and times only grow."""
    job, now = a_job(), NOW
    for name, seconds in steps:
        now += timedelta(seconds=seconds)
        before = job
        job = outcome_of(ACTIONS[name], before, now) or before
        assert job.status is before.status or (before.status, job.status) in TRANSITIONS
        assert job.token >= before.token
        assert job.resume_count >= before.resume_count
        assert before.started_at is None or job.started_at == before.started_at
        assert before.cancelled_at is None or job.cancelled_at == before.cancelled_at
        assert (job.ended_at is not None) == (job.status in ENDED)
        assert job.status in HOLDABLE or job.lease is None
        assert (job.resume_count > 0) == (job.resumed_at is not None)
        assert not (job.is_held(now) and job.is_orphaned(now))


# Cancelling.


def test_cancelling_a_held_job_lets_its_items_in_flight_finish() -> None:
    """R7.2, R7.3, R7.4"""
    job = a_running_job()
    cancelling = job.cancel_requested(NOW + timedelta(seconds=3))
    assert cancelling == replace(job, status=Status.CANCELLING, cancelled_at=NOW + timedelta(seconds=3))
    ended = cancelling.finished(1, NOW + timedelta(seconds=4))
    assert (ended.status, ended.ended_at, ended.lease) == (Status.CANCELLED, NOW + timedelta(seconds=4), None)
    assert ended.cancelled_at == NOW + timedelta(seconds=3)


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        a_job(status=Status.PAUSED),
        a_running_job(lease=Lease(owner="dead", expires_at=NOW)),
        a_running_job(status=Status.PAUSING, lease=Lease(owner="dead", expires_at=NOW)),
        a_running_job(status=Status.CANCELLING, lease=Lease(owner="dead", expires_at=NOW)),
    ],
    ids=lambda job: str(job.status),
)
def test_cancelling_a_job_without_a_live_runner_ends_it_at_once_and_keeps_its_progress(job: Job) -> None:
    """R7.3"""
    job = replace(job, progress=Progress(total_items=6, processed=2, failed=1))
    ended = job.cancel_requested(NOW)
    assert (ended.status, ended.ended_at, ended.cancelled_at) == (Status.CANCELLED, NOW, NOW)
    assert ended.lease is None
    assert (ended.progress.processed, ended.progress.failed) == (2, 1)


def test_a_second_cancel_changes_nothing_and_keeps_the_first_time() -> None:
    """R7.3"""
    cancelling = a_running_job().cancel_requested(NOW)
    assert cancelling.cancel_requested(NOW + timedelta(seconds=1)) == cancelling


def test_an_orphaned_cancelling_job_is_claimed_only_to_end_it() -> None:
    """R7.3: this does not count as a resume."""
    orphan = a_running_job().cancel_requested(NOW)
    later = NOW + LEASE
    claimed = orphan.claimed("next", later)
    assert (claimed.status, claimed.token, claimed.resume_count) == (Status.CANCELLING, 2, 0)
    assert claimed.finished(2, later).status is Status.CANCELLED


@pytest.mark.parametrize("status", sorted(ENDED))
def test_cancelling_an_ended_job_is_refused_with_a_message(status: Status) -> None:
    with pytest.raises(InvalidJobState, match=f"has ended \\({status}\\); only an active job can be cancelled"):
        a_job(status=status, ended_at=NOW).cancel_requested(NOW)


# Pausing.


def test_a_held_job_pauses_after_its_items_in_flight_and_any_worker_can_resume_it() -> None:
    pausing = a_running_job().pause_requested(NOW)
    assert (pausing.status, pausing.lease is not None) == (Status.PAUSING, True)
    paused = pausing.finished(1, NOW)
    assert (paused.status, paused.lease, paused.ended_at) == (Status.PAUSED, None, None)
    later = NOW + timedelta(hours=3)
    resumed = paused.resume_requested(later)
    assert (resumed.status, resumed.progressed_at) == (Status.PENDING, later)
    again = resumed.claimed("next", later)
    assert (again.status, again.started_at, again.resumed_at, again.resume_count) == (Status.RUNNING, NOW, later, 1)


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        a_running_job(lease=Lease(owner="dead", expires_at=NOW)),
        a_running_job(status=Status.PAUSING, lease=Lease(owner="dead", expires_at=NOW)),
    ],
    ids=lambda job: str(job.status),
)
def test_a_job_without_a_live_runner_is_paused_at_once(job: Job) -> None:
    paused = job.pause_requested(NOW)
    assert (paused.status, paused.lease) == (Status.PAUSED, None)


def test_pausing_again_changes_nothing() -> None:
    pausing, paused = a_running_job().pause_requested(NOW), a_job(status=Status.PAUSED)
    assert pausing.pause_requested(NOW) is pausing
    assert paused.pause_requested(NOW) is paused


def test_resuming_a_pausing_job_keeps_its_runner() -> None:
    job = a_running_job()
    later = NOW + timedelta(seconds=1)
    assert job.pause_requested(NOW).resume_requested(later) == replace(job, progressed_at=later)


@pytest.mark.parametrize("status", [*sorted(ENDED), Status.CANCELLING])
def test_an_ended_or_cancelling_job_cannot_be_paused(status: Status) -> None:
    with pytest.raises(InvalidJobState, match="only a pending or running job can be paused"):
        a_job(status=status).pause_requested(NOW)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PAUSED, Status.PAUSING}))
def test_only_a_paused_job_can_be_resumed(status: Status) -> None:
    with pytest.raises(InvalidJobState, match="only a paused job can be resumed"):
        a_job(status=status).resume_requested(NOW)


# Ending.


@pytest.mark.parametrize(
    ("progress", "status", "error"),
    [
        (Progress(total_items=3, processed=3), Status.COMPLETED, ""),
        (Progress(total_items=3, processed=1, failed=2), Status.COMPLETED, ""),
        (Progress(total_items=3, failed=2, skipped={"stored": 1}), Status.COMPLETED, ""),
        (Progress(total_items=3, skipped={"stored": 3}), Status.COMPLETED, ""),
        (Progress(total_items=0), Status.COMPLETED, ""),
        (Progress(total_items=3, failed=3), Status.FAILED, "All 3 items failed."),
    ],
)
@pytest.mark.parametrize("before", sorted(HOLDABLE))
def test_a_job_with_settled_items_ends_by_their_outcomes_despite_a_cancel_or_pause(
    before: Status,
    progress: Progress,
    status: Status,
    error: str,
) -> None:
    ended = a_running_job(status=before, progress=progress).finished(1, NOW)
    assert (ended.status, ended.error, ended.ended_at, ended.lease) == (status, error, NOW, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [(Status.RUNNING, Status.PENDING), (Status.CANCELLING, Status.CANCELLED), (Status.PAUSING, Status.PAUSED)],
)
def test_a_clean_stop_releases_a_job_in_the_requested_state(before: Status, after: Status) -> None:
    """R10.1: no worker waits for the lease of a runner that stopped."""
    job = a_running_job(status=before).released(1, NOW)
    assert (job.status, job.lease, job.started_at) == (after, None, NOW)
    assert job.can_be_claimed(NOW) == (after is Status.PENDING)


def test_a_released_job_has_no_current_item_and_keeps_its_counters() -> None:
    progress = Progress(
        total_items=6,
        processed=1,
        current_item="2024-01-31/91",
        limiter=LimiterReport(state=LimiterState.RUNNING, requests_made=7, requests_this_minute=5, reason="It runs."),
        districts={"91": DistrictProgress(total=6, processed=1, is_in_progress=True)},
    )
    rest = a_running_job(progress=progress).released(1, NOW).progress
    assert rest == Progress(
        total_items=6,
        processed=1,
        limiter=LimiterReport(requests_made=7),
        districts={"91": DistrictProgress(total=6, processed=1)},
    )


def test_a_job_that_cannot_run_fails_with_its_message() -> None:
    job = a_running_job().broken(1, "Its plan cannot be read.", NOW)
    assert (job.status, job.error, job.ended_at) == (Status.FAILED, "Its plan cannot be read.", NOW)


# Displacing.


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        a_running_job(),
        a_running_job(status=Status.PAUSING),
        a_running_job(status=Status.CANCELLING),
    ],
    ids=lambda job: str(job.status),
)
def test_a_job_without_progress_for_ten_minutes_is_displaced(job: Job) -> None:
    """R3.4"""
    assert job.displaced(NOW + timedelta(minutes=9, seconds=59)) is None
    later = NOW + timedelta(minutes=10)
    displaced_job = job.displaced(later)
    assert displaced_job is not None
    assert (displaced_job.status, displaced_job.ended_at, displaced_job.token, displaced_job.lease) == (
        Status.FAILED,
        later,
        job.token + 1,
        None,
    )
    assert displaced_job.error == "Displaced by a new job: no progress for 10 minutes."


@pytest.mark.parametrize("status", [Status.PAUSED, *sorted(ENDED)])
def test_paused_and_ended_jobs_are_never_stale(status: Status) -> None:
    """R3.4"""
    job = a_job(status=status)
    assert not job.is_stale(NOW + timedelta(days=1))
    assert job.displaced(NOW + timedelta(days=1)) is None


def test_a_resumed_job_becomes_stale_only_after_ten_more_minutes() -> None:
    """R3.4"""
    later = NOW + timedelta(days=1)
    resumed = a_job(status=Status.PAUSED).resume_requested(later)
    assert not resumed.is_stale(later)
    assert resumed.is_stale(later + STANDARD_LEASES.stale_after)


# Limits of a running job.


def test_the_limits_of_an_active_job_can_only_be_lowered() -> None:
    """R12.3: limits can be raised only for the next job."""
    job = a_running_job()
    gentler = limits_of(max_requests_per_minute=30, max_concurrent=1, min_delay_ms=1000, max_delay_ms=60_000)
    lowered = job.limits_lowered(gentler)
    assert lowered.config.rate_limits == gentler
    assert lowered.limits_lowered(gentler) == lowered
    with pytest.raises(InvalidJobState, match="can only be lowered"):
        lowered.limits_lowered(limits_of())


@pytest.mark.parametrize(
    "changes",
    [
        {"max_requests_per_minute": 61},
        {"max_concurrent": 4},
        {"min_delay_ms": 499},
        {"max_delay_ms": 29_999},
        {"backoff_multiplier": 1.5},
        {"max_requests_per_minute": 1, "max_concurrent": 4},
    ],
)
def test_no_limit_can_be_raised_even_if_another_one_is_lowered(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidJobState, match="set higher ones for the next job"):
        a_running_job().limits_lowered(limits_of(**changes))


@pytest.mark.parametrize("status", sorted(ENDED))
def test_the_limits_of_an_ended_job_cannot_be_changed(status: Status) -> None:
    with pytest.raises(BackfillError, match="its limits no longer matter"):
        a_job(status=status).limits_lowered(limits_of(max_requests_per_minute=1))
