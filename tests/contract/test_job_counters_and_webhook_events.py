"""The contract of every job storage for job counters and webhook events that are due."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from backfill.domain import (
    Job,
    JobCounters,
    LimiterReport,
    Progress,
    Status,
    WebhookEvent,
    WebhookEvents,
    WebhookEventType,
)
from backfill.errors import InvalidJobState
from backfill.storage import Storage
from tests.factories import NOW, JobFactory, PlanFactory

PROGRESS = Progress(
    total_items=6,
    processed=3,
    failed=1,
    skipped={"stored": 2},
    limiter=LimiterReport(requests_made=9, answers={"200": 8, "503": 1}, waited={"backing-off": 1.5}),
)
COUNTERS_OF_ONE_JOB = JobCounters(
    jobs={"data-collection cancelled": 1},
    items={"data-collection processed": 3, "data-collection failed": 1, "data-collection skipped": 2},
    answers={"200": 8, "503": 1},
    waited={"backing-off": 1.5},
    takeovers=1,
    takeover_seconds=16.25,
)


def created(storage: Storage, job: Job | None = None) -> Job:
    return storage.jobs.create(job or JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job


def job_with_progress() -> Job:
    return JobFactory.build(progress=PROGRESS, takeovers=1, takeover_seconds=16.25)


def event_due_in(seconds: float, event: WebhookEventType = WebhookEventType.ENDED) -> WebhookEvent:
    return WebhookEvent(event=event, at=NOW, sentence="It ended.", due_at=NOW + timedelta(seconds=seconds))


def test_nothing_is_counted_before_a_job_has_ended(storage: Storage) -> None:
    job = created(storage, job_with_progress())
    storage.jobs.update(job.id, lambda job: replace(job, status=Status.PAUSED))
    assert storage.control.counters() == JobCounters()


def test_a_job_is_counted_once_when_it_ends_and_stays_counted_after_its_deletion(storage: Storage) -> None:
    for rounds in (1, 2):
        job = created(storage, job_with_progress())
        ended = storage.jobs.update(job.id, partial(Job.cancel_requested, now=NOW)).after
        assert storage.control.counters().jobs == {"data-collection cancelled": rounds}
        storage.jobs.update(job.id, lambda job: replace(job, error="Looked at again."))
        assert storage.control.counters().answers == {"200": 8 * rounds, "503": rounds}
        if rounds == 1:
            assert storage.control.counters() == JobCounters().plus(ended) == COUNTERS_OF_ONE_JOB
        storage.jobs.delete_finished(NOW + timedelta(days=1))
    assert storage.control.counters().takeover_seconds == 2 * 16.25


def test_a_displaced_job_is_counted(storage: Storage) -> None:
    created(storage, job_with_progress())
    later = NOW + timedelta(hours=1)
    storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=partial(Job.displaced, now=later))
    assert storage.control.counters() == replace(COUNTERS_OF_ONE_JOB, jobs={"data-collection failed": 1})


def test_an_end_that_is_rolled_back_is_not_counted(storage: Storage) -> None:
    job = created(storage, job_with_progress())

    def refused(*_: object) -> None:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, partial(Job.cancel_requested, now=NOW), audit=refused)  # type: ignore[arg-type]
    assert storage.control.counters() == JobCounters()


def test_jobs_with_a_due_webhook_event_are_found_in_the_order_of_their_due_times(storage: Storage) -> None:
    late, early, future = (
        created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW, webhook_events=webhook_events))
        for webhook_events in (
            WebhookEvents(ended=event_due_in(0)),
            WebhookEvents(ended=event_due_in(60), held=event_due_in(-1, WebhookEventType.HELD)),
            WebhookEvents(ended=event_due_in(0.5)),
        )
    )
    created(storage, JobFactory.build(webhook_events=WebhookEvents(held=event_due_in(0).settled())))
    assert storage.jobs.with_webhook_event_due(NOW) == [early.id, late.id]
    storage.jobs.update(
        late.id, lambda job: replace(job, webhook_events=WebhookEvents(ended=event_due_in(0).settled()))
    )
    assert storage.jobs.with_webhook_event_due(NOW + timedelta(seconds=1)) == [early.id, future.id]
