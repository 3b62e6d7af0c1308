"""The job's verbs: claim, record, finish, release. All that a runner says of a job goes through here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from backfill.domain import (
    QUARANTINED_AFTER,
    STANDARD_LEASES,
    AllowedHours,
    Job,
    Lease,
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
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.errors import CorruptRecord
from backfill.storage import Fence, Storage

logger = logging.getLogger(__name__)

SEGMENT_SIZE = 500
"""Outcomes after which a segment is closed and the next one begun."""


class Claim:
    """A claimed job: the only way in which a runner writes. Every write carries the fencing token of the claim."""

    def __init__(
        self,
        storage: Storage,
        job: Job,
        plan: Plan,
        settled: SettledItems,
        progress_counter: ProgressCounter,
        *,
        hours: AllowedHours | None = None,
        policy: LeasePolicy = STANDARD_LEASES,
    ) -> None:
        self.policy = policy
        self.job, self.plan, self.settled = job, plan, settled
        self._hours = hours if plan.requests else None
        self.fence = Fence(job.id, job.token)
        self._storage, self._progress_counter = storage, progress_counter
        self._open: list[Outcome] = []
        self._number = job.segments
        self._unwritten = 0

    @property
    def record_after(self) -> float:
        """Seconds between two records at least."""
        return self._storage.jobs.record_after

    @property
    def unwritten(self) -> int:
        """Outcomes that are noted but not stored yet."""
        return self._unwritten

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Take outcomes into the open segment; one that is settled already, or is not of the plan, is left out."""
        new = [outcome for outcome in outcomes if self.settled.add(outcome.item)]
        self._progress_counter.add(new)
        self._open += new
        self._unwritten += len(new)

    def record(
        self, in_flight: Iterable[WorkItem], limiter: LimiterReport, now: datetime, *, is_holding: bool = False
    ) -> Job:
        """Store progress and the open segment, renew the lease, and bring back what the operator wishes.

        `is_holding`: what is in flight only waits, and is not at work. May be repeated after StorageUnavailable: a
        segment that was written after all is written again.
        """
        in_flight = tuple(in_flight)
        at_work = () if is_holding else tuple(item.key for item in in_flight)
        progress = self._estimated(self._progress_counter.progress(in_flight, limiter, now), now)
        segment = Segment(self._number, tuple(self._open)) if self._unwritten else None
        moves = (
            segment is not None
            or limiter.waiting_until is not None
            or (limiter.requests_made > self.job.progress.limiter.requests_made)
        )
        count = self._number + 1 if segment else self._number
        self.job = self._storage.jobs.update(
            self.job.id,
            lambda job: job.recorded(
                self.fence.token, progress, count, now, moves=moves, at_work=at_work, policy=self.policy
            ),
            segment=segment,
        ).after
        self._unwritten = 0
        if len(self._open) >= SEGMENT_SIZE:
            self._open, self._number = [], self._number + 1
        return self.job

    def _estimated(self, progress: Progress, now: datetime) -> Progress:
        """With how the work went, and how long the rest takes."""
        planned, done = self._progress_counter.work()
        idle = [p.limiter.waited.get(WaitReason.OUTSIDE_HOURS, 0.0) for p in (self.job.progress, progress)]
        throughput = self.job.progress.throughput.measured(planned, done, now, idle=idle[1] - idle[0])
        left = throughput.left_after(self.job.config.rate_limits, progress.limiter, now, self._hours)
        return replace(progress, throughput=throughput, left=left)

    def look(self) -> Job:
        """The job as stored, without a write; LeaseLost where another runner holds it."""
        job = self._storage.jobs.get(self.job.id)
        if job is not None:
            job.check_fence(self.fence.token)
            self.job = job
        return self.job

    def finish(self, now: datetime) -> Job:
        """End the job as its items and its operator say."""
        return self._end(lambda job: job.finished(self.fence.token, now))

    def release(self, now: datetime) -> Job:
        """Give the lease back at once, so that any worker may go on."""
        return self._end(lambda job: job.released(self.fence.token, now))

    def fail(self, sentence: str, now: datetime) -> Job:
        """End a job that cannot be run."""
        return self._end(lambda job: job.broken(self.fence.token, sentence, now))

    def _end(self, change: Callable[[Job], Job]) -> Job:
        self.job = self._storage.jobs.update(self.job.id, change).after
        return self.job


class JobManager:
    """Finds the job that needs a runner, and claims it."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock = SYSTEM_CLOCK,
        *,
        hours: AllowedHours | None = None,
        policy: LeasePolicy = STANDARD_LEASES,
    ) -> None:
        """`hours` outside which no job asks the dashboard; None is any."""
        self._storage, self._clock, self._hours, self._policy = storage, clock.monotonic, hours, policy
        self._watched: tuple[Lease | None, float] = None, 0.0
        self._found_one = False

    def claim(self, owner: str, now: datetime) -> Claim | None:
        """The active job, where no live runner holds it; None where there is nothing to do.

        Counters, the set of settled items and the list of errors are rebuilt from the ledger at every claim. Raises
        LeaseLost where another worker was quicker.
        """
        found = self._storage.jobs.active()
        self._found_one = found is not None
        dead = self._dead_lease(found)
        if found is None or not found.can_be_claimed(now, dead=dead):
            return None
        job = self._storage.jobs.update(
            found.id, lambda job: job.claimed(owner, now, dead=dead, policy=self._policy)
        ).after
        try:
            return self._opened(job, now)
        except CorruptRecord as exc:
            sentence = exc.message
            self._storage.jobs.update(job.id, lambda held: held.broken(job.token, sentence, now))
            raise

    @property
    def look_after(self) -> float:
        """Seconds to leave before the next look at least: none while there is a job that may need a runner soon."""
        return 0.0 if self._found_one else self._storage.jobs.look_after

    def lease_left(self, now: datetime) -> timedelta | None:
        """How long the lease that the last look found still holds; None where there was none, or it does no more."""
        lease = self._watched[0]
        return lease.expires_at - now if lease is not None and lease.is_live(now) else None

    def _dead_lease(self, found: Job | None) -> Lease | None:
        """One that this manager has seen unchanged for as long as a lease lasts.

        When it ends is written by the clock of its runner. Where that was ahead, or was set back since, the end is a
        time that does not come; so a runner is known to be dead by its silence, too.
        """
        lease = found.lease if found else None
        if lease != self._watched[0]:
            self._watched = lease, self._clock()
        return lease if self._clock() - self._watched[1] >= self._policy.duration.total_seconds() else None

    def _opened(self, job: Job, now: datetime) -> Claim:
        plan = self._storage.jobs.plan(job.id)
        settled, progress_counter = SettledItems(plan), ProgressCounter(plan)
        number, looked = 0, self._clock()
        for segment in self._storage.ledger.segments(job.id):
            progress_counter.add([outcome for outcome in segment.outcomes if settled.add(outcome.item)])
            number = segment.number + 1
            passed = self._clock() - looked
            if passed >= self._policy.renew_after.total_seconds():  # to read a long ledger may outlast a lease
                now, looked = now + timedelta(seconds=passed), looked + passed
                self._renew(job, now)
        limiter = job.progress.limiter.at_rest(goes_on=True)
        throughput, left = job.progress.throughput.begun(now), job.progress.left
        progress = replace(progress_counter.progress((), limiter, now), throughput=throughput, left=left)
        job = self._storage.jobs.update(
            job.id,
            lambda held: held.recorded(job.token, progress, number, now, moves=False, policy=self._policy),
        ).after
        claim = Claim(self._storage, job, plan, settled, progress_counter, hours=self._hours, policy=self._policy)
        claim.note(_quarantined(WorkItem.of(key), now) for key in job.crash_isolation.quarantined)
        if claim.unwritten:
            claim.record((), limiter, now)
        return claim

    def _renew(self, job: Job, now: datetime) -> None:
        self._storage.jobs.update(job.id, lambda held: held.renewed(job.token, now, self._policy))


def _quarantined(item: WorkItem, now: datetime) -> Outcome:
    sentence = (
        f"The process died {QUARANTINED_AFTER} times in a row while it worked on this item, so it is set aside. Look "
        "at what the log says of those deaths before you retry it."
    )
    logger.error("Item %s is set aside. %s", item.key, sentence)
    return Outcome(item, OutcomeKind.FAILED, now, "QUARANTINED", sentence, attempts=QUARANTINED_AFTER)
