"""The stored JSON of the coverage target and of the keeper's state, for all adapters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from backfill.domain import (
    Cadence,
    CoverageRule,
    CoverageTarget,
    FailedAttempt,
    FailedAttempts,
    Findings,
    JobType,
    KeeperState,
    TargetEvents,
    TargetSettings,
    WorkItem,
)
from backfill.domain.failed_attempts import AttemptKey
from backfill.errors import CorruptRecord
from backfill.storage.serialization.job_json import event_from_json, event_to_json
from backfill.storage.serialization.packing import pack_json, storable, unpack_json

_READ_ERRORS = (AttributeError, KeyError, TypeError, ValueError)


def target_to_json(target: CoverageTarget) -> dict[str, Any]:
    settings = target.settings
    return {
        "enabled": settings.enabled,
        "dailyAt": settings.daily_at.isoformat(),
        "note": storable(settings.note),
        "monthlyRequests": settings.monthly_requests,
        "rules": [
            {
                "start": rule.start.isoformat() if rule.start else None,
                "cadence": str(rule.cadence),
                "districts": list(rule.districts),
                "analytics": rule.analytics,
            }
            for rule in settings.rules
        ],
        "version": target.version,
        "updatedAt": _text(target.updated_at),
        "updatedBy": storable(target.updated_by),
    }


def target_from_json(value: Mapping[str, Any] | None) -> CoverageTarget:
    """Return the default for a target that was never stored. Raises CorruptRecord."""
    if not value:
        return CoverageTarget()
    try:
        return CoverageTarget(
            settings=TargetSettings(
                enabled=value["enabled"],
                daily_at=time.fromisoformat(value["dailyAt"]),
                note=value["note"],
                monthly_requests=value["monthlyRequests"],
                rules=tuple(
                    CoverageRule(
                        start=_day(rule["start"]),
                        cadence=Cadence(rule["cadence"]),
                        districts=tuple(rule["districts"]),
                        analytics=rule["analytics"],
                    )
                    for rule in value["rules"]
                ),
            ),
            version=value["version"],
            updated_at=_instant(value["updatedAt"]),
            updated_by=value["updatedBy"],
        )
    except _READ_ERRORS as exc:
        raise CorruptRecord(f"The stored coverage target cannot be read: {exc!r}. Set it again.") from exc


def keeper_to_json(state: KeeperState) -> dict[str, Any]:
    """Everything except the attempts, which `pack_attempts` packs."""
    findings = state.findings
    return {
        "token": state.token,
        "owner": state.owner,
        "leaseUntil": _text(state.lease_until),
        "requestedAt": _text(state.requested_at),
        "requestedBy": storable(state.requested_by),
        "checkedAt": _text(state.checked_at),
        "postponedAt": _text(state.postponed_at),
        "checkedVersion": state.checked_version,
        "findings": None
        if findings is None
        else {
            "missing": dict(findings.missing),
            "completeUntil": _text(findings.complete_until),
            "failedSince": _text(findings.failed_since),
            "nextAttempt": _text(findings.next_attempt),
            "isOverBudget": findings.is_over_budget,
        },
        "incompleteSince": _text(state.incomplete_since),
        "jobId": str(state.job_id) if state.job_id else None,
        "hasOpenJob": state.has_open_job,
        "retryAt": _text(state.retry_at),
        "accountedUntil": _text(state.accounted_until),
        "month": state.month,
        "monthRequests": state.month_requests,
        "event": event_to_json(state.events.newest),
        "eventVersion": state.events.version,
    }


def keeper_from_json(value: Mapping[str, Any] | None, attempts: bytes | None) -> KeeperState:
    """Return the initial state if none is stored. Raises CorruptRecord."""
    if not value:
        return KeeperState()
    try:
        findings = value["findings"]
        return KeeperState(
            token=value["token"],
            owner=value["owner"],
            lease_until=_instant(value["leaseUntil"]),
            requested_at=_instant(value["requestedAt"]),
            requested_by=value["requestedBy"],
            checked_at=_instant(value["checkedAt"]),
            postponed_at=_instant(value.get("postponedAt")),
            checked_version=value["checkedVersion"],
            findings=None
            if findings is None
            else Findings(
                missing=dict(findings["missing"]),
                complete_until=_day(findings["completeUntil"]),
                failed_since=_day(findings["failedSince"]),
                next_attempt=_day(findings["nextAttempt"]),
                is_over_budget=findings["isOverBudget"],
            ),
            incomplete_since=_instant(value["incompleteSince"]),
            job_id=UUID(value["jobId"]) if value["jobId"] else None,
            has_open_job=value["hasOpenJob"],
            retry_at=_instant(value["retryAt"]),
            accounted_until=_instant(value["accountedUntil"]),
            attempts=unpack_attempts(attempts) if attempts else FailedAttempts(),
            month=value["month"],
            month_requests=value["monthRequests"],
            events=TargetEvents(event_from_json(value.get("event")), value.get("eventVersion", 0)),
        )
    except _READ_ERRORS as exc:
        raise CorruptRecord(f"The stored state of the automatic checks cannot be read: {exc!r}.") from exc


def pack_attempts(attempts: FailedAttempts) -> bytes:
    """Items with the same history are stored as one group: gaps usually concern many dates of a few districts."""
    groups: dict[tuple[str, str, int, str, str, str], list[str]] = {}
    for (job_type, item), attempt in attempts:
        key = (
            str(job_type),
            item.district,
            attempt.attempts,
            attempt.first.isoformat(),
            attempt.last.isoformat(),
            attempt.reason,
        )
        groups.setdefault(key, []).append(item.date.isoformat())
    return pack_json([[*key, dates] for key, dates in groups.items()])


def unpack_attempts(packed: bytes) -> FailedAttempts:
    """Raises CorruptRecord."""
    found: dict[AttemptKey, FailedAttempt] = {}
    for kind, district, attempts, first, last, reason, dates in unpack_json(packed, "failed attempts"):
        attempt = FailedAttempt(attempts, date.fromisoformat(first), date.fromisoformat(last), reason)
        for day in dates:
            found[AttemptKey(JobType(kind), WorkItem(date.fromisoformat(day), district))] = attempt
    return FailedAttempts(found)


def _text(at: date | None) -> str | None:
    """Of a date or a datetime."""
    return at.isoformat() if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
