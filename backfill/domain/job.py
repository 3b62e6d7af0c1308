"""The job and the rules of its changes, which are pure because a storage may apply them twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from backfill.domain.crash_isolation import CrashIsolation
from backfill.domain.idempotency import IdempotencyKey
from backfill.domain.job_config import JobConfig
from backfill.domain.job_types import JobType
from backfill.domain.keeper_state import KEEPER
from backfill.domain.lease import STANDARD_LEASES, Lease, LeasePolicy
from backfill.domain.limiter_status import ENDED_BY_OPERATORS, LimiterState, WaitReason
from backfill.domain.note import MOST_NOTES, Note
from backfill.domain.progress import FailureGroup, Progress
from backfill.domain.rate_limits import RateLimits
from backfill.domain.retries import Retry, RetrySummary
from backfill.domain.status import TRANSITIONS, Status
from backfill.domain.webhook_event import WebhookEvent, WebhookEvents, WebhookEventType
from backfill.errors import InvalidJobState, JobConflict, LeaseLost


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: UUID
    job_type: JobType
    config: JobConfig
    created_at: datetime
    created_by: str
    progress: Progress
    progressed_at: datetime
    """When an item was settled, a runner reported why it waits, or a claim counted as progress (CrashIsolation)."""
    status: Status = Status.PENDING
    lease: Lease | None = None
    token: int = 0
    """The fencing token: increases at every claim and displacement. Every write of a runner carries it."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancelled_at: datetime | None = None
    """When the cancel was requested."""
    resumed_at: datetime | None = None
    resume_count: int = 0
    takeovers: int = 0
    """How often a worker resumed it after a runner died."""
    takeover_seconds: float = 0.0
    """The total time from the last renewals of the dead runners to the takeovers."""
    retry_of: UUID | None = None
    crash_isolation: CrashIsolation = field(default_factory=CrashIsolation)
    webhook_events: WebhookEvents = field(default_factory=WebhookEvents)
    error: str = ""
    segments: int = 0
    """The number of ledger segments."""
    idempotency: IdempotencyKey | None = None
    notes: tuple[Note, ...] = ()
    """Oldest first."""
    revision: int = 0
    """The number of writes; set by the storage."""
    retried: RetrySummary | None = field(default=None, compare=False)
    """What later jobs made of its failed items, if there are any; read by the service, never stored."""

    @property
    def is_automatic(self) -> bool:
        """Whether the keeper started it for the coverage target."""
        return self.created_by == KEEPER

    @property
    def failures(self) -> tuple[FailureGroup, ...]:
        """The failed items that no retry recovered, by error code, the most frequent first."""
        return self.retried.failures if self.retried else self.progress.failures

    @property
    def still_failed(self) -> int:
        """The number of failed items that no retry recovered."""
        return self.progress.failed - sum(retry.recovered for retry in self.retries)

    @property
    def retries(self) -> tuple[Retry, ...]:
        return self.retried.retries if self.retried else ()

    def is_held(self, now: datetime) -> bool:
        """Whether a live runner holds it."""
        return self.lease is not None and self.lease.is_live(now)

    def is_orphaned(self, now: datetime) -> bool:
        """Whether its runner died."""
        return self.lease is not None and not self.lease.is_live(now)

    def is_stale(self, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> bool:
        """Whether it should make progress and does not; a paused job need not."""
        is_expected = self.status.is_active and self.status is not Status.PAUSED
        return is_expected and now - self.progressed_at >= policy.stale_after

    def can_be_claimed(self, now: datetime, *, dead: Lease | None = None) -> bool:
        """Whether a worker should claim it, to run it or to complete a cancel or a pause.

        `dead`: a lease that the worker observed for its whole duration without a renewal; it does not count, even if it
        seems valid because the clocks of the processes differ.
        """
        is_held = self.is_held(now) and self.lease != dead
        return self.status.is_active and self.status is not Status.PAUSED and not is_held

    @property
    def note(self) -> str:
        """The newest note; empty without one."""
        return self.notes[-1].text if self.notes else ""

    @property
    def note_text(self) -> str:
        """The text of all notes, for searching without regard to case."""
        return "\n".join(note.text for note in self.notes).casefold()

    def noted(self, note: Note | None) -> Job:
        """With another note; unchanged for None. Raises InvalidJobState if it has MOST_NOTES already."""
        if note is None:
            return self
        if len(self.notes) >= MOST_NOTES:
            raise InvalidJobState(
                f"Job {self.id} has {MOST_NOTES} notes, the most that a job can have. Leave the note out."
            )
        return replace(self, notes=(*self.notes, note))

    def with_webhook_events(self, event: WebhookEvent) -> Job:
        """Return a copy in which the event replaces the one of the same type."""
        return replace(self, webhook_events=self.webhook_events.replaced(event))

    def waiting(self, sentence: str) -> Job:
        """Return a copy with the reason why no request is sent, for display only."""
        return replace(self, progress=replace(self.progress, limiter=replace(self.progress.limiter, reason=sentence)))

    def conflict(self) -> JobConflict:
        """The error for a start that this active job prevents."""
        if self.is_automatic:
            advice = (
                "It is an automatic job: cancel it to start yours; the remaining items are collected tomorrow. Or wait "
                "until it ends."
            )
        else:
            wait = "resume it and wait until it ends" if self.status is Status.PAUSED else "wait until it ends"
            advice = f"One job runs at a time: {wait}, or cancel it first."
        progress = self.progress
        return JobConflict(
            f"Job {self.id} ({self.job_type}) is {self.status} at {progress.percent:g} %. {advice}",
            details={
                "jobId": str(self.id),
                "jobType": str(self.job_type),
                "isAutomatic": self.is_automatic,
                "status": str(self.status),
                "path": f"/api/admin/backfill/{self.id}",
                "progress": {
                    "totalItems": progress.total_items,
                    "settledItems": progress.settled_items,
                    "percent": progress.percent,
                },
            },
        )

    # Requests of operators.

    def cancel_requested(self, now: datetime) -> Job:
        """Return the job as `cancelling`, or as `cancelled` if no live runner holds it. Raises InvalidJobState."""
        if not self.status.is_active:
            raise InvalidJobState(f"Job {self.id} has ended ({self.status}); only an active job can be cancelled.")
        asked = replace(self, cancelled_at=self.cancelled_at or now)
        if not self.is_held(now):
            return _ended(asked, Status.CANCELLED, now)
        return asked if self.status is Status.CANCELLING else _moved(asked, Status.CANCELLING)

    def pause_requested(self, now: datetime) -> Job:
        """Return the job as `pausing`, or as `paused` if no live runner holds it. Raises InvalidJobState."""
        if self.status in {Status.PAUSING, Status.PAUSED}:
            return self if self.is_held(now) or self.status is Status.PAUSED else _at_rest(self, Status.PAUSED)
        if self.status not in {Status.PENDING, Status.RUNNING}:
            raise InvalidJobState(f"Job {self.id} is {self.status}; only a pending or running job can be paused.")
        return _moved(self, Status.PAUSING) if self.is_held(now) else _at_rest(self, Status.PAUSED)

    def resume_requested(self, now: datetime) -> Job:
        if self.status is Status.PAUSING:
            return replace(_moved(self, Status.RUNNING), progressed_at=now)
        if self.status is Status.PAUSED:
            return replace(_moved(self, Status.PENDING), progressed_at=now)
        raise InvalidJobState(f"Job {self.id} is {self.status}; only a paused job can be resumed.")

    @property
    def can_end_hold(self) -> bool:
        """Whether it waits for a time that an operator can end."""
        return self.status is Status.RUNNING and self.progress.limiter.waits_for in ENDED_BY_OPERATORS

    def hold_ended(self, now: datetime) -> Job:
        """With the request to send the next request now."""
        if not self.can_end_hold:
            reason = f" {self.progress.limiter.reason}" if self.status is Status.RUNNING else ""
            raise InvalidJobState(f"Job {self.id} is {self.status} and has no wait that can be ended.{reason}")
        return replace(self, webhook_events=replace(self.webhook_events, hold_ended_at=now))

    def limits_lowered(self, limits: RateLimits) -> Job:
        """Return a copy with lower limits. Raises InvalidJobState for higher limits: only the next job can use them."""
        if not self.status.is_active:
            raise InvalidJobState(f"Job {self.id} has ended ({self.status}); its limits no longer matter.")
        if limits != self.config.rate_limits.lowered(limits):
            raise InvalidJobState(
                "The limits of a running job can only be lowered (fewer requests, longer delays); "
                "set higher ones for the next job."
            )
        if limits == self.config.rate_limits:
            return self
        initial = self.config.initial_limits or self.config.rate_limits
        return replace(self, config=replace(self.config, rate_limits=limits, initial_limits=initial))

    def displaced(self, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> Job | None:
        """Return the job as failed, so that a new job can start; None if it is not stale."""
        if not self.is_stale(now, policy):
            return None
        minutes = int((now - self.progressed_at).total_seconds() // 60)
        failed = _ended(self, Status.FAILED, now, f"Displaced by a new job: no progress for {minutes} minutes.")
        return replace(failed, token=self.token + 1)

    # Changes by workers. Every write after the claim carries the token of the claim.

    def claimed(
        self,
        owner: str,
        now: datetime,
        progress: Progress | None = None,
        *,
        dead: Lease | None = None,
        policy: LeasePolicy = STANDARD_LEASES,
    ) -> Job:
        """Return a copy with a lease for `owner`. Raises LeaseLost if a live runner holds it."""
        if not self.can_be_claimed(now, dead=dead):
            raise LeaseLost(f"Job {self.id} is held by {self.lease.owner if self.lease else 'no runner'}.")
        runs_on = self.status in {Status.PENDING, Status.RUNNING}  # otherwise only a cancel or a pause is completed
        is_resumed = runs_on and self.started_at is not None
        claimed = _moved(self, Status.RUNNING) if self.status is Status.PENDING else self
        silence = max((now - self.lease.renewed_at(policy)).total_seconds(), 0.0) if self.lease else 0.0
        crash_isolation = self.crash_isolation.died() if self.lease else CrashIsolation()
        return replace(
            claimed,
            lease=Lease(owner=owner, expires_at=now + policy.duration),
            token=self.token + 1,
            started_at=self.started_at or now,
            resumed_at=now if is_resumed else self.resumed_at,
            resume_count=self.resume_count + is_resumed,
            takeovers=self.takeovers + (self.lease is not None),
            takeover_seconds=self.takeover_seconds + silence,
            crash_isolation=crash_isolation,
            progressed_at=now if crash_isolation.counts_as_progress else self.progressed_at,
            progress=progress or self.progress,
        )

    def renewed(self, token: int, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> Job:
        """Return a copy with a renewed lease. Raises LeaseLost."""
        self.check_fence(token)
        return replace(self, lease=replace(self.lease, expires_at=now + policy.duration) if self.lease else None)

    def recorded(
        self,
        token: int,
        progress: Progress,
        segments: int,
        now: datetime,
        *,
        is_progress: bool,
        at_work: tuple[str, ...] = (),
        policy: LeasePolicy = STANDARD_LEASES,
    ) -> Job:
        """Return a copy with new progress and a renewed lease. Raises LeaseLost.

        `is_progress`: an item was settled, or the runner waits for a known reason. `at_work`: keys of the items in
        progress.
        """
        return replace(
            self.renewed(token, now, policy),
            progress=progress,
            segments=max(self.segments, segments),
            webhook_events=self._with_webhook_events(progress, now),
            crash_isolation=self.crash_isolation.recorded(
                at_work, is_settling=progress.settled_items > self.progress.settled_items
            ),
            progressed_at=now if is_progress else self.progressed_at,
        )

    def _with_webhook_events(self, progress: Progress, now: datetime) -> WebhookEvents:
        """A hold lasts from a back-off, or a wait for responses, until an item is settled or the allowed hours end."""
        limiter = progress.limiter
        is_resting = limiter.waits_for is WaitReason.OUTSIDE_HOURS
        if is_resting or progress.settled_items > self.progress.settled_items:
            return self.webhook_events.without_hold()
        if limiter.state is LimiterState.BACKING_OFF or limiter.waits_for is WaitReason.RESPONSES:
            return self.webhook_events.holding(limiter.reason, limiter.waiting_until, now)
        return self.webhook_events

    def released(self, token: int, now: datetime) -> Job:
        """Return a copy without the lease, so that any worker can claim the job at once. Raises LeaseLost."""
        self.check_fence(token)
        if self.status is Status.CANCELLING:
            return _ended(self, Status.CANCELLED, now)
        if self.status is Status.PAUSING:
            return _at_rest(self, Status.PAUSED)
        return _at_rest(self, Status.PENDING)

    def finished(self, token: int, now: datetime) -> Job:
        """Return the job as ended if all items are settled, otherwise as released. Raises LeaseLost."""
        self.check_fence(token)
        progress = self.progress
        if progress.settled_items == progress.total_items:
            all_failed = bool(progress.failed) and progress.failed == progress.total_items
            if all_failed:
                return _ended(self, Status.FAILED, now, f"All {progress.failed:,} items failed.")
            return _ended(self, Status.COMPLETED, now)
        return self.released(token, now)

    def broken(self, token: int, sentence: str, now: datetime) -> Job:
        """Return the job as failed, because it cannot be run. Raises LeaseLost."""
        self.check_fence(token)
        return _ended(self, Status.FAILED, now, sentence)

    def check_fence(self, token: int) -> None:
        """Raise LeaseLost unless the token belongs to the current claim."""
        if token != self.token or self.lease is None:
            raise LeaseLost(f"Job {self.id} has been taken over (token {token}, now {self.token}).")


def _moved(job: Job, status: Status) -> Job:
    if (job.status, status) not in TRANSITIONS:
        raise InvalidJobState(f"Job {job.id} is {job.status} and cannot become {status}.")
    return replace(job, status=status)


def _at_rest(job: Job, status: Status) -> Job:
    """Moved to a status in which no runner holds it."""
    progress = job.progress
    districts = {
        name: replace(district, is_in_progress=False) if district.is_in_progress else district
        for name, district in progress.districts.items()
    }
    limiter = progress.limiter.at_rest(goes_on=status is Status.PENDING)
    return replace(
        _moved(job, status),
        lease=None,
        progress=replace(progress, current_item="", districts=districts, limiter=limiter),
        crash_isolation=CrashIsolation(),
        webhook_events=job.webhook_events.without_hold() if status is Status.PAUSED else job.webhook_events,
    )


def _ended(job: Job, status: Status, now: datetime, error: str = "") -> Job:
    counts = job.progress
    sentence = (
        f"Job {job.id} is {status}: {counts.processed:,} items processed, {counts.skipped_items:,} skipped, "
        f"{counts.failed:,} failed of {counts.total_items:,}. {error}".rstrip()
    )
    event = WebhookEvent(event=WebhookEventType.ENDED, at=now, sentence=sentence, due_at=now)
    ended = _at_rest(job, status)
    return replace(
        ended,
        ended_at=now,
        error=error,
        webhook_events=WebhookEvents(ended=event),
        progress=replace(ended.progress, left=None),
    )
