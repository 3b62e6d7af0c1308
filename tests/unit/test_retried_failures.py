"""What a job says of its failed items after retries: which job retried them, and what is still failed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from backfill.domain import (
    FailureGroup,
    Job,
    JobFilter,
    OutcomeKind,
    Progress,
    Segment,
    Status,
    WorkItem,
)
from backfill.errors import NothingToRetry
from tests.unit.fakes import NOW, all_items, an_outcome
from tests.unit.test_service import ANN, FAILED, Service

FIRST, SECOND, OTHER = (item for item, _ in FAILED)
GROUPS = (
    FailureGroup(code="TIMEOUT", items=2, districts=("01", "F"), latest_at=NOW, is_retryable=True),
    FailureGroup(code="NO_ROWS", items=1, districts=("F",), latest_at=NOW, is_retryable=True),
)


def with_failures(service: Service) -> UUID:
    progress = Progress(total_items=6, processed=3, failed=3, failures=GROUPS)
    return service.ended(*FAILED, progress=progress).id


def retried(
    service: Service,
    job_id: UUID,
    *codes: str,
    failing: Collection[WorkItem] = (),
    unsettled: Collection[WorkItem] = (),
    status: Status = Status.COMPLETED,
) -> Job:
    """Retry a job, and settle the items of the retry."""
    service.clock.forward(minutes=1)
    job = service.retry(job_id, by=ANN, codes=codes).job
    items = [item for item in all_items(service.memory.jobs.plan(job.id)) if item not in unsettled]
    kinds = {item: OutcomeKind.FAILED if item in failing else OutcomeKind.PROCESSED for item in items}
    outcomes = tuple(
        an_outcome(item, kind, reason="TIMEOUT" if item in failing else "") for item, kind in kinds.items()
    )
    groups = GROUPS[:1] if failing else ()
    progress = Progress(
        total_items=job.progress.total_items,
        processed=len(items) - len(failing),
        failed=len(failing),
        failures=tuple(replace(group, items=len(failing)) for group in groups),
    )
    ended = replace(job, status=status, progress=progress, ended_at=None if status.is_active else service.now())
    service.memory.jobs.update(job.id, lambda _: ended, segment=Segment(0, outcomes))
    return ended


def shown(job: Job) -> list[tuple[UUID, list[tuple[str, int, int]]]]:
    return [
        (retry.job_id, [(group.code, group.items, group.recovered) for group in retry.groups]) for retry in job.retries
    ]


def test_a_job_without_retries_counts_all_its_failures() -> None:
    service = Service()
    job = service.job(with_failures(service))
    assert (job.retries, job.still_failed, job.failures) == ((), 3, GROUPS)


def test_a_retried_group_names_its_job_and_only_the_rest_is_still_failed() -> None:
    service = Service()
    parent = with_failures(service)
    retry = retried(service, parent, "TIMEOUT")
    job = service.job(parent)
    assert shown(job) == [(retry.id, [("TIMEOUT", 2, 2)])]
    assert (job.still_failed, job.failures, job.progress.failed) == (1, GROUPS[1:], 3)
    assert service.jobs(JobFilter(), limit=5, offset=0).rows[1].still_failed == 1, "also in lists"
    assert service.job(retry.id).still_failed == 0


def test_items_that_fail_again_are_still_failed_and_are_retried_alone() -> None:
    service = Service()
    parent = with_failures(service)
    first = retried(service, parent, failing=[SECOND])
    job = service.job(parent)
    assert shown(job) == [(first.id, [("NO_ROWS", 1, 1), ("TIMEOUT", 2, 1)])]
    assert job.still_failed == 1
    assert [(group.code, group.items, group.districts) for group in job.failures] == [
        ("TIMEOUT", 1, (SECOND.district,))
    ]
    second = retried(service, parent)
    assert all_items(service.memory.jobs.plan(second.id)) == [SECOND]
    job = service.job(parent)
    assert shown(job)[1] == (second.id, [("TIMEOUT", 1, 1)])
    assert (job.still_failed, job.failures) == (0, ())
    assert service.job(first.id).still_failed == 0, "the second retry recovered what failed in the first"
    with pytest.raises(NothingToRetry, match="Later jobs stored all failed items"):
        service.retry(parent, by=ANN)
    with pytest.raises(NothingToRetry):
        service.retry(first.id, by=ANN)


def test_a_retry_of_a_retry_counts_for_the_first_job() -> None:
    service = Service()
    parent = with_failures(service)
    first = retried(service, parent, failing=[FIRST, SECOND, OTHER], status=Status.FAILED)
    second = retried(service, first.id, failing=[FIRST])
    job = service.job(parent)
    assert [retry.job_id for retry in job.retries] == [first.id, second.id]
    assert [retry.recovered for retry in job.retries] == [0, 2]
    assert (job.still_failed, service.job(first.id).still_failed, service.job(second.id).still_failed) == (1, 1, 1)


def test_a_cancelled_retry_recovers_only_what_it_settled() -> None:
    service = Service()
    parent = with_failures(service)
    retry = retried(service, parent, unsettled=[SECOND, OTHER], status=Status.CANCELLED)
    job = service.job(parent)
    assert shown(job) == [(retry.id, [("NO_ROWS", 1, 0), ("TIMEOUT", 2, 1)])]
    assert job.still_failed == 2


def test_a_running_retry_says_what_it_does_not_retry() -> None:
    service = Service()
    parent = with_failures(service)
    running = retried(service, parent, "TIMEOUT", unsettled=[SECOND], status=Status.RUNNING)
    assert service.left_of_retried_job(running) == 1
    assert service.job(parent).still_failed == 2
    ended = service.memory.jobs.put_in(
        replace(running, status=Status.CANCELLED, ended_at=NOW, revision=9), service.memory.jobs.plan(running.id)
    )
    assert service.left_of_retried_job(ended) == 2
    assert service.left_of_retried_job(service.job(parent)) == 0


def test_a_later_job_that_is_no_retry_changes_nothing() -> None:
    service = Service()
    parent = with_failures(service)
    service.ended(created_at=NOW + timedelta(hours=1))
    assert service.job(parent).still_failed == 3


def test_the_version_of_a_summary_changes_with_the_retries() -> None:
    """The ETag contains it: a retry does not write to the job that it retries."""
    service = Service()
    parent = with_failures(service)
    retried(service, parent, "NO_ROWS")
    one = service.job(parent)
    retried(service, parent, "TIMEOUT")
    two = service.job(parent)
    assert one.retried is not None
    assert two.retried is not None
    assert one.revision == two.revision
    assert one.retried.version != two.retried.version


def test_a_retry_that_cannot_be_read_recovers_nothing_and_hides_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    parent = with_failures(service)
    retry = retried(service, parent)
    service.memory.ledger.rows[retry.id][0] = b"damaged"
    job = service.job(parent)
    assert job.still_failed == 3
    assert "recovered no item" in caplog.text


def test_a_job_whose_ledger_cannot_be_read_shows_its_own_counts(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    parent = with_failures(service)
    retried(service, parent)
    for number in service.memory.ledger.rows[parent]:
        service.memory.ledger.rows[parent][number] = b"damaged"
    job = service.job(parent)
    assert (job.still_failed, job.retries) == (3, ())
    assert "are not shown" in caplog.text


def test_the_items_of_the_ended_job_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    parent = with_failures(service)
    retried(service, parent)
    service.job(parent)

    def segments(job_id: UUID) -> None:
        pytest.fail(f"The ledger of job {job_id} is read again.")

    monkeypatch.setattr(service.memory.ledger, "segments", segments)
    assert service.job(parent).still_failed == 0
