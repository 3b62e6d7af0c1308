"""Jobs, plans and ledgers in Django's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import F, QuerySet

from backfill.domain import (
    ACTIVE,
    ENDED,
    AuditEntry,
    Job,
    JobFilter,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Plan,
    Segment,
    kinds_in,
)
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.models import (
    BackfillJob,
    Checkpoint,
    RateLimitConfig,
)
from backfill.storage.orm.database import answering, transacting
from backfill.storage.orm.rows import columns_of, job_of, set_aside, shown
from backfill.storage.orm.state import OrmState
from backfill.storage.outcome_pages import page_of_outcomes
from backfill.storage.ports import Page
from backfill.storage.serialization import packing

_SEGMENTS_AT_ONCE = 20


class OrmJobStorage(OrmState):
    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Job:
        def attempt() -> Job:
            with transacting():
                displaced = self._make_room(displace)
                BackfillJob.objects.create(id=job.id, plan=packing.pack_plan(plan), **columns_of(job))
                if audit is not None:
                    self._append(audit(displaced))
            return job

        try:
            return attempt()
        except StorageUnavailable as exc:
            if not isinstance(exc.__cause__, IntegrityError):
                raise
            winner = self.active()
            if winner is not None:  # a concurrent create was first, and the constraint told us so
                raise winner.conflict() from exc
        return attempt()  # the winner has ended since, so that there is room again

    def _make_room(self, displace: Callable[[Job], Job | None]) -> Job | None:
        row = BackfillJob.objects.select_for_update().defer("plan").filter(status__in=ACTIVE).first()
        if row is None:
            return None
        try:
            active = job_of(row)
        except CorruptRecord as exc:
            set_aside(row, exc)
            return None
        ended = displace(active)
        if ended is None:
            raise active.conflict()
        self._count(active, ended)
        return self._write(row, ended)

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Job:
        with transacting():
            row = BackfillJob.objects.select_for_update().defer("plan").filter(pk=job_id).first()
            if row is None:
                raise JobNotFound(f"There is no job {job_id}.")
            before = shown(row)
            after = change(before)
            if segment is not None:
                kinds = kinds_in(segment.outcomes)
                Checkpoint.objects.update_or_create(
                    job_id=job_id,
                    number=segment.number,
                    defaults={
                        "processed": kinds[OutcomeKind.PROCESSED],
                        "failed": kinds[OutcomeKind.FAILED],
                        "skipped": kinds[OutcomeKind.SKIPPED],
                        "outcomes": packing.pack_outcomes(segment.outcomes),
                    },
                )
            if after is before:
                return before
            if audit is not None:
                self._append([audit(before, after)])
            self._count(before, after)
            return self._write(row, after)

    @staticmethod
    def _write(row: BackfillJob, job: Job) -> Job:
        columns = {**columns_of(job), "revision": row.revision + 1}
        for name, value in columns.items():
            setattr(row, name, value)
        row.save(update_fields=list(columns))
        return shown(row)

    def get(self, job_id: UUID) -> Job | None:
        with answering():
            row = BackfillJob.objects.defer("plan").filter(pk=job_id).first()
        return shown(row) if row else None

    def active(self) -> Job | None:
        with answering():  # those of a status that this version does not know are among them
            rows = list(BackfillJob.objects.defer("plan", "detail").exclude(status__in=ENDED))
        found = None
        for row in rows:
            try:
                found = job_of(row, with_detail=False)
            except CorruptRecord:
                self._set_aside(row.id)
        return found

    @staticmethod
    def _set_aside(job_id: UUID) -> None:
        with transacting():
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
                set_aside(row, exc)

    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        with answering():
            row = (
                BackfillJob.objects.defer("plan")
                .filter(idempotency_key=key, created_at__gte=since)
                .order_by("-created_at")
                .first()
            )
        return shown(row) if row else None

    def page(self, wanted: JobFilter, *, limit: int, offset: int) -> Page[Job]:
        rows = BackfillJob.objects.defer("plan", "detail").order_by("-created_at", "-id")
        if wanted.statuses:
            rows = rows.filter(status__in=wanted.statuses)
        if wanted.job_types:
            rows = rows.filter(job_type__in=wanted.job_types)
        if wanted.created_from:
            rows = rows.filter(created_at__gte=wanted.created_from)
        if wanted.created_to:
            rows = rows.filter(created_at__lt=wanted.created_to)
        with answering():
            return Page([shown(row, with_detail=False) for row in rows[offset : offset + limit]], rows.count())

    def plan(self, job_id: UUID) -> Plan:
        with answering():
            packed = BackfillJob.objects.filter(pk=job_id).values_list("plan", flat=True).first()
        if packed is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return packing.unpack_plan(bytes(packed), f"plan of job {job_id}")

    def segments(self, job_id: UUID) -> Iterator[Segment]:
        return self._segments(Checkpoint.objects.filter(job_id=job_id))

    @staticmethod
    def _segments(rows: QuerySet[Checkpoint]) -> Iterator[Segment]:
        """Some at a time: SQLite lets nobody write who has a query half read and was overtaken since."""
        last = -1
        while True:
            with answering():
                page = rows.filter(number__gt=last).order_by("number").values_list("job_id", "number", "outcomes")
                found = list(page[:_SEGMENTS_AT_ONCE])
            for job_id, number, packed in found:
                yield packing.unpack_segment(number, bytes(packed), f"segment {number} of job {job_id}")
                last = number
            if len(found) < _SEGMENTS_AT_ONCE:
                return

    def outcomes(self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int) -> Page[Outcome]:
        rows = Checkpoint.objects.filter(job_id=job_id)
        counted = F(str(wanted.kind)) if wanted.kind else F("processed") + F("failed") + F("skipped")
        with answering():
            counts = list(rows.annotate(count=counted).order_by("number").values_list("number", "count"))
        return page_of_outcomes(
            counts, lambda numbers: self._segments(rows.filter(number__in=numbers)), wanted, limit=limit, offset=offset
        )

    def delete_finished(self, before: datetime) -> int:
        with transacting():
            _, counts = BackfillJob.objects.only("id").filter(status__in=ENDED, ended_at__lt=before).delete()
            return counts.get("backfill.BackfillJob", 0)

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        due = BackfillJob.objects.filter(notice_due_at__lte=now).order_by("notice_due_at")
        with answering():
            return list(due.values_list("id", flat=True))

    def ping(self) -> None:
        with answering():
            BackfillJob.objects.exists()
            RateLimitConfig.objects.filter(pk=0).update(updated_by="")  # no row: only so that a read-only store says so

    def disconnect(self) -> None:
        connection.close()
