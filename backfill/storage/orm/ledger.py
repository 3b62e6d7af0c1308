"""Ledgers in Django's database."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import F, QuerySet

from backfill.domain import Outcome, OutcomeFilter, OutcomeKind, Segment, count_kinds
from backfill.models import Checkpoint
from backfill.storage.orm.database import translating_errors
from backfill.storage.outcome_pages import select_outcomes_page
from backfill.storage.ports import LedgerStorage, Page
from backfill.storage.serialization import packing

_SEGMENTS_AT_ONCE = 20


def write_segment(job_id: UUID, segment: Segment) -> None:
    """Insert or replace a segment; call this inside the transaction that updates the job."""
    kinds = count_kinds(segment.outcomes)
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


class OrmLedgerStorage(LedgerStorage):
    def segments(self, job_id: UUID) -> Iterator[Segment]:
        return _segments(Checkpoint.objects.filter(job_id=job_id))

    def outcomes(
        self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int, newest_first: bool = False
    ) -> Page[Outcome]:
        rows = Checkpoint.objects.filter(job_id=job_id)
        kind = wanted.counted_kind
        counted = F(str(kind)) if kind else F("processed") + F("failed") + F("skipped")
        with translating_errors():
            counts = list(rows.annotate(count=counted).order_by("number").values_list("number", "count"))
        return select_outcomes_page(
            counts,
            lambda numbers: _segments(rows.filter(number__in=numbers)),
            wanted,
            limit=limit,
            offset=offset,
            newest_first=newest_first,
        )


def _segments(rows: QuerySet[Checkpoint]) -> Iterator[Segment]:
    """Read in chunks: SQLite refuses a write on a connection with an open query that another writer has overtaken."""
    last = -1
    while True:
        with translating_errors():
            page = rows.filter(number__gt=last).order_by("number").values_list("job_id", "number", "outcomes")
            found = list(page[:_SEGMENTS_AT_ONCE])
        for job_id, number, packed in found:
            yield packing.unpack_segment(number, bytes(packed), f"segment {number} of job {job_id}")
            last = number
        if len(found) < _SEGMENTS_AT_ONCE:
            return
