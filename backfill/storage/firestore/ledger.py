"""The ledger of a job in Firestore: one document per segment, in a subcollection of the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from google.cloud.firestore import CollectionReference, DocumentReference

from backfill.domain import Outcome, OutcomeFilter, OutcomeKind, Segment, count_kinds
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.database import Attempt, Database, Document, translating_errors
from backfill.storage.firestore.documents import ttl_expiry
from backfill.storage.outcome_pages import select_outcomes_page
from backfill.storage.ports import LedgerStorage, Page
from backfill.storage.serialization import packing

_PAGE = 40
"""Segments that one call reads: about 400 KB."""


class FirestoreLedgerStorage(LedgerStorage):
    def __init__(self, database: Database, retention: timedelta) -> None:
        self._database, self._retention = database, retention

    def _all(self, job_id: UUID) -> CollectionReference:
        return self._database.collection("jobs", str(job_id), "segments")

    def write(self, job_id: UUID, segment: Segment, attempt: Attempt) -> None:
        """Add a segment to the writes of an attempt. It replaces a segment of the same number."""
        reference = self._all(job_id).document(f"{segment.number:07d}")
        expires_at = ttl_expiry(segment.outcomes[-1].at, self._retention) if segment.outcomes else None
        value = {
            "number": segment.number,
            **{str(kind): count for kind, count in count_kinds(segment.outcomes).items()},
            "expires_at": expires_at,
            **chunked_blobs.fields_for(
                packing.pack_outcomes(segment.outcomes), attempt, reference, expires_at=expires_at
            ),
        }
        attempt.writes.set(reference, value)

    def segments(self, job_id: UUID) -> Iterator[Segment]:
        with translating_errors():
            for document in self._database.rows(self._all(job_id).order_by("number"), page=_PAGE):
                yield self._segment(job_id, document)

    def _segment(self, job_id: UUID, document: Document) -> Segment:
        number = int(document.get("number"))
        packed = chunked_blobs.body_of(document, self._database)
        return packing.unpack_segment(number, packed, f"segment {number} of job {job_id}")

    def outcomes(
        self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int, newest_first: bool = False
    ) -> Page[Outcome]:
        counted = [str(kind) for kind in ([wanted.counted_kind] if wanted.counted_kind else OutcomeKind)]
        with translating_errors():
            counts = [
                (document.reference, sum(document.get(kind) for kind in counted))
                for document in self._database.rows(self._all(job_id).select(["number", *counted]).order_by("number"))
            ]
            return select_outcomes_page(
                counts,
                partial(self._read_segments, job_id),
                wanted,
                limit=limit,
                offset=offset,
                newest_first=newest_first,
            )

    def _read_segments(self, job_id: UUID, references: Sequence[DocumentReference]) -> Iterator[Segment]:
        for start in range(0, len(references), _PAGE):
            for document in self._database.read_all(references[start : start + _PAGE]):
                yield self._segment(job_id, document)

    def remove(self, job_id: UUID) -> None:
        self._database.remove(chunked_blobs.references_with_parts(self._all(job_id), self._database))
