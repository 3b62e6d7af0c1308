"""Webhook events of a job: when they are due, and how often their delivery is attempted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from backfill.domain import (
    GIVEN_UP_AFTER,
    HOLD_REPORTED_AFTER,
    Job,
    LimiterReport,
    LimiterState,
    Progress,
    Status,
    WaitReason,
    WebhookEvent,
    WebhookEvents,
    WebhookEventType,
)
from tests.unit.fakes import NOW, a_job, a_running_job

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def recorded(
    job: Job, seconds: float, state: LimiterState, *, settled: int = 0, seconds_left: float | None = None
) -> Job:
    """Returns the job after a runner's record, some seconds after NOW."""
    now = NOW + timedelta(seconds=seconds)
    until = now + timedelta(seconds=seconds_left) if seconds_left is not None else None
    limiter = LimiterReport(state=state, waiting_until=until, reason="The dashboard answered 503.")
    progress = Progress(total_items=6, processed=settled, limiter=limiter)
    return job.recorded(job.token, progress, 1, now, is_progress=True)


def hold_events(jobs: list[Job]) -> list[WebhookEvent]:
    """Returns each hold event once."""
    found = [job.webhook_events.held for job in jobs]
    return [event for before, event in pairwise([None, *found]) if event is not None and event != before]


def held_for(job: Job, first: int, last: int, **more: int) -> Iterator[Job]:
    for seconds in range(first, last + 1):
        job = recorded(job, seconds, LimiterState.BACKING_OFF, **more)
        yield job


def test_a_job_that_ends_has_an_event_that_is_due_at_once() -> None:
    for job in (
        a_job().cancel_requested(NOW),
        a_running_job().broken(1, "Its plan cannot be read.", NOW),
        a_running_job(progress=Progress(total_items=2, processed=1, failed=1)).finished(1, NOW),
        a_job().displaced(NOW + timedelta(minutes=10)),
    ):
        assert job is not None
        event = job.webhook_events.ended
        assert event is not None
        assert (event.event, event.at, event.due_at) == (WebhookEventType.ENDED, job.ended_at, job.ended_at)
        assert f"Job {job.id} is {job.status}: " in event.sentence
        assert job.error in event.sentence


def test_an_active_job_without_a_hold_has_no_events() -> None:
    job = recorded(a_running_job(), 1, LimiterState.RUNNING, settled=1)
    assert job.webhook_events == job.released(1, NOW).webhook_events == WebhookEvents()


def test_a_long_hold_is_reported_once() -> None:
    reported_after = int(HOLD_REPORTED_AFTER / SECOND)
    jobs = list(held_for(a_running_job(), 0, 3 * reported_after))
    (event,) = hold_events(jobs)
    assert (event.event, event.at, event.due_at) == (WebhookEventType.HELD, NOW, NOW + HOLD_REPORTED_AFTER)
    assert event.sentence == "The dashboard answered 503."
    assert jobs[reported_after - 1].webhook_events.held is None


def test_a_wait_for_responses_is_a_hold_after_five_minutes_without_a_settled_item() -> None:
    lasting = int(HOLD_REPORTED_AFTER / SECOND)
    job = a_running_job()
    limiter = LimiterReport(
        state=LimiterState.RUNNING,
        waits_for=WaitReason.RESPONSES,
        reason="Waiting for 3 responses, the oldest for 40 s.",
    )
    jobs = []
    for seconds in range(lasting + 1):
        settled = int(seconds >= 10)  # the hold begins again after a settled item
        progress = Progress(total_items=6, processed=settled, limiter=limiter)
        job = job.recorded(job.token, progress, 1, NOW + seconds * SECOND, is_progress=True)
        jobs.append(job)
    assert hold_events(jobs) == []
    job = job.recorded(job.token, progress, 1, NOW + (lasting + 11) * SECOND, is_progress=True)
    (event,) = hold_events([*jobs, job])
    assert event.sentence == "Waiting for 3 responses, the oldest for 40 s."
    assert (
        job.recorded(job.token, replace(progress, processed=2), 1, NOW, is_progress=True).webhook_events.held_since
        is None
    )


def test_time_outside_the_allowed_hours_is_not_part_of_a_hold() -> None:
    """A short hold before the end of the allowed hours does not count as a hold until the next evening."""
    job = recorded(a_running_job(), 0, LimiterState.BACKING_OFF)
    limiter = LimiterReport(state=LimiterState.THROTTLED, waits_for=WaitReason.OUTSIDE_HOURS, waiting_until=NOW)
    job = job.recorded(1, Progress(total_items=6, limiter=limiter), 1, NOW + MINUTE, is_progress=True)
    assert job.webhook_events.held_since is None
    evening = 12 * 3600
    job = recorded(job, evening, LimiterState.BACKING_OFF)
    assert (job.webhook_events.held_since, job.webhook_events.held) == (NOW + evening * SECOND, None)


def test_a_hold_with_a_late_known_end_is_reported_at_once() -> None:
    job = recorded(a_running_job(), 0, LimiterState.BACKING_OFF, seconds_left=HOLD_REPORTED_AFTER / SECOND)
    assert job.webhook_events.due_at == NOW


def test_a_short_wait_has_no_event() -> None:
    job = recorded(a_running_job(), 0, LimiterState.BACKING_OFF, seconds_left=HOLD_REPORTED_AFTER / SECOND - 1)
    assert job.webhook_events.all() == ()


def test_a_hold_ends_when_an_item_is_settled_and_not_at_a_probe() -> None:
    reported_after = int(HOLD_REPORTED_AFTER / SECOND)
    *_, held = held_for(a_running_job(), 0, reported_after)
    probing = recorded(held, reported_after + 1, LimiterState.RUNNING)
    *_, again = held_for(probing, reported_after + 2, 2 * reported_after)
    assert again.webhook_events.held == held.webhook_events.held
    progressing = recorded(again, 2 * reported_after + 1, LimiterState.RUNNING, settled=1)
    assert progressing.webhook_events == WebhookEvents()
    *_, next_hold = held_for(progressing, 2 * reported_after + 2, 3 * reported_after + 2, settled=1)
    assert next_hold.webhook_events.held is not None
    assert next_hold.webhook_events.held.at == NOW + timedelta(seconds=2 * reported_after + 2)


def test_a_hold_continues_across_runners() -> None:
    reported_after = int(HOLD_REPORTED_AFTER / SECOND)
    *_, held = held_for(a_running_job(), 0, reported_after)
    later = NOW + HOLD_REPORTED_AFTER + MINUTE
    released = held.released(1, later).claimed("another", later)
    *_, continued = held_for(released, reported_after + 60, reported_after + 90)
    assert continued.webhook_events.held == held.webhook_events.held


def test_a_pause_ends_a_hold() -> None:
    *_, held = held_for(a_running_job(), 0, 2)
    paused = held.pause_requested(NOW + 3 * SECOND).released(1, NOW + 3 * SECOND)
    assert paused.status is Status.PAUSED
    assert paused.webhook_events == WebhookEvents()


def test_the_end_of_a_job_replaces_its_hold_event() -> None:
    *_, held = held_for(a_running_job(), 0, int(HOLD_REPORTED_AFTER / SECOND))
    ended = held.broken(1, "It cannot be run.", NOW + HOLD_REPORTED_AFTER)
    assert [event.event for event in ended.webhook_events.all()] == [WebhookEventType.ENDED]


def test_all_attempts_of_a_delivery_have_one_id_and_each_event_has_its_own() -> None:
    job = a_job()
    event = WebhookEvent(event=WebhookEventType.ENDED, at=NOW, sentence="It ended.", due_at=NOW)
    assert event.id_for(job.id) == event.attempted(NOW + MINUTE).id_for(job.id)
    others = {
        replace(event, event=WebhookEventType.HELD).id_for(job.id),
        replace(event, at=NOW + SECOND).id_for(job.id),
        event.id_for(a_job().id),
    }
    assert len(others | {event.id_for(job.id)}) == 4


def test_the_delay_between_attempts_doubles_up_to_an_hour() -> None:
    event = WebhookEvent(event=WebhookEventType.ENDED, at=NOW, sentence="It ended.", due_at=NOW)
    delays = []
    for _ in range(40):
        event = event.attempted(NOW)
        assert event.due_at is not None
        delays.append(event.due_at - NOW)
    assert delays[:4] == [timedelta(seconds=seconds) for seconds in (15, 30, 60, 120)]
    assert delays[-1] == timedelta(hours=1)
    assert event.attempts == 40


def test_a_delivered_event_is_no_longer_due_and_an_old_event_is_given_up() -> None:
    event = WebhookEvent(event=WebhookEventType.ENDED, at=NOW, sentence="It ended.", due_at=NOW)
    assert not event.is_due(NOW - SECOND)
    assert event.is_due(NOW)
    assert not event.settled().is_due(NOW + timedelta(days=9))
    assert WebhookEvents(ended=event.settled()).due_at is None
    assert not event.is_old(NOW + GIVEN_UP_AFTER)
    assert event.is_old(NOW + GIVEN_UP_AFTER + SECOND)


def test_a_takeover_counts_the_time_without_a_runner() -> None:
    job = a_running_job()  # its last heartbeat was at NOW
    taken = job.claimed("another", NOW + timedelta(seconds=16.5))
    assert (taken.takeovers, taken.takeover_seconds) == (1, 16.5)
    again = taken.claimed("a third", NOW + timedelta(seconds=16.5 + 20))
    assert (again.takeovers, again.takeover_seconds) == (2, 36.5)
    handed_over = job.released(1, NOW).claimed("another", NOW + MINUTE)
    assert (handed_over.takeovers, handed_over.resume_count) == (0, 1)


def test_a_takeover_from_a_runner_with_a_fast_clock_counts_no_time() -> None:
    job = a_running_job(NOW + timedelta(hours=1))
    taken = job.claimed("another", NOW, dead=job.lease)
    assert (taken.takeovers, taken.takeover_seconds) == (1, 0.0)
