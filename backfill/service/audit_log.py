"""The audit log: entries are stored in the transaction of the change, then written to the process log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID, uuid4

from backfill.domain import (
    Actor,
    AuditAction,
    AuditEntry,
    Changes,
    Channel,
    CoverageTarget,
    Job,
    StoredLimits,
    hold_changes,
    job_changes,
    limit_changes,
    target_changes,
)
from backfill.storage import Change, Creation

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Builds the entries of one operation of one operator, and logs them once they are stored."""

    actor: Actor
    at: datetime

    def job_created(self, job: Job) -> Callable[[Job | None], Sequence[AuditEntry]]:
        """Return what builds the entries of a new job, given the job that it displaces."""

        def entries(displaced: Job | None) -> Sequence[AuditEntry]:
            action = AuditAction.RETRIED if job.retry_of else AuditAction.STARTED
            created = [self._entry(action, job.id, job_changes(None, job))]
            if displaced is None:
                return created
            return [*created, self._entry(AuditAction.DISPLACED, displaced.id, {"displacedBy": (None, str(job.id))})]

        return entries

    def job_changed(self, action: AuditAction) -> Callable[[Job, Job], AuditEntry]:
        """Return what builds the entry of a changed job, given the job before and after."""
        return lambda before, after: self._entry(action, after.id, job_changes(before, after))

    def hold_ended(self, before: Job, after: Job) -> AuditEntry:
        return self._entry(AuditAction.TRIED_NOW, after.id, hold_changes(before))

    def limits_changed(self, before: StoredLimits, after: StoredLimits) -> AuditEntry:
        return self._entry(AuditAction.CHANGED_LIMITS, None, limit_changes(before.limits, after.limits))

    def target_changed(self, before: CoverageTarget, after: CoverageTarget) -> AuditEntry:
        return self._entry(AuditAction.CHANGED_TARGET, None, target_changes(before, after))

    def target_action(self, action: AuditAction, changes: Changes) -> AuditEntry:
        """Return the entry of a requested or completed check."""
        return self._entry(action, None, changes)

    def imported(self, changes: Changes) -> AuditEntry:
        return self._entry(AuditAction.IMPORTED, None, changes)

    def account_action(self, action: AuditAction, changes: Changes) -> AuditEntry:
        return self._entry(action, None, changes)

    def _entry(self, action: AuditAction, job_id: UUID | None, changes: Changes) -> AuditEntry:
        return AuditEntry(id=uuid4(), at=self.at, actor=self.actor, action=action, job_id=job_id, changes=changes)

    def record(self, change: Change[T]) -> Change[T]:
        """Log the entry of a stored change, if it has one, and return the change."""
        if change.audit_entry is not None:
            _log(change.audit_entry)
        return change

    def record_creation(self, creation: Creation) -> Job:
        """Log the entries of a stored job and return the job."""
        for entry in creation.audit_entries:
            _log(entry)
        return creation.job

    def record_entry(self, entry: AuditEntry) -> None:
        """Log an entry that was stored without a change."""
        _log(entry)


def _log(entry: AuditEntry) -> None:
    """Log at DEBUG for the command line, which prints the result itself."""
    actor = entry.actor
    logger.log(
        logging.DEBUG if actor.channel is Channel.CLI else logging.INFO,
        "%s: %s by %s (%s).",
        _subject(entry),
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


def _subject(entry: AuditEntry) -> str:
    if entry.job_id:
        return f"Job {entry.job_id}"
    if entry.action is AuditAction.IMPORTED:
        return "Files"
    if entry.action.is_of_target:
        return "The coverage target"
    return "Account" if entry.action.is_of_account else "The limits of the next job"
