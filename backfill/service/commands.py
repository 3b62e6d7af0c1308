"""The commands of operators, and the queries of jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Unpack
from uuid import UUID

from backfill.domain import (
    Actor,
    AuditAction,
    AuditEntry,
    CalendarAccess,
    CalendarProgress,
    Changes,
    Job,
    JobFilter,
    JobRequest,
    JobType,
    Note,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Status,
    StoredLimits,
    missing_worker,
    parsed_district,
    parsed_note,
    required_note,
    waiting_for_worker,
)
from backfill.domain.digest import stable_digest
from backfill.domain.runtime_config import DEFAULT_CONFIG, RuntimeConfig
from backfill.errors import JobNotFound
from backfill.job_types.base import JobTypeHandler
from backfill.service import creation
from backfill.service.audit_log import AuditLog
from backfill.service.creation import JobCreator, Started
from backfill.service.monitoring import ServiceStatus, service_status, worker_seen_at
from backfill.service.pagination import ListPage, Pagination, read_audit_log, read_jobs, read_outcomes
from backfill.service.planning import Planner, Preview
from backfill.service.queries import HistoryQueries
from backfill.service.retries import RetryReader
from backfill.service.targets import TargetService
from backfill.storage import Change, Storage

PATIENT = CalendarAccess()
"""Waits until every page of the calendar is stored."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    job: Job
    previous_status: Status


@dataclass(frozen=True)
class BackfillService:
    """The operations of the service. Entry points call them and render what they return; none of them runs a job."""

    storage: Storage
    handlers: Mapping[JobType, JobTypeHandler]
    config: RuntimeConfig = DEFAULT_CONFIG
    wake: Callable[[], None] = lambda: None
    """Wakes the worker of this process, if it has one."""
    wake_keeper: Callable[[], None] = lambda: None
    """Wakes the keeper of this process, if it has one."""

    def now(self) -> datetime:
        return self.config.clock.now()

    @property
    def history(self) -> HistoryQueries:
        """Queries of snapshots, results and coverage."""
        return HistoryQueries(self.storage)

    @property
    def targets(self) -> TargetService:
        """The coverage target."""
        return TargetService(self._planner, self.wake_keeper)

    # Previewing and starting.

    @property
    def _planner(self) -> Planner:
        return Planner(self.storage, self.handlers, self.config)

    @property
    def _creator(self) -> JobCreator:
        return JobCreator(self.storage, self.config)

    def preview(self, request: JobRequest, access: CalendarAccess = PATIENT) -> Preview:
        """Return what a start would do. `access`: whether and how long the dashboard's calendar may be read.

        Raises InvalidRequest (and its subclasses), CalendarIncomplete, CalendarReadDenied, DashboardUnavailable.
        """
        return self._planner.preview(request, access)

    def start(
        self,
        request: JobRequest,
        *,
        by: Actor,
        idempotency_key: str = "",
        note: str = "",
        access: CalendarAccess = PATIENT,
    ) -> Started:
        """Store a pending job and wake the worker.

        The note is not part of the request that an idempotency key stands for: a repetition with another note returns
        the job with its first note. Raises what `preview` raises, and JobConflict, PlanChanged, IdempotencyKeyReused.
        """
        self._planner.validate(request)
        note = parsed_note(note)
        key = creation.idempotency_key(by, idempotency_key, request.fingerprint())
        return self._announced(self._creator.create(lambda: self._planner.confirmed(request, access), key, by, note))

    def retry(
        self,
        job_id: UUID,
        *,
        by: Actor,
        codes: Collection[str] = (),
        districts: Collection[str] = (),
        idempotency_key: str = "",
        note: str = "",
        access: CalendarAccess = PATIENT,
    ) -> Started:
        """Start a job of the failed items of an ended job, or of those with the given codes or districts.

        Raises JobNotFound, InvalidRequest, InvalidJobState, NothingToRetry, JobConflict, CalendarIncomplete,
        DashboardUnavailable, IdempotencyKeyReused.
        """
        note = parsed_note(note)
        job = self.job(job_id)
        districts = {parsed_district(district, "districts") for district in districts}
        retried = {"retryOf": str(job_id), "codes": sorted(codes), "districts": sorted(districts)}
        key = creation.idempotency_key(by, idempotency_key, stable_digest(retried))
        return self._announced(
            self._creator.create(
                lambda: self._planner.retry(job, codes, districts, access), key, by, note, retry_of=job_id
            )
        )

    def _announced(self, started: Started) -> Started:
        if not started.is_new:
            return started
        self.wake()
        return replace(started, job=self._with_worker_status(started.job))

    def read_calendar(self, first: date | None, last: date | None, access: CalendarAccess) -> CalendarProgress:
        """Read the calendar pages of a range that are not stored yet; the default range is that of the coverage.

        The progress counts every month of the range. Raises InvalidDateRange, CalendarIncomplete,
        DashboardUnavailable.
        """
        coverage = self.history.coverage(first, last, self.now().date())
        unknown, months = coverage.unknown_months, len(coverage.months)
        for handler in self.handlers.values():
            handler.read_calendar(unknown, access, known=months - len(unknown))
        return CalendarProgress(needed=months, stored=months)

    # Jobs.

    def job(self, job_id: UUID) -> Job:
        """Return a job; the limiter status of a pending one says whether a worker is running. Raises JobNotFound."""
        job = self.storage.jobs.get(job_id)
        if job is None:
            raise JobNotFound(f"There is no job {job_id}. List the jobs to find the one you mean.")
        return self._with_worker_status(self._retries.with_retries([job])[0])

    @property
    def _retries(self) -> RetryReader:
        return RetryReader(self.storage)

    def left_of_retried_job(self, job: Job) -> int:
        """Return how many failed items remain in the job that `job` retries, without those that it is retrying.

        0 if it is no retry, or the retried job was removed.
        """
        if job.retry_of is None:
            return 0
        if job.status.is_active:
            return self._retries.left_outside(job)
        parent = self.storage.jobs.get(job.retry_of)
        return self._retries.with_retries([parent])[0].still_failed if parent else 0

    def _with_worker_status(self, job: Job) -> Job:
        if job.status is not Status.PENDING:
            return job
        seen_at = self.storage.control.worker_seen_at()
        return job.waiting(waiting_for_worker(seen_at, self.now(), self.config.lease_policy))

    def is_stale(self, job: Job) -> bool:
        """Return whether a new job would displace it."""
        return job.is_stale(self.now(), self.config.lease_policy)

    def active(self) -> Job | None:
        active = self.storage.jobs.active()
        return self._with_worker_status(active) if active else None

    def jobs(self, wanted: JobFilter, **pagination: Unpack[Pagination]) -> ListPage[Job]:
        """Return jobs, newest first. Raises InvalidRequest if the cursor is wrong."""
        page = read_jobs(self.storage.jobs, wanted, **pagination)
        return replace(page, rows=self._retries.with_retries(page.rows))

    def items(
        self, job_id: UUID, wanted: OutcomeFilter, *, newest_first: bool = False, **pagination: Unpack[Pagination]
    ) -> ListPage[Outcome]:
        """Return outcomes in the order in which they were recorded. Raises JobNotFound, InvalidRequest."""
        self.job(job_id)
        return read_outcomes(self.storage.ledger, job_id, wanted, newest_first=newest_first, **pagination)

    def all_items(self, job_id: UUID, wanted: OutcomeFilter) -> Iterator[Outcome]:
        """Return all matching outcomes in the order in which they were recorded. Raises JobNotFound, CorruptRecord."""
        self.job(job_id)
        if wanted.counted_kind is OutcomeKind.FAILED:  # few; the segments without failures are not read
            page = self.storage.ledger.outcomes(job_id, wanted, limit=sys.maxsize, offset=0)
            return iter(page.rows)
        segments = self.storage.ledger.segments(job_id)
        return (outcome for segment in segments for outcome in segment.outcomes if wanted.matches(outcome))

    # Changing an active job.

    def cancel(self, job_id: UUID, *, by: Actor, note: str = "") -> Cancelled:
        """Raises InvalidRequest, JobNotFound, and InvalidJobState if the job has ended."""
        change = self._change(job_id, AuditAction.CANCELLED, lambda job: job.cancel_requested(self.now()), by, note)
        return Cancelled(self._with_worker_status(change.after), change.before.status)

    def pause(self, job_id: UUID, *, by: Actor, note: str = "") -> Job:
        """Raises InvalidRequest, JobNotFound, InvalidJobState."""
        change = self._change(job_id, AuditAction.PAUSED, lambda job: job.pause_requested(self.now()), by, note)
        return self._with_worker_status(change.after)

    def resume(self, job_id: UUID, *, by: Actor) -> Job:
        """Raises JobNotFound, InvalidJobState."""
        change = self._change(job_id, AuditAction.RESUMED, lambda job: job.resume_requested(self.now()), by)
        return self._with_worker_status(change.after)

    def try_now(self, job_id: UUID, *, by: Actor) -> Job:
        """Send the next request of a job now instead of at the end of its wait. Raises JobNotFound, InvalidJobState.

        The runner ends the wait when it reads the job. The hold of the shared schedule ends here too, for the case that
        no runner is alive.
        """
        self.job(job_id)
        audit_log = AuditLog(by, self.now())
        changed = self.storage.jobs.update(job_id, lambda job: job.hold_ended(audit_log.at), audit=audit_log.hold_ended)
        self.storage.control.update_schedule(lambda schedule: schedule.without_hold())
        self.wake()
        return audit_log.record(changed).after

    def lower_limits(self, job_id: UUID, changes: Mapping[str, float], *, by: Actor, note: str = "") -> Job:
        """Lower the limits of an active job. Raises InvalidRequest, JobNotFound, InvalidJobState."""

        def lowered(job: Job) -> Job:
            return job.limits_lowered(job.config.rate_limits.changed(changes))

        return self._with_worker_status(self._change(job_id, AuditAction.LOWERED_LIMITS, lowered, by, note).after)

    def add_note(self, job_id: UUID, note: str, *, by: Actor) -> Job:
        """Add a note to a job, which may have ended. Raises InvalidRequest, JobNotFound, InvalidJobState."""
        noted = self._change(job_id, AuditAction.NOTED, lambda job: job, by, required_note(note))
        return self.job(noted.after.id)

    def _change(
        self, job_id: UUID, action: AuditAction, change: Callable[[Job], Job], by: Actor, note: str = ""
    ) -> Change[Job]:
        text = parsed_note(note)
        self.job(job_id)
        audit_log = AuditLog(by, self.now())
        added = Note(at=audit_log.at, operator=by.operator, text=text) if text else None
        changed = self.storage.jobs.update(
            job_id, lambda job: change(job).noted(added), audit=audit_log.job_changed(action)
        )
        self.wake()
        return audit_log.record(changed)

    # Audit log.

    def audit(self, job_id: UUID | None, **pagination: Unpack[Pagination]) -> ListPage[AuditEntry]:
        """Return entries, newest first, also of a job that was removed.

        Raises JobNotFound for an unknown job, and InvalidRequest if the cursor is wrong.
        """
        found = read_audit_log(self.storage.audit, job_id, **pagination)
        if job_id is not None and not found.total:
            self.job(job_id)
        return found

    def record_account_action(self, action: AuditAction, changes: Changes, *, by: Actor) -> None:
        """Store an audit entry of an action that changes Django's own data, such as a failed sign-in."""
        audit_log = AuditLog(by, self.now())
        entry = audit_log.account_action(action, changes)
        self.storage.audit.add([entry])
        audit_log.record_entry(entry)

    # Rate limits, pruning, monitoring.

    def rate_limits(self) -> StoredLimits:
        return self.storage.control.rate_limits()

    def change_rate_limits(self, changes: Mapping[str, float], *, by: Actor) -> StoredLimits:
        """Change any subset of the limits of the next job. Raises InvalidRequest."""
        audit_log = AuditLog(by, self.now())

        def changed(stored: StoredLimits) -> StoredLimits:
            limits = stored.limits.changed(changes)
            if limits == stored.limits:
                return stored
            return StoredLimits(limits=limits, updated_at=audit_log.at, updated_by=by.operator)

        update = self.storage.control.update_rate_limits(changed, audit=audit_log.limits_changed)
        return audit_log.record(update).after

    def prune(self) -> int:
        """Remove expired jobs and audit entries, and return the number of jobs."""
        self.storage.audit.delete_before(self.now() - self.config.audit_retention)
        return self.storage.jobs.delete_finished(self.now() - self.config.retention)

    def service_status(self) -> ServiceStatus:
        return service_status(self.storage, self.now(), self.config.lease_policy)

    def worker_seen_at(self) -> datetime | None:
        """Return when a worker last reported; None if none ever did."""
        return worker_seen_at(self.storage, self.storage.jobs.active(), self.config.lease_policy)

    def missing_worker(self, seen_at: datetime | None) -> str:
        """Return that no worker is running and how to start one; empty if one reported at `seen_at` and is running."""
        return missing_worker(seen_at, self.now(), self.config.lease_policy)

    def ping(self) -> None:
        """Raise StorageUnavailable if the job store does not respond."""
        self.storage.control.ping()
