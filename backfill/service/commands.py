"""The operator's verbs. Every door calls these and renders what they return; none of them runs a job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from backfill.domain import (
    IDEMPOTENCY_WINDOW,
    STANDARD_LEASES,
    Actor,
    AllowedHours,
    AuditAction,
    AuditEntry,
    IdempotencyKey,
    Job,
    JobFilter,
    JobRequest,
    JobType,
    LeasePolicy,
    Outcome,
    OutcomeFilter,
    Progress,
    RateLimits,
    Status,
    StoredLimits,
    job_conflict,
    parsed_district,
    waiting_for_worker,
)
from backfill.domain.clock import Clock, utc_now
from backfill.engine.worker import Worker, WorkerExtension, wake_here
from backfill.errors import (
    IdempotencyKeyReused,
    JobConflict,
    JobNotFound,
    PlanChanged,
)
from backfill.job_types.base import JobTypeHandler
from backfill.service.audit_log import AuditLog
from backfill.service.monitoring import ServiceStatus, service_status, worker_seen_at
from backfill.service.planning import Planner, Preview
from backfill.service.queries import HistoryQueries
from backfill.storage import Change, Page, Storage


@dataclass(frozen=True, slots=True)
class Started:
    """A job, and whether this very call created it (False: an earlier one with the same Idempotency-Key did)."""

    job: Job
    is_new: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    job: Job
    previous_status: Status


@dataclass(frozen=True)
class BackfillService:
    storage: Storage
    handlers: Mapping[JobType, JobTypeHandler]
    retention: timedelta
    audit_retention: timedelta = timedelta(days=365)
    hours: AllowedHours | None = None
    """Outside which no job asks the dashboard; None is any."""
    lease_policy: LeasePolicy = STANDARD_LEASES
    now: Callable[[], datetime] = utc_now
    wake: Callable[[], None] = field(default=wake_here)

    @property
    def history(self) -> HistoryQueries:
        """What was collected and computed."""
        return HistoryQueries(self.storage)

    # Planning and starting.

    @property
    def _planner(self) -> Planner:
        return Planner(self.storage, self.handlers, self.hours, self.now)

    def preview(self, request: JobRequest) -> Preview:
        """What a start would do. Raises InvalidRequest (and its kinds), DashboardUnavailable."""
        return self._planner.preview(request)

    def start(self, request: JobRequest, *, by: Actor, idempotency_key: str = "") -> Started:
        """Store a pending job, and tell the worker.

        Raises what `preview` does, and JobConflict, PlanChanged, IdempotencyKeyReused.
        """
        planner = self._planner
        planner.work(request.job_type)  # what is wrong is said before what is busy
        request.config(RateLimits(), self.now().date())
        identity = self._identity(by, idempotency_key, request.fingerprint())
        return self._created(identity, lambda: planner.confirmed(request), by=by)

    def retry(
        self,
        job_id: UUID,
        *,
        by: Actor,
        codes: Collection[str] = (),
        districts: Collection[str] = (),
        idempotency_key: str = "",
    ) -> Started:
        """A new job of exactly the failed items of an ended one, or of those with the given codes or districts.

        Raises JobNotFound, InvalidJobState, NothingToRetry, JobConflict, DashboardUnavailable.
        """
        job = self.job(job_id)
        districts = {parsed_district(district, "districts") for district in districts}
        fingerprint = JobRequest(job_type=job.job_type, target_districts=tuple(sorted(districts))).fingerprint(
            str(job_id), *sorted(codes)
        )
        identity = self._identity(by, idempotency_key, fingerprint)
        return self._created(identity, lambda: self._planner.retry(job, codes, districts), by=by, retry_of=job_id)

    def _identity(self, by: Actor, key: str, fingerprint: str) -> IdempotencyKey | None:
        if not key:
            return None
        # A key is its operator's own.
        scoped = JobRequest(job_type=JobType.DATA_COLLECTION).fingerprint(by.operator, key)
        return IdempotencyKey(key=scoped, fingerprint=fingerprint)

    def _created(
        self,
        identity: IdempotencyKey | None,
        plan: Callable[[], Preview],
        *,
        by: Actor,
        retry_of: UUID | None = None,
    ) -> Started:
        try:
            return self._find_idempotent(identity) or self._plan_and_create(identity, plan, by=by, retry_of=retry_of)
        except (JobConflict, PlanChanged):  # an equal request may have been quicker
            if (existing := self._find_idempotent(identity)) is not None:
                return existing
            raise

    def _plan_and_create(
        self,
        identity: IdempotencyKey | None,
        plan: Callable[[], Preview],
        *,
        by: Actor,
        retry_of: UUID | None,
    ) -> Started:
        self._refuse_if_busy()  # before the dashboard is asked for anything
        preview = plan()
        if (existing := self._find_idempotent(identity)) is not None:  # planning can take minutes
            return existing
        now = self.now()
        job = Job(
            id=uuid4(),
            job_type=preview.job_type,
            config=preview.config,
            created_at=now,
            created_by=by.operator,
            progressed_at=now,
            retry_of=retry_of,
            idempotency=identity,
            progress=Progress(total_items=preview.plan.total_items, expected_skips=preview.plan.skipped_items),
        )
        created = self._audit_log(by).start(job, preview.plan).job
        self.wake()
        return Started(self._with_worker_status(created), is_new=True)

    def _find_idempotent(self, identity: IdempotencyKey | None) -> Started | None:
        """What an earlier request with that key has started."""
        if identity is None:
            return None
        job = self.storage.jobs.by_idempotency_key(identity.key, self.now() - IDEMPOTENCY_WINDOW)
        if job is None:
            return None
        if job.idempotency != identity:
            raise IdempotencyKeyReused(
                f"This Idempotency-Key was used for another request, which created job {job.id}. Use a new key."
            )
        return Started(job, is_new=False)

    def _refuse_if_busy(self) -> None:
        active = self.storage.jobs.active()
        if active is not None and not self.is_stale(active):
            raise job_conflict(active)

    # Watching.

    def job(self, job_id: UUID) -> Job:
        """A pending one says as its limiter's reason whether a worker is there."""
        job = self.storage.jobs.get(job_id)
        if job is None:
            raise JobNotFound(f"There is no job {job_id}. List the jobs to find the one you mean.")
        return self._with_worker_status(job)

    def _with_worker_status(self, job: Job) -> Job:
        if job.status is not Status.PENDING:
            return job
        seen_at = self.storage.control.worker_seen_at()
        return job.waiting(waiting_for_worker(seen_at, self.now(), self.lease_policy))

    def is_stale(self, job: Job) -> bool:
        """Whether a new job would displace it."""
        return job.is_stale(self.now(), self.lease_policy)

    def active(self) -> Job | None:
        active = self.storage.jobs.active()
        return self._with_worker_status(active) if active else None

    def jobs(self, wanted: JobFilter, *, limit: int, offset: int) -> Page[Job]:
        return self.storage.jobs.page(wanted, limit=limit, offset=offset)

    def items(self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int) -> Page[Outcome]:
        self.job(job_id)
        return self.storage.ledger.outcomes(job_id, wanted, limit=limit, offset=offset)

    # Steering.

    def cancel(self, job_id: UUID, *, by: Actor) -> Cancelled:
        """Raises JobNotFound, InvalidJobState once ended."""
        changed = self._changed(job_id, lambda job: job.cancel_requested(self.now()), AuditAction.CANCELLED, by)
        return Cancelled(changed.after, changed.before.status)

    def pause(self, job_id: UUID, *, by: Actor) -> Job:
        return self._changed(job_id, lambda job: job.pause_requested(self.now()), AuditAction.PAUSED, by).after

    def resume(self, job_id: UUID, *, by: Actor) -> Job:
        return self._changed(job_id, lambda job: job.resume_requested(self.now()), AuditAction.RESUMED, by).after

    def lower_limits(self, job_id: UUID, changes: Mapping[str, float], *, by: Actor) -> Job:
        """Lower the limits of an active job. Raises InvalidRequest, JobNotFound, InvalidJobState."""

        def change(job: Job) -> Job:
            return job.limits_lowered(job.config.rate_limits.changed(changes))

        return self._changed(job_id, change, AuditAction.LOWERED_LIMITS, by).after

    def _changed(self, job_id: UUID, change: Callable[[Job], Job], action: AuditAction, by: Actor) -> Change[Job]:
        self.job(job_id)
        changed = self._audit_log(by).change(job_id, action, change)
        self.wake()
        return replace(changed, after=self._with_worker_status(changed.after))

    def _audit_log(self, by: Actor) -> AuditLog:
        return AuditLog(self.storage, by, self.now, self.lease_policy)

    # The audit trail.

    def audit(self, job_id: UUID | None, *, limit: int, offset: int) -> Page[AuditEntry]:
        """Who did what, newest first; of one job also after it was removed. JobNotFound where there never was one."""
        found = self.storage.audit.page(job_id, limit=limit, offset=offset)
        if job_id is not None and not found.total:
            self.job(job_id)
        return found

    # Limits, housekeeping.

    def rate_limits(self) -> StoredLimits:
        return self.storage.control.rate_limits()

    def change_rate_limits(self, changes: Mapping[str, float], *, by: Actor) -> StoredLimits:
        """Any subset of the limits, for the next job. Raises InvalidRequest."""
        return self._audit_log(by).change_limits(changes).after

    def prune(self) -> int:
        """Remove jobs that ended longer ago than the retention, and how many; and old entries of the audit trail."""
        self.storage.audit.delete_before(self.now() - self.audit_retention)
        return self.storage.jobs.delete_finished(self.now() - self.retention)

    def service_status(self) -> ServiceStatus:
        """For those who watch over the service."""
        return service_status(self.storage, self.now(), self.lease_policy)

    def worker_seen_at(self) -> datetime | None:
        """When a worker last gave a sign of life; None where none ever did."""
        return worker_seen_at(self.storage, self.storage.jobs.active(), self.lease_policy)

    def ping(self) -> None:
        """Raise StorageUnavailable where the job store does not answer."""
        self.storage.control.ping()

    @property
    def worker_clock(self) -> Clock:
        """What its worker waits with, by the time of day that the service goes by."""
        return Clock(now=self.now)

    def new_worker(self, *, extension: WorkerExtension | None = None) -> Worker:
        return Worker(
            self.storage,
            self.handlers,
            prune=self.prune,
            hours=self.hours,
            lease_policy=self.lease_policy,
            clock=self.worker_clock,
            extension=extension,
        )
