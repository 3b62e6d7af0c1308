"""Keeps the coverage target complete: checks it daily, and starts ordinary jobs for what is missing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from backfill.domain import (
    KEEPER,
    Actor,
    AuditAction,
    AuditEntry,
    CalendarAccess,
    Changes,
    Channel,
    CoverageTarget,
    DailySchedule,
    FailedAttempts,
    Findings,
    Job,
    JobFilter,
    JobRequest,
    JobType,
    KeeperState,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    SkipReason,
    Status,
)
from backfill.domain.reconciliation import Reconciliation
from backfill.errors import (
    CalendarIncomplete,
    CorruptRecord,
    DashboardError,
    JobConflict,
    JobNotFound,
    LeaseLost,
    PlanChanged,
    Stopped,
    StorageUnavailable,
)
from backfill.service.audit_log import AuditLog
from backfill.service.commands import BackfillService
from backfill.service.reconciler import Reconciler

logger = logging.getLogger(__name__)

_ACTOR = Actor(KEEPER, Channel.SCHEDULE)

_RETRY_AFTER = timedelta(minutes=10)
"""A check that failed because of the dashboard is repeated after this time."""

_CALENDAR_WAIT = 20.0
"""Seconds of reading the calendar after which the lease is renewed."""

_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Accounts:
    """What ended automatic jobs add to the state."""

    attempts: FailedAttempts
    month: str
    requests: int
    until: datetime | None
    last: Job | None
    """The newest of them."""


@dataclass(frozen=True, slots=True)
class _Check:
    """A check that a keeper has claimed."""

    target: CoverageTarget
    state: KeeperState
    """With the lease."""
    at: datetime
    is_full: bool
    """Daily, after a change or on request; otherwise it follows the end of an automatic job."""

    @property
    def token(self) -> int:
        return self.state.token


class Keeper:
    """Looks whether a check is due and makes it. Keepers of any number of processes share the work by a lease."""

    def __init__(self, service: BackfillService, owner: str) -> None:
        """`owner` identifies this process."""
        self._service, self._owner = service, owner
        self._storage, self._config = service.storage, service.config
        self._is_stopped = False

    def stop(self) -> None:
        """End a check that waits for the dashboard's calendar."""
        self._is_stopped = True

    def look(self) -> bool:
        """Make the check that is due, if any; return whether one was made.

        It waits while a job is active and outside the allowed hours. A check that fails with an unexpected error is
        repeated after ten minutes. Raises StorageUnavailable.
        """
        target = self._storage.targets.target()
        if not target.settings.enabled:
            return False
        state, now = self._state(), self._config.clock.now()
        is_full = self._is_due(target, state, now)
        if not (is_full or state.has_open_job) or state.is_held(now) or self._must_wait(state, now):
            return False
        active = self._storage.jobs.active()
        if active is not None:
            self._note_postponed(target, state, active, now)
            return False
        try:
            claimed = self._storage.targets.update_keeper(lambda stored: stored.claimed(self._owner, now)).after
        except LeaseLost:
            return False
        if (claimed.checked_at, claimed.has_open_job) != (state.checked_at, state.has_open_job):
            self._release(claimed.token)  # another keeper has made the check meanwhile
            return False
        return self._checked(_Check(target, claimed, now, is_full))

    def _state(self) -> KeeperState:
        try:
            return self._storage.targets.keeper()
        except CorruptRecord as exc:
            logger.warning("%s The next check replaces it.", exc.message)
            return self._storage.targets.update_keeper(lambda state: replace(state, token=state.token + 1)).after

    def _is_due(self, target: CoverageTarget, state: KeeperState, now: datetime) -> bool:
        """Whether a whole check is due: daily, after a change of the target, and on request."""
        if state.findings is None or state.checked_version != target.version or state.requested_at is not None:
            return True
        schedule = DailySchedule(target.settings.daily_at, self._config.time_zone)
        return schedule.is_due(state.checked_at, now)

    def _must_wait(self, state: KeeperState, now: datetime) -> bool:
        hours = self._config.allowed_hours
        if hours is not None and not hours.is_open(now):
            return True
        return state.retry_at is not None and now < state.retry_at <= now + _RETRY_AFTER

    def _note_postponed(self, target: CoverageTarget, state: KeeperState, active: Job, now: datetime) -> None:
        """Store an audit entry for a daily check that waits for a job, so that each day has one."""
        due = DailySchedule(target.settings.daily_at, self._config.time_zone).latest(now)
        if state.was_seen_since(due):
            return
        audit_log = AuditLog(_ACTOR, now)

        def entry(before: KeeperState, after: KeeperState) -> AuditEntry:  # noqa: ARG001 - the port's signature
            return audit_log.target_action(AuditAction.POSTPONED_CHECK, {"waitsFor": (None, str(active.id))})

        update = self._storage.targets.update_keeper(
            lambda stored: stored if stored.was_seen_since(due) else replace(stored, postponed_at=now), audit=entry
        )
        audit_log.record(update)

    def _checked(self, check: _Check) -> bool:
        try:
            accounts = self._accounts(check.state)
            found = self._reconciled(check, accounts.attempts)
            job, found = self._started(check, found, accounts)
            self._store(check, found, accounts, job)
        except (DashboardError, JobConflict, PlanChanged) as exc:
            logger.warning("The check of the coverage target is repeated later: %s", exc.message)
            self._release(check.token, retry_at=self._config.clock.now() + _RETRY_AFTER)
            return False
        except (LeaseLost, Stopped) as exc:
            logger.info("The check of the coverage target was ended: %s", exc.message)
            self._release(check.token)
            return False
        except StorageUnavailable:
            raise  # the lease expires
        except Exception:
            self._release(check.token, retry_at=self._config.clock.now() + _RETRY_AFTER)
            raise
        return True

    def _release(self, token: int, *, retry_at: datetime | None = None) -> None:
        def released(state: KeeperState) -> KeeperState:
            is_mine = state.token == token and state.lease_until is not None
            return replace(state.released(token), retry_at=retry_at) if is_mine else state

        self._storage.targets.update_keeper(released)

    # The parts of a check.

    def _accounts(self, state: KeeperState) -> _Accounts:
        """Add the failures and requests of automatic jobs that ended since the last check."""
        attempts, month, requests = state.attempts, state.month, state.month_requests
        until, last = state.accounted_until, None
        for job in self._ended_jobs(state.accounted_until):
            outcomes = self._unsuccessful(job)
            ended = job.ended_at or job.progressed_at
            day = ended.astimezone(self._config.time_zone).date()
            attempts = attempts.added(job.job_type, ((o.item, o.reason) for o in outcomes), day)
            this_month = f"{ended:%Y-%m}"
            requests = (requests if this_month == month else 0) + job.progress.limiter.requests_made
            month, until, last = this_month, job.created_at, job
        return _Accounts(attempts, month, requests, until, last)

    def _unsuccessful(self, job: Job) -> list[Outcome]:
        """Return the outcomes of items that failed, or for which the dashboard had no figures."""
        try:
            found = [*self._service.all_items(job.id, OutcomeFilter(kind=OutcomeKind.FAILED))]
            if job.progress.skipped.get(SkipReason.NOT_PUBLISHED):
                skipped = self._service.all_items(job.id, OutcomeFilter(kind=OutcomeKind.SKIPPED))
                found += [outcome for outcome in skipped if outcome.reason == SkipReason.NOT_PUBLISHED]
        except (CorruptRecord, JobNotFound) as exc:
            logger.warning("%s Its failed items are tried again at the next check.", exc.message)
            return []
        return found

    def _ended_jobs(self, since: datetime | None) -> list[Job]:
        """Return the automatic jobs created after `since` that have ended, oldest first."""
        found: list[Job] = []
        wanted = JobFilter(created_by=KEEPER, created_from=since)
        while True:
            page = self._storage.jobs.page(wanted, limit=_PAGE, offset=len(found))
            found += page.rows
            if len(found) >= page.total or not page.rows:
                break
        return [job for job in reversed(found) if not job.status.is_active and job.created_at != since]

    def _reconciled(self, check: _Check, attempts: FailedAttempts) -> Reconciliation:
        """Compare the target with the store; renew the lease while the dashboard's calendar is read."""
        reconciler = Reconciler(self._storage, self._service.handlers, self._config)
        access = CalendarAccess(max_wait=_CALENDAR_WAIT, is_abandoned=lambda: self._is_stopped)
        while True:
            if self._is_stopped:
                raise Stopped("The process is stopping.")
            try:
                return reconciler.reconcile(check.target.settings, attempts, access)
            except CalendarIncomplete:
                self._renew(check.token, self._config.clock.now())

    def _renew(self, token: int, now: datetime) -> None:
        self._storage.targets.update_keeper(lambda state: state.renewed(token, now))

    def _started(self, check: _Check, found: Reconciliation, accounts: _Accounts) -> tuple[Job | None, Reconciliation]:
        """Start a job for what is missing, bound to its plan; return it, if any.

        After the end of a collection only results are computed, and after that of another job nothing: an item that
        remains missing is tried again at the next whole check.
        """
        budget = check.target.settings.monthly_requests
        if budget is not None:
            this_month = f"{self._config.clock.now():%Y-%m}"
            budget = max(budget - (accounts.requests if accounts.month == this_month else 0), 0)
        items = found.items_within(budget)
        if len(items) < found.items:
            found = replace(found, findings=replace(found.findings, is_over_budget=True))
        request = None
        if check.is_full and items:
            request = JobRequest.for_items(JobType.DATA_COLLECTION, items)
        elif (check.is_full or _may_compute(accounts.last)) and (results := found.results_to_compute()):
            request = JobRequest.for_items(JobType.ANALYTICS_GENERATION, results)
        if request is None:
            return None, found
        plan = self._service.preview(request)
        if not plan.plan.total_items:
            return None, found
        return self._service.start(replace(request, plan_id=plan.plan_id), by=_ACTOR).job, found

    def _store(self, check: _Check, found: Reconciliation, accounts: _Accounts, job: Job | None) -> None:
        """Store the result of the check and release the lease. A whole check has an audit entry."""
        findings = found.findings
        audit_log = AuditLog(_ACTOR, check.at)

        def changed(state: KeeperState) -> KeeperState:
            released = state.released(check.token)
            is_answered = check.is_full and state.requested_at is not None and state.requested_at <= check.at
            return replace(
                released,
                requested_at=None if is_answered else state.requested_at,
                requested_by="" if is_answered else state.requested_by,
                checked_at=check.at if check.is_full else state.checked_at,
                checked_version=check.target.version,
                findings=findings,
                incomplete_since=None if findings.is_complete else state.incomplete_since or check.at,
                job_id=job.id if job else state.job_id,
                has_open_job=job is not None,
                retry_at=None,
                accounted_until=accounts.until,
                attempts=found.attempts,
                month=accounts.month,
                month_requests=accounts.requests,
            )

        def entry(before: KeeperState, after: KeeperState) -> AuditEntry:  # noqa: ARG001 - the port's signature
            return audit_log.target_action(AuditAction.CHECKED, _changes(findings, job))

        update = self._storage.targets.update_keeper(changed, audit=entry if check.is_full else None)
        audit_log.record(update)


def _may_compute(last: Job | None) -> bool:
    """Whether the end of a job leads to the computation of results: of a collection that was not cancelled."""
    return last is not None and last.job_type.description.calls_dashboard and last.status is not Status.CANCELLED


def _changes(findings: Findings, job: Job | None) -> Changes:
    return {
        "missing": (None, dict(findings.missing)),
        "completeUntil": (None, findings.complete_until.isoformat() if findings.complete_until else None),
        "jobId": (None, str(job.id) if job else None),
    }
