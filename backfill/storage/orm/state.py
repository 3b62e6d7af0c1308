"""What there is beside the jobs in Django's database: limits, totals, audit trail, shared timeline, signs of life."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from backfill.domain import (
    LIMIT_NAMES,
    Actor,
    AuditAction,
    AuditEntry,
    Channel,
    Job,
    JobCounters,
    Pace,
    RateLimits,
    RequestSchedule,
    StoredLimits,
)
from backfill.errors import CorruptRecord
from backfill.models import (
    AuditRecord,
    RateLimitConfig,
    ServiceTotals,
    SourceTimeline,
    WorkerSighting,
)
from backfill.storage.orm.database import answering, check_fence, transacting
from backfill.storage.ports import Fence, JobStorage, Page
from backfill.storage.serialization import job_json, packing

_THE_ROW = 1
"""The key of a table of one row."""


def _entry_of(row: AuditRecord) -> AuditEntry:
    try:
        return AuditEntry(
            id=row.id,
            at=row.at,
            actor=Actor(row.operator, Channel(row.door)),
            action=AuditAction(row.deed),
            job_id=row.job_id,
            changes={name: (was, becomes) for name, (was, becomes) in row.changes.items()},
        )
    except (AttributeError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"Audit entry {row.id} cannot be read: {exc!r}.") from exc


class OrmState(JobStorage):
    """The half of the port that is about no single job."""

    @staticmethod
    def _count(before: Job, after: Job) -> None:
        """Add what a job came to, when it ends."""
        if before.status.is_active and not after.status.is_active:
            row, _ = ServiceTotals.objects.select_for_update().get_or_create(pk=_THE_ROW, defaults={"value": {}})
            row.value = job_json.counters_to_json(job_json.counters_from_json(row.value).plus(after))
            row.save()

    @staticmethod
    def _append(entries: Iterable[AuditEntry]) -> None:
        AuditRecord.objects.bulk_create(
            AuditRecord(
                id=entry.id,
                at=entry.at,
                operator=entry.actor.operator,
                door=str(entry.actor.channel),
                deed=str(entry.action),
                job_id=entry.job_id,
                changes={name: list(pair) for name, pair in entry.changes.items()},
            )
            for entry in entries
        )

    def counters(self) -> JobCounters:
        with answering():
            value = ServiceTotals.objects.filter(pk=_THE_ROW).values_list("value", flat=True).first()
        return job_json.counters_from_json(value or {})

    def rate_limits(self) -> StoredLimits:
        with answering():
            row = RateLimitConfig.objects.filter(pk=_THE_ROW).first()
        return self._limits_of(row)

    def save_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> StoredLimits:
        with transacting():
            # The row is made before it is read: two first changes at once would else both begin from the defaults.
            row, _ = RateLimitConfig.objects.select_for_update().get_or_create(
                pk=_THE_ROW, defaults=StoredLimits().limits.to_dict()
            )
            before = self._limits_of(row)
            after = change(before)
            if after == before:
                return before
            if audit is not None:
                self._append([audit(before, after)])
            for name, value in after.limits.to_dict().items():
                setattr(row, name, value)
            row.updated_at, row.updated_by = after.updated_at, after.updated_by
            row.save()
            return after

    @staticmethod
    def _limits_of(row: RateLimitConfig | None) -> StoredLimits:
        if row is None:
            return StoredLimits()
        limits = RateLimits(**{name: getattr(row, name) for name in LIMIT_NAMES})
        return StoredLimits(limits=limits, updated_at=row.updated_at, updated_by=row.updated_by)

    def audit(self, job_id: UUID | None, *, limit: int, offset: int) -> Page[AuditEntry]:
        rows = AuditRecord.objects.order_by("-at", "-id")
        if job_id is not None:
            rows = rows.filter(job_id=job_id)
        with answering():
            return Page([_entry_of(row) for row in rows[offset : offset + limit]], rows.count())

    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        with transacting():
            there = set(AuditRecord.objects.filter(id__in=[e.id for e in entries]).values_list("id", flat=True))
            self._append(entry for entry in entries if entry.id not in there)

    def delete_audit(self, before: datetime) -> int:
        with transacting():
            return AuditRecord.objects.filter(at__lt=before).delete()[0]

    def report_worker(self, at: datetime) -> None:
        with transacting():
            row, is_new = WorkerSighting.objects.select_for_update().get_or_create(pk=_THE_ROW, defaults={"at": at})
            if not is_new and row.at < at:
                row.at = at
                row.save()

    def worker_seen_at(self) -> datetime | None:
        with answering():
            return WorkerSighting.objects.filter(pk=_THE_ROW).values_list("at", flat=True).first()

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        with transacting():
            check_fence(fence)
            row, _ = SourceTimeline.objects.select_for_update().get_or_create(pk=_THE_ROW)
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
