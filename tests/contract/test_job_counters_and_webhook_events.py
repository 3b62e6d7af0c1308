"""What is counted of jobs for ever, and what is still to be told of them: promises of every job storage."""

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
ONCE = JobCounters(
    jobs={"data-collection cancelled": 1},
    items={"data-collection processed": 3, "data-collection failed": 1, "data-collection skipped": 2},
    answers={"200": 8, "503": 1},
    waited={"backing-off": 1.5},
    takeovers=1,
    takeover_seconds=16.25,
)


def created(storage: Storage, job: Job | None = None) -> Job:
    return storage.jobs.create(job or JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job


def a_job() -> Job:
    return JobFactory.build(progress=PROGRESS, takeovers=1, takeover_seconds=16.25)


def a_notice(seconds: float, event: WebhookEventType = WebhookEventType.ENDED) -> WebhookEvent:
    return WebhookEvent(event=event, at=NOW, sentence="It ended.", due_at=NOW + timedelta(seconds=seconds))


def test_nothing_is_counted_before_a_job_has_ended(storage: Storage) -> None:
    job = created(storage, a_job())
    storage.jobs.update(job.id, lambda job: replace(job, status=Status.PAUSED))
    assert storage.control.counters() == JobCounters()


def test_a_job_is_counted_once_when_it_ends_and_outlives_its_removal(storage: Storage) -> None:
    for rounds in (1, 2):
        job = created(storage, a_job())
        ended = storage.jobs.update(job.id, partial(Job.cancel_requested, now=NOW)).after
        assert storage.control.counters().jobs == {"data-collection cancelled": rounds}
        storage.jobs.update(job.id, lambda job: replace(job, error="Looked at again."))
        assert storage.control.counters().answers == {"200": 8 * rounds, "503": rounds}
        if rounds == 1:
            assert storage.control.counters() == JobCounters().plus(ended) == ONCE
        storage.jobs.delete_finished(NOW + timedelta(days=1))
    assert storage.control.counters().takeover_seconds == 2 * 16.25


def test_a_job_that_is_displaced_is_counted(storage: Storage) -> None:
    created(storage, a_job())
    later = NOW + timedelta(hours=1)
    storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=partial(Job.displaced, now=later))
    assert storage.control.counters() == replace(ONCE, jobs={"data-collection failed": 1})


def test_an_end_that_does_not_come_to_be_is_not_counted(storage: Storage) -> None:
    job = created(storage, a_job())

    def refused(*_: object) -> None:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, partial(Job.cancel_requested, now=NOW), audit=refused)  # type: ignore[arg-type]
    assert storage.control.counters() == JobCounters()


def test_jobs_whose_notice_is_due_are_found_the_longest_due_first(storage: Storage) -> None:
    late, early, future = (
        created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW, webhook_events=webhook_events))
        for webhook_events in (
            WebhookEvents(ended=a_notice(0)),
            WebhookEvents(ended=a_notice(60), held=a_notice(-1, WebhookEventType.HELD)),
            WebhookEvents(ended=a_notice(0.5)),
        )
    )
    created(storage, JobFactory.build(webhook_events=WebhookEvents(held=a_notice(0).settled())))
    assert storage.jobs.with_webhook_event_due(NOW) == [early.id, late.id]
    storage.jobs.update(late.id, lambda job: replace(job, webhook_events=WebhookEvents(ended=a_notice(0).settled())))
    assert storage.jobs.with_webhook_event_due(NOW + timedelta(seconds=1)) == [early.id, future.id]
