"""Rate limits, job counters, the request schedule and the worker heartbeat in Django's database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import connection

from backfill.domain import (
    LIMIT_NAMES,
    AuditEntry,
    Job,
    JobCounters,
    Pace,
    RateLimits,
    RequestSchedule,
    StoredLimits,
)
from backfill.models import BackfillJob, RateLimitConfig, StoredJobCounters, StoredRequestSchedule, WorkerHeartbeat
from backfill.storage.orm import audit as audit_log
from backfill.storage.orm.database import atomic, check_fence, check_migrations, translating_errors
from backfill.storage.ports import Change, ControlStorage, Fence
from backfill.storage.serialization import job_json, packing

_ROW_ID = 1
"""The key of a table of one row."""


def count_if_ended(before: Job, after: Job) -> None:
    """Add a job that ends with this change to the counters; call this inside the transaction of the change."""
    if before.status.is_active and not after.status.is_active:
        row, _ = StoredJobCounters.objects.select_for_update().get_or_create(pk=_ROW_ID, defaults={"value": {}})
        row.value = job_json.counters_to_json(job_json.counters_from_json(row.value).plus(after))
        row.save()


def _limits_of(row: RateLimitConfig | None) -> StoredLimits:
    if row is None:
        return StoredLimits()
    limits = RateLimits(**{name: getattr(row, name) for name in LIMIT_NAMES})
    return StoredLimits(limits=limits, updated_at=row.updated_at, updated_by=row.updated_by)


class OrmControlStorage(ControlStorage):
    def rate_limits(self) -> StoredLimits:
        with translating_errors():
            row = RateLimitConfig.objects.filter(pk=_ROW_ID).first()
        return _limits_of(row)

    def update_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> Change[StoredLimits]:
        with atomic():
            # Create the row before reading it: two concurrent first changes would otherwise both start from defaults.
            row, _ = RateLimitConfig.objects.select_for_update().get_or_create(
                pk=_ROW_ID, defaults=StoredLimits().limits.to_dict()
            )
            before = _limits_of(row)
            update = audit_log.audited(before, change, audit)
            if update.after != before:
                for name, value in update.after.limits.to_dict().items():
                    setattr(row, name, value)
                row.updated_at, row.updated_by = update.after.updated_at, update.after.updated_by
                row.save()
            return update

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        with atomic():
            check_fence(fence)
            row, _ = StoredRequestSchedule.objects.select_for_update().get_or_create(pk=_ROW_ID)
            after = change(
                RequestSchedule(
                    reserved_until=row.reserved_until,
                    held_until=row.held_until,
                    held_at=row.held_at,
                    hold_reason=row.hold_reason,
                    pace=Pace(slowed_to=row.slowed_to, slowed_at=row.slowed_at),
                )
            )
            row.reserved_until, row.held_until = after.reserved_until, after.held_until
            row.held_at, row.hold_reason = after.held_at, packing.storable(after.hold_reason)
            row.slowed_to, row.slowed_at = after.pace.slowed_to, after.pace.slowed_at
            row.save()
            return after

    def report_worker(self, at: datetime) -> None:
        with atomic():
            row, is_new = WorkerHeartbeat.objects.select_for_update().get_or_create(pk=_ROW_ID, defaults={"at": at})
            if not is_new and row.at < at:
                row.at = at
                row.save()

    def worker_seen_at(self) -> datetime | None:
        with translating_errors():
            return WorkerHeartbeat.objects.filter(pk=_ROW_ID).values_list("at", flat=True).first()

    def counters(self) -> JobCounters:
        with translating_errors():
            value = StoredJobCounters.objects.filter(pk=_ROW_ID).values_list("value", flat=True).first()
        return job_json.counters_from_json(value or {})

    def ping(self) -> None:
        with translating_errors():
            BackfillJob.objects.exists()
            RateLimitConfig.objects.filter(pk=0).update(updated_by="")  # matches no row; fails on a read-only store
        check_migrations()

    def disconnect(self) -> None:
        connection.close()
