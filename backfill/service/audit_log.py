"""What operators do: each change with its entry in the audit trail, in one transaction, and its line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID, uuid4

from backfill.domain import (
    Actor,
    AuditAction,
    AuditEntry,
    Changes,
    Channel,
    Job,
    LeasePolicy,
    Plan,
    StoredLimits,
    job_changes,
    limit_changes,
)
from backfill.storage import JobStorage

logger = logging.getLogger(__name__)


class AuditLog:
    """Those of one operator, through one door. Raises what the storage does."""

    def __init__(self, jobs: JobStorage, by: Actor, now: Callable[[], datetime], policy: LeasePolicy) -> None:
        self._jobs, self._by, self._now, self._policy = jobs, by, now, policy

    def start(self, job: Job, plan: Plan) -> Job:
        """Store a pending job; a stale one gives way to it."""
        entries: list[AuditEntry] = []

        def audit(displaced: Job | None) -> list[AuditEntry]:
            action = AuditAction.RETRIED if job.retry_of else AuditAction.STARTED
            entries[:] = [self._entry(action, job.id, job_changes(None, job))]
            if displaced is not None:
                entries.append(self._entry(AuditAction.DISPLACED, displaced.id, {"displacedBy": (None, str(job.id))}))
            return entries

        created = self._jobs.create(
            job, plan, displace=lambda active: active.displaced(job.created_at, self._policy), audit=audit
        )
        _log(*entries)
        return created

    def change(self, job_id: UUID, action: AuditAction, change: Callable[[Job], Job]) -> Job:
        """Change a job; what changes nothing leaves no trace."""
        entries: list[AuditEntry] = []

        def changed(job: Job) -> Job:
            after = change(job)
            return job if after == job else after

        def audit(before: Job, after: Job) -> AuditEntry:
            entries[:] = [self._entry(action, job_id, job_changes(before, after))]
            return entries[0]

        job = self._jobs.update(job_id, changed, audit=audit)
        _log(*entries)
        return job

    def change_limits(self, changes: Mapping[str, float]) -> StoredLimits:
        """Change any subset of the limits of the next job; what changes nothing leaves no trace."""
        entries: list[AuditEntry] = []

        def changed(stored: StoredLimits) -> StoredLimits:
            limits = stored.limits.changed(changes)
            if limits == stored.limits:
                return stored
            return StoredLimits(limits=limits, updated_at=self._now(), updated_by=self._by.operator)

        def audit(before: StoredLimits, after: StoredLimits) -> AuditEntry:
            entries[:] = [self._entry(AuditAction.CHANGED_LIMITS, None, limit_changes(before.limits, after.limits))]
            return entries[0]

        stored = self._jobs.save_rate_limits(changed, audit=audit)
        _log(*entries)
        return stored

    def _entry(self, action: AuditAction, job_id: UUID | None, changes: Changes) -> AuditEntry:
        return AuditEntry(id=uuid4(), at=self._now(), actor=self._by, action=action, job_id=job_id, changes=changes)


def _log(*entries: AuditEntry) -> None:
    """Once they are written. Who sits at a terminal is told what came of it by the command itself."""
    for entry in entries:
        actor = entry.actor
        logger.log(
            logging.DEBUG if actor.channel is Channel.CLI else logging.INFO,
            "%s: %s by %s (%s).",
            f"Job {entry.job_id}" if entry.job_id else "The limits of the next job",
            entry.action,
            actor.operator,
            actor.channel,
            extra={
                "job": str(entry.job_id) if entry.job_id else None,
                "action": str(entry.action),
                "operator": actor.operator,
                "channel": str(actor.channel),
                "changes": dict(entry.changes),
            },
        )
