"""Audited changes: each is stored with its audit entry in one transaction, and logged."""

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
from backfill.storage import Change, Creation, Storage

logger = logging.getLogger(__name__)


class AuditLog:
    """The changes of one operator through one channel. Methods raise the errors of the storage."""

    def __init__(self, storage: Storage, by: Actor, now: Callable[[], datetime], policy: LeasePolicy) -> None:
        self._storage, self._by, self._now, self._policy = storage, by, now, policy

    def start(self, job: Job, plan: Plan) -> Creation:
        """Store a pending job; a stale active job is displaced."""

        def audit(displaced: Job | None) -> list[AuditEntry]:
            action = AuditAction.RETRIED if job.retry_of else AuditAction.STARTED
            entries = [self._entry(action, job.id, job_changes(None, job))]
            if displaced is not None:
                entries.append(self._entry(AuditAction.DISPLACED, displaced.id, {"displacedBy": (None, str(job.id))}))
            return entries

        created = self._storage.jobs.create(
            job, plan, displace=lambda active: active.displaced(job.created_at, self._policy), audit=audit
        )
        _log(*created.audit_entries)
        return created

    def change(self, job_id: UUID, action: AuditAction, change: Callable[[Job], Job]) -> Change[Job]:
        """Change a job; a change without effect is neither stored nor audited."""
        changed = self._storage.jobs.update(
            job_id, change, audit=lambda before, after: self._entry(action, job_id, job_changes(before, after))
        )
        _log(changed.audit_entry)
        return changed

    def change_limits(self, changes: Mapping[str, float]) -> Change[StoredLimits]:
        """Change any subset of the limits of the next job; a change without effect is neither stored nor audited."""

        def change(stored: StoredLimits) -> StoredLimits:
            limits = stored.limits.changed(changes)
            if limits == stored.limits:
                return stored
            return StoredLimits(limits=limits, updated_at=self._now(), updated_by=self._by.operator)

        changed = self._storage.control.update_rate_limits(
            change,
            audit=lambda before, after: self._entry(
                AuditAction.CHANGED_LIMITS, None, limit_changes(before.limits, after.limits)
            ),
        )
        _log(changed.audit_entry)
        return changed

    def _entry(self, action: AuditAction, job_id: UUID | None, changes: Changes) -> AuditEntry:
        return AuditEntry(id=uuid4(), at=self._now(), actor=self._by, action=action, job_id=job_id, changes=changes)


def _log(*entries: AuditEntry | None) -> None:
    """Log stored entries; at DEBUG level for the CLI, which prints the outcome itself."""
    for entry in filter(None, entries):
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
