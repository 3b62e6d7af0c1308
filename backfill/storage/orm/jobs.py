"""Jobs and plans in Django's database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import Q

from backfill.domain import ACTIVE, ENDED, AuditEntry, Job, JobFilter, JobOutcome, Plan, Segment, Status
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.models import BackfillJob
from backfill.storage.orm import audit as audit_log
from backfill.storage.orm.control import count_if_ended
from backfill.storage.orm.database import atomic, older_than, translating_errors
from backfill.storage.orm.ledger import write_segment
from backfill.storage.orm.rows import fail_corrupt_job, job_of, job_or_failed, job_to_columns
from backfill.storage.ports import Change, Creation, JobStorage, Page, TimedKey
from backfill.storage.serialization import packing

_OUTCOMES = {
    JobOutcome.SUCCEEDED: Q(status=Status.COMPLETED, progress__failed=0),
    JobOutcome.COMPLETED_WITH_FAILURES: Q(status=Status.COMPLETED, progress__failed__gt=0),
    JobOutcome.FAILED: Q(status=Status.FAILED),
    JobOutcome.CANCELLED: Q(status=Status.CANCELLED),
}


def check_no_active_job() -> None:
    """Raise JobConflict if a job is active. Call this inside a transaction.

    No job is created before the transaction ends: SQLite has one writer at a time, and PostgreSQL locks the table.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE backfill_backfilljob IN SHARE MODE")
    row = BackfillJob.objects.defer("plan", "detail").filter(status__in=ACTIVE).first()
    if row is not None:
        raise job_or_failed(row, with_detail=False).conflict()


class OrmJobStorage(JobStorage):
    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Creation:
        def attempt() -> Creation:
            with atomic():
                displaced = self._displace_active(displace)
                BackfillJob.objects.create(id=job.id, plan=packing.pack_plan(plan), **job_to_columns(job))
                entries = tuple(audit(displaced)) if audit else ()
                audit_log.append(entries)
            return Creation(job, displaced, entries)

        try:
            return attempt()
        except StorageUnavailable as exc:
            if not isinstance(exc.__cause__, IntegrityError):
                raise
            winner = self.active()
            if winner is not None:  # the constraint failed: a concurrent create was first
                raise winner.conflict() from exc
        return attempt()  # the winner has ended since

    def _displace_active(self, displace: Callable[[Job], Job | None]) -> Job | None:
        row = BackfillJob.objects.select_for_update().defer("plan").filter(status__in=ACTIVE).first()
        if row is None:
            return None
        try:
            active = job_of(row)
        except CorruptRecord as exc:
            fail_corrupt_job(row, exc)
            return None
        ended = displace(active)
        if ended is None:
            raise active.conflict()
        count_if_ended(active, ended)
        return self._write(row, ended)

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Change[Job]:
        with atomic():
            row = BackfillJob.objects.select_for_update().defer("plan").filter(pk=job_id).first()
            if row is None:
                raise JobNotFound(f"There is no job {job_id}.")
            before = job_or_failed(row)
            after = change(before)
            if segment is not None:
                write_segment(job_id, segment)
            if after == before:
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                audit_log.append([entry])
            count_if_ended(before, after)
            return Change(before, self._write(row, after), entry)

    @staticmethod
    def _write(row: BackfillJob, job: Job) -> Job:
        columns = {**job_to_columns(job), "revision": row.revision + 1}
        for name, value in columns.items():
            setattr(row, name, value)
        row.save(update_fields=list(columns))
        return job_or_failed(row)

    def get(self, job_id: UUID) -> Job | None:
        with translating_errors():
            row = BackfillJob.objects.defer("plan").filter(pk=job_id).first()
        return job_or_failed(row) if row else None

    def active(self) -> Job | None:
        with translating_errors():  # those of a status that this version does not know are among them
            rows = list(BackfillJob.objects.defer("plan", "detail").exclude(status__in=ENDED))
        found = None
        for row in rows:
            try:
                found = job_of(row, with_detail=False)
            except CorruptRecord:
                self._fail_corrupt_job(row.id)
        return found

    @staticmethod
    def _fail_corrupt_job(job_id: UUID) -> None:
        with atomic():
            row = (
                BackfillJob.objects.select_for_update()
                .defer("plan")
                .exclude(status__in=ENDED)
                .filter(pk=job_id)
                .first()
            )
            if row is None:
                return
            try:
                job_of(row)
            except CorruptRecord as exc:
                fail_corrupt_job(row, exc)

    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        with translating_errors():
            row = (
                BackfillJob.objects.defer("plan")
                .filter(idempotency_key=key, created_at__gte=since)
                .order_by("-created_at")
                .first()
            )
        return job_or_failed(row) if row else None

    def page(self, wanted: JobFilter, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[Job]:
        rows = BackfillJob.objects.defer("plan", "detail").order_by("-created_at", "-id")
        if wanted.statuses:
            rows = rows.filter(status__in=wanted.statuses)
        if wanted.job_types:
            rows = rows.filter(job_type__in=wanted.job_types)
        if wanted.created_from:
            rows = rows.filter(created_at__gte=wanted.created_from)
        if wanted.created_to:
            rows = rows.filter(created_at__lt=wanted.created_to)
        if wanted.created_by:
            rows = rows.filter(created_by=wanted.created_by)
        if wanted.retry_of:
            rows = rows.filter(retry_of__in=wanted.retry_of)
        if wanted.outcomes:
            rows = rows.filter(reduce(or_, (_OUTCOMES[outcome] for outcome in wanted.outcomes)))
        if wanted.text:
            ids = Q(id__range=wanted.ids) if wanted.ids else Q()
            rows = rows.filter(ids | Q(note_text__contains=packing.storable(wanted.folded_text)))
        following = rows.filter(older_than("created_at", after)) if after else rows
        with translating_errors():
            found = list(following[offset : offset + limit])
            return Page([job_or_failed(row, with_detail=False) for row in found], rows.count())

    def plan(self, job_id: UUID) -> Plan:
        with translating_errors():
            packed = BackfillJob.objects.filter(pk=job_id).values_list("plan", flat=True).first()
        if packed is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return packing.unpack_plan(bytes(packed), f"plan of job {job_id}")

    def delete_finished(self, before: datetime) -> int:
        with atomic():
            _, counts = BackfillJob.objects.only("id").filter(status__in=ENDED, ended_at__lt=before).delete()
            return counts.get("backfill.BackfillJob", 0)

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        due = BackfillJob.objects.filter(webhook_due_at__lte=now).order_by("webhook_due_at")
        with translating_errors():
            return list(due.values_list("id", flat=True))
