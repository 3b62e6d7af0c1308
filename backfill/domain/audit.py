"""Audit entries: who did what, through which channel, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backfill.domain.coverage_target import CoverageRule, CoverageTarget
from backfill.domain.job import Job
from backfill.domain.rate_limits import RateLimits, camel

Changes = Mapping[str, tuple[object, object]]
"""Field name as in the API, to the old and the new value; None for a value that did not exist."""


class Channel(StrEnum):
    API = "api"
    ADMIN = "admin"
    CLI = "cli"
    SCHEDULE = "schedule"  # the keeper


@dataclass(frozen=True, slots=True)
class Actor:
    """The operator and the channel of a change."""

    operator: str
    channel: Channel


class AuditAction(StrEnum):
    STARTED = "started"
    RETRIED = "retried"
    DISPLACED = "displaced"  # a stale job, by starting a new one
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RESUMED = "resumed"
    LOWERED_LIMITS = "lowered-limits"  # of an active job
    CHANGED_LIMITS = "changed-limits"  # of the next job
    NOTED = "noted"
    TRIED_NOW = "tried-now"  # ended a wait
    IMPORTED = "imported"  # files that were saved elsewhere
    CHANGED_TARGET = "changed-target"
    REQUESTED_CHECK = "requested-check"
    POSTPONED_CHECK = "postponed-check"  # by a job that is active
    CHECKED = "checked"  # the coverage target, by the keeper
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_LOCKED = "sign-in-locked"  # after repeated failures
    TOKEN_CREATED = "token-created"  # noqa: S105 - the name of an action
    TOKEN_REVOKED = "token-revoked"  # noqa: S105

    @property
    def is_of_target(self) -> bool:
        """Whether the action concerns the coverage target."""
        return self in {
            AuditAction.CHANGED_TARGET,
            AuditAction.REQUESTED_CHECK,
            AuditAction.POSTPONED_CHECK,
            AuditAction.CHECKED,
        }

    @property
    def is_of_account(self) -> bool:
        """Whether the action concerns a user, and neither a job, the limits nor the coverage target."""
        return self in {
            AuditAction.SIGN_IN_FAILED,
            AuditAction.SIGN_IN_LOCKED,
            AuditAction.TOKEN_CREATED,
            AuditAction.TOKEN_REVOKED,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Written in the transaction of its change, so that neither exists without the other."""

    id: UUID
    at: datetime
    actor: Actor
    action: AuditAction
    job_id: UUID | None
    """None for the limits of the next job, the coverage target, imports and actions of accounts."""
    changes: Changes


def job_changes(before: Job | None, after: Job) -> Changes:
    """Return the changes of the fields that operators control; for a new job, all of them. `note` is a new note."""
    changes = _differences(_audited_values(before) if before else {}, _audited_values(after))
    is_noted = len(after.notes) > (len(before.notes) if before else 0)
    return {**changes, "note": (None, after.note)} if is_noted else changes


def hold_changes(before: Job) -> Changes:
    """The end of the wait that an operator ended."""
    until = before.progress.limiter.waiting_until
    return {"waitingUntil": (until.isoformat().replace("+00:00", "Z") if until else None, None)}


def limit_changes(before: RateLimits, after: RateLimits) -> Changes:
    return _differences(_limits(before), _limits(after))


def target_changes(before: CoverageTarget, after: CoverageTarget) -> Changes:
    changes = _differences(_audited_target(before), _audited_target(after))
    return {name: pair for name, pair in changes.items() if name != "note" or pair[1]}


def _audited_target(target: CoverageTarget) -> dict[str, object]:
    settings = target.settings
    return {
        "enabled": settings.enabled,
        "dailyAt": f"{settings.daily_at:%H:%M}",
        "rules": [_audited_rule(rule) for rule in settings.rules],
        "monthlyRequests": settings.monthly_requests,
        "note": settings.note,
    }


def _audited_rule(rule: CoverageRule) -> dict[str, object]:
    return {
        "from": rule.start_text,
        "cadence": str(rule.cadence),
        "districts": list(rule.districts),
        "analytics": rule.analytics,
    }


def _audited_values(job: Job) -> dict[str, object]:
    config = job.config
    return {
        "status": str(job.status),
        "jobType": str(job.job_type),
        "startDate": config.start_date.isoformat() if config.start_date else None,
        "endDate": config.end_date.isoformat() if config.end_date else None,
        "targetDistricts": list(config.target_districts),
        "cadence": str(config.cadence),
        "skipExisting": config.skip_existing,
        "retryOf": str(job.retry_of) if job.retry_of else None,
        **_limits(config.rate_limits),
    }


def _limits(limits: RateLimits) -> dict[str, object]:
    return {camel(name): value for name, value in limits.to_dict().items()}


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> Changes:
    pairs = {name: (before.get(name), value) for name, value in after.items()}
    return {name: (was, becomes) for name, (was, becomes) in pairs.items() if was != becomes}
