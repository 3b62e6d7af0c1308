"""The ledger of a job: a document a segment, beside the job's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from google.cloud.firestore import CollectionReference, DocumentReference

from backfill.domain import Outcome, OutcomeFilter, OutcomeKind, Segment, kinds_in
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.database import Attempt, Database, Document, answering
from backfill.storage.firestore.documents import kept_until
from backfill.storage.outcome_pages import page_of_outcomes
from backfill.storage.ports import LedgerStorage, Page
from backfill.storage.serialization import packing

_PAGE = 40
"""Segments that are read with one call: some 400 KB."""


class FirestoreLedgerStorage(LedgerStorage):
    def __init__(self, database: Database, retention: timedelta) -> None:
        self._database, self._retention = database, retention

    def _all(self, job_id: UUID) -> CollectionReference:
        return self._database.collection("jobs", str(job_id), "segments")

    def write(self, job_id: UUID, segment: Segment, trying: Attempt) -> None:
        """Add a segment to the writes of an attempt, in the place of one of that number."""
        reference = self._all(job_id).document(f"{segment.number:07d}")
        expires_at = kept_until(segment.outcomes[-1].at, self._retention) if segment.outcomes else None
        value = {
            "number": segment.number,
            **{str(kind): count for kind, count in kinds_in(segment.outcomes).items()},
            "expires_at": expires_at,
            **chunked_blobs.fields_for(
                packing.pack_outcomes(segment.outcomes), trying, reference, expires_at=expires_at
            ),
        }
        trying.writes.set(reference, value)

    def segments(self, job_id: UUID) -> Iterator[Segment]:
        with answering():
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
        with answering():
            counts = [
                (document.reference, sum(document.get(kind) for kind in counted))
                for document in self._database.rows(self._all(job_id).select(["number", *counted]).order_by("number"))
            ]
            return page_of_outcomes(
                counts, partial(self._some, job_id), wanted, limit=limit, offset=offset, newest_first=newest_first
            )

    def _some(self, job_id: UUID, references: Sequence[DocumentReference]) -> Iterator[Segment]:
        for start in range(0, len(references), _PAGE):
            for document in self._database.read_all(references[start : start + _PAGE]):
                yield self._segment(job_id, document)

    def remove(self, job_id: UUID) -> None:
        self._database.remove(chunked_blobs.with_parts(self._all(job_id), self._database))
