"""A claimed job: the only write path of a runner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from backfill.domain import (
    QUARANTINED_AFTER,
    Job,
    LeasePolicy,
    LimiterReport,
    Outcome,
    OutcomeKind,
    Plan,
    Progress,
    ProgressCounter,
    Segment,
    SettledItems,
    WaitReason,
    WorkItem,
)
from backfill.domain.runtime_config import RuntimeConfig
from backfill.storage import Fence, Storage

logger = logging.getLogger(__name__)

SEGMENT_SIZE = 500
"""Outcomes after which a segment is closed and the next one begins."""


class Claim:
    """Reads and writes one claimed job. Every write carries the fencing token of the claim.

    Every write raises LeaseLost if another runner has claimed the job, and StorageUnavailable.
    """

    def __init__(
        self,
        storage: Storage,
        job: Job,
        plan: Plan,
        settled: SettledItems,
        progress_counter: ProgressCounter,
        *,
        config: RuntimeConfig,
    ) -> None:
        self.job, self.plan, self.settled, self.config = job, plan, settled, config
        self.fence = Fence(job.id, job.token)
        self._storage, self._progress_counter = storage, progress_counter
        self._open: list[Outcome] = []
        self._number = job.segments
        self._unwritten = 0

    @classmethod
    def open(cls, storage: Storage, job: Job, now: datetime, config: RuntimeConfig) -> Claim:
        """Return the claim of a job that was just claimed.

        Counters, the set of settled items and the list of errors are rebuilt from the ledger. Suspect items that died
        too often are settled as failed. Raises CorruptRecord if the plan or the ledger is unreadable.
        """
        monotonic, policy = config.clock.monotonic, config.lease_policy
        plan = storage.jobs.plan(job.id)
        settled = SettledItems(plan)
        progress_counter = ProgressCounter(plan, job.job_type.description.requests_of)
        number, renewed_at = 0, monotonic()
        for segment in storage.ledger.segments(job.id):
            progress_counter.add(settled.add_outcomes(segment.outcomes))
            number = segment.number + 1
            passed = monotonic() - renewed_at
            if passed >= policy.renew_after.total_seconds():  # reading a long ledger may take longer than a lease
                renewed_at += passed
                now += timedelta(seconds=passed)
                _renew(storage, job, now, policy)
        limiter = job.progress.limiter.at_rest(goes_on=True)
        throughput, left = job.progress.throughput.begun(now), job.progress.left
        progress = replace(progress_counter.progress((), limiter, now), throughput=throughput, left=left)
        job = storage.jobs.update(
            job.id, lambda held: held.recorded(job.token, progress, number, now, is_progress=False, policy=policy)
        ).after
        claim = cls(storage, job, plan, settled, progress_counter, config=config)
        claim.note(_quarantined(WorkItem.of(key), now) for key in job.crash_isolation.quarantined)
        if claim.unwritten:
            claim.record((), limiter, now)
        return claim

    @property
    def record_interval(self) -> float:
        """Minimum seconds between two records."""
        return self._storage.jobs.record_interval

    @property
    def unwritten(self) -> int:
        """The number of outcomes that are noted but not stored yet."""
        return self._unwritten

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes to the open segment, except those of settled items and of items outside the plan."""
        new = self.settled.add_outcomes(outcomes)
        self._progress_counter.add(new)
        self._open += new
        self._unwritten += len(new)

    def record(
        self, in_flight: Iterable[WorkItem], limiter: LimiterReport, now: datetime, *, is_holding: bool = False
    ) -> Job:
        """Store progress and the open segment, renew the lease, and return the job with the operator's requests.

        `is_holding`: the items in flight only wait. May be repeated after StorageUnavailable: a segment that was
        written nevertheless is replaced.
        """
        in_flight = tuple(in_flight)
        at_work = () if is_holding else tuple(item.key for item in in_flight)
        progress = self._with_estimate(self._progress_counter.progress(in_flight, limiter, now), now)
        segment = Segment(self._number, tuple(self._open)) if self._unwritten else None
        is_progress = (
            segment is not None
            or limiter.waiting_until is not None
            or (limiter.requests_made > self.job.progress.limiter.requests_made)
        )
        count = self._number + 1 if segment else self._number
        policy = self.config.lease_policy
        self.job = self._storage.jobs.update(
            self.job.id,
            lambda job: job.recorded(
                self.fence.token, progress, count, now, is_progress=is_progress, at_work=at_work, policy=policy
            ),
            segment=segment,
        ).after
        self._unwritten = 0
        if len(self._open) >= SEGMENT_SIZE:
            self._open, self._number = [], self._number + 1
        return self.job

    def _with_estimate(self, progress: Progress, now: datetime) -> Progress:
        """Add the measured throughput and the estimated time left."""
        planned, done = self._progress_counter.work()
        idle = [p.limiter.waited.get(WaitReason.OUTSIDE_HOURS, 0.0) for p in (self.job.progress, progress)]
        throughput = self.job.progress.throughput.measured(planned, done, now, idle=idle[1] - idle[0])
        hours = self.config.allowed_hours if self.plan.requests else None
        left = throughput.left_after(self.job.config.rate_limits, progress.limiter, now, hours)
        return replace(progress, throughput=throughput, left=left)

    def counts(self) -> dict[str, object]:
        """Return the status and the counters of the job as fields of a log record."""
        progress = self.job.progress
        return {
            "status": str(self.job.status),
            "total": progress.total_items,
            "processed": progress.processed,
            "failed": progress.failed,
            "skipped": progress.skipped_items,
            "requests": progress.limiter.requests_made,
        }

    def look(self) -> Job:
        """Return the stored job without a write. Raises LeaseLost if another runner has claimed it."""
        job = self._storage.jobs.get(self.job.id)
        if job is not None:
            job.check_fence(self.fence.token)
            self.job = job
        return self.job

    def finish(self, now: datetime) -> Job:
        """End the job; its items and the operator's requests decide the status."""
        return self._end(lambda job: job.finished(self.fence.token, now))

    def release(self, now: datetime) -> Job:
        """Return the lease, so that any worker can continue the job at once."""
        return self._end(lambda job: job.released(self.fence.token, now))

    def fail(self, message: str, now: datetime) -> Job:
        """End a job that cannot be run."""
        return self._end(lambda job: job.broken(self.fence.token, message, now))

    def _end(self, change: Callable[[Job], Job]) -> Job:
        self.job = self._storage.jobs.update(self.job.id, change).after
        return self.job


def _renew(storage: Storage, job: Job, now: datetime, policy: LeasePolicy) -> None:
    storage.jobs.update(job.id, lambda held: held.renewed(job.token, now, policy))


def _quarantined(item: WorkItem, now: datetime) -> Outcome:
    message = (
        f"The process died {QUARANTINED_AFTER} times in a row while it worked on this item. "
        "Check the log for the cause before you retry it."
    )
    logger.error("Item %s is quarantined. %s", item.key, message)
    return Outcome(item, OutcomeKind.FAILED, now, "QUARANTINED", message, attempts=QUARANTINED_AFTER)
