"""Reads which failed items of a job later jobs retried. Nothing of it is stored, so a crash cannot lose it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import UUID

from backfill.domain import Job, JobFilter, Outcome, OutcomeFilter, OutcomeKind
from backfill.domain.retries import RetryFacts, RetrySummary, still_failed, summary_of
from backfill.errors import CorruptRecord
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_PAGE = 1000
_REMEMBERED = 256
"""Summaries that a process keeps: those of ended jobs do not change."""


@dataclass(frozen=True, slots=True)
class RetryReader:
    """The retries of a job are the jobs that retry it, their retries, and later retries of the job that it retries."""

    storage: Storage

    def with_retries(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs, those that ended with failed items with their `retried`."""
        with_failures = [job for job in jobs if _has_failures(job)]
        if not with_failures:
            return list(jobs)
        children = self._children({job.id for job in with_failures} | _parents(with_failures))
        return [self._with_summary(job, _later(job, children)) if _has_failures(job) else job for job in jobs]

    def still_failed(self, job: Job) -> list[Outcome]:
        """Return the failed outcomes of an ended job that no retry recovered. Raises CorruptRecord."""
        retries = _later(job, self._children({job.id} | _parents([job])))
        return still_failed(self.failed(job.id), [_facts(self.storage, retry) for retry in retries])

    def failed(self, job_id: UUID) -> list[Outcome]:
        """Return all failed outcomes of a job."""
        found: list[Outcome] = []
        failed = OutcomeFilter(kind=OutcomeKind.FAILED)
        while True:
            page = self.storage.ledger.outcomes(job_id, failed, limit=_PAGE, offset=len(found))
            found += page.rows
            if len(found) >= page.total or not page.rows:
                return found

    def left_outside(self, retry: Job) -> int:
        """Return how many failed items of the retried job are not part of an active retry and still failed."""
        return _left_outside(self.storage, retry.id, retry.retry_of) if retry.retry_of else 0

    def _with_summary(self, job: Job, retries: Sequence[Job]) -> Job:
        if not retries:
            return job
        versions = tuple((retry.id, retry.revision) for retry in retries)
        return replace(job, retried=_summary(self.storage, job.id, job.revision, versions))

    def _children(self, parents: set[UUID]) -> Mapping[UUID, list[Job]]:
        """Return the retries of jobs, and the retries of those, by the id of the retried job."""
        children: dict[UUID, list[Job]] = {}
        wanted = parents
        while wanted:
            found = list(self._retries_of(wanted))
            children |= {parent: [] for parent in wanted}
            for job in found:
                if job.retry_of is not None:
                    children[job.retry_of].append(job)
            wanted = {job.id for job in found} - set(children)
        return children

    def _retries_of(self, parents: set[UUID]) -> Iterator[Job]:
        offset, wanted = 0, JobFilter(retry_of=frozenset(parents))
        while True:
            page = self.storage.jobs.page(wanted, limit=_PAGE, offset=offset)
            yield from page.rows
            offset += len(page.rows)
            if offset >= page.total or not page.rows:
                return


def _has_failures(job: Job) -> bool:
    return bool(job.progress.failed) and not job.status.is_active


def _parents(jobs: Iterable[Job]) -> set[UUID]:
    return {job.retry_of for job in jobs if job.retry_of is not None}


def _later(job: Job, children: Mapping[UUID, list[Job]]) -> list[Job]:
    """Return the retries that contain items of the job, oldest first."""
    found: dict[UUID, Job] = {}
    parents = [job.id, *_parents([job])]
    while parents:
        new = [
            retry
            for retry in children.get(parents.pop(), ())
            if retry.id not in found and retry.id != job.id and retry.created_at >= job.created_at
        ]
        found |= {retry.id: retry for retry in new}
        parents += [retry.id for retry in new]
    return sorted(found.values(), key=lambda retry: (retry.created_at, retry.id))


@lru_cache(maxsize=_REMEMBERED)
def _summary(
    storage: Storage, job_id: UUID, _revision: int, versions: tuple[tuple[UUID, int], ...]
) -> RetrySummary | None:
    """Return the summary of a job; None if its ledger cannot be read. The revisions are a part of the cache key."""
    job = storage.jobs.get(job_id)
    retries = [storage.jobs.get(retry_id) for retry_id, _ in versions]
    try:
        failed = RetryReader(storage).failed(job_id)
    except CorruptRecord as exc:
        logger.warning("%s The retries of job %s are not shown.", exc.message, job_id)
        return None
    facts = [_facts(storage, retry) for retry in retries if retry is not None]
    return summary_of(failed, job.progress.failures if job else (), facts)


def _facts(storage: Storage, retry: Job) -> RetryFacts:
    """Return the items of a retry. One that cannot be read recovered nothing."""
    try:
        items = [item for day in storage.jobs.plan(retry.id).days for item in day.items()]
        recovered = [
            outcome.item
            for segment in storage.ledger.segments(retry.id)
            for outcome in segment.outcomes
            if outcome.kind is not OutcomeKind.FAILED
        ]
    except CorruptRecord as exc:
        logger.warning("%s It counts as a retry that recovered no item.", exc.message)
        items, recovered = [], []
    return RetryFacts(
        job_id=retry.id, status=retry.status, created_at=retry.created_at, items=items, recovered=recovered
    )


@lru_cache(maxsize=_REMEMBERED)
def _left_outside(storage: Storage, retry_id: UUID, parent_id: UUID) -> int:
    reader, parent = RetryReader(storage), storage.jobs.get(parent_id)
    if parent is None:
        return 0
    inside = {item for day in storage.jobs.plan(retry_id).days for item in day.items()}
    return sum(outcome.item not in inside for outcome in reader.still_failed(parent))
