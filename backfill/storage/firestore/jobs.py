"""Jobs in Firestore: a document each, and a slot that only one of them can have."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from google.cloud.firestore import DocumentReference
from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import AuditEntry, Job, JobFilter, Plan, Segment
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.storage.firestore import chunked_blobs
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import Attempt, Database, Document, Overtaken, Query, answering
from backfill.storage.firestore.documents import LISTED, job_of, job_to_document, kept_until, shown
from backfill.storage.firestore.ledger import FirestoreLedgerStorage
from backfill.storage.firestore.pages import Pages
from backfill.storage.firestore.state import State, claim_on
from backfill.storage.ports import Change, Creation, JobStorage, Page
from backfill.storage.serialization import packing

logger = logging.getLogger(__name__)

_IN_ONE_QUERY = 30
"""The most values of an `in` filter."""


class FirestoreJobStorage(JobStorage):
    record_after = 3.0
    """A record writes the job and a segment: two documents, each charged for and each good for one write a second."""

    look_after = 5.0
    """A look is charged for, also one that finds nothing. Who creates a job nudges the worker of that process."""

    def __init__(
        self,
        database: Database,
        retention: timedelta,
        ledger: FirestoreLedgerStorage,
        audit_log: FirestoreAuditStorage,
    ) -> None:
        self._database, self._retention, self._ledger, self._audit_log = database, retention, ledger, audit_log
        self._state = State(database)
        self._pages = Pages(database)

    def _job(self, job_id: UUID) -> DocumentReference:
        return self._database.document("jobs", str(job_id))

    def _jobs(self) -> Query:
        return self._database.collection("jobs")

    def _plan(self, job_id: UUID) -> DocumentReference:
        return self._database.document("plans", str(job_id))

    # Writing. Every change of a job is decided by the precondition that its document is as it was read.

    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Creation:
        packed = packing.pack_plan(plan)
        sent: list[Creation] = []

        def attempt(trying: Attempt) -> Creation:
            if trying.number and self._database.read(self._job(job.id), ["status"]).exists:
                if trying.may_be_done and sent:
                    return sent[-1]
                raise StorageUnavailable(f"Job {job.id} is stored already, and was not stored again.")
            displaced = self._make_room(job, displace, trying)
            entries = tuple(audit(displaced)) if audit else ()
            self._audit_log.append(entries, trying)
            trying.writes.create(self._job(job.id), job_to_document(job, self._retention))
            plan_at, expires_at = self._plan(job.id), kept_until(job.created_at, self._retention)
            body = chunked_blobs.fields_for(packed, trying, plan_at, expires_at=expires_at)
            trying.writes.set(plan_at, {"expires_at": expires_at, **body})
            sent.append(Creation(job, displaced, entries))
            trying.commit()
            return sent[-1]

        with answering():
            return self._database.decide(attempt)

    def _make_room(self, job: Job, displace: Callable[[Job], Job | None], trying: Attempt) -> Job | None:
        """Put the job into the slot; the job that was displaced for it. Raises JobConflict."""
        slot = trying.read(self._state.slot)
        claim = claim_on(job)
        if not slot.exists:
            if claim is not None:
                trying.writes.create(self._state.slot, claim)
                self._state.hold_schedule(claim, trying)
            return None
        if slot.get("job_id") == str(job.id):
            raise Overtaken(f"Job {job.id} was just stored, by a try whose answer was lost.")
        seen = trying.read(self._job(UUID(slot.get("job_id"))))
        active, ended = self._displaced(seen, displace)
        after = self._replace(seen, active, ended, trying)
        self._state.count(after, trying)
        if claim is not None:
            trying.write(slot, claim)
            self._state.hold_schedule(claim, trying)
        return after

    def _displaced(self, seen: Document, displace: Callable[[Job], Job | None]) -> tuple[Job, Job]:
        """The job in the slot, and the ended one that makes room; one that cannot be read does. Raises JobConflict."""
        try:
            active = job_of(seen) if seen.exists else None
        except CorruptRecord as exc:
            logger.error("%s It is set aside as failed.", exc.message)  # noqa: TRY400 - it says it all
            return shown(seen), shown(seen)
        if active is None or not active.status.is_active:
            raise Overtaken(f"The slot holds job {seen.id}, which is not active.")
        ended = displace(active)
        if ended is None:
            raise active.conflict()
        return active, ended

    def _set_aside(self, job_id: UUID) -> None:
        """Fail a job that cannot be read, so that it is in nobody's way."""

        def attempt(trying: Attempt) -> None:
            seen = trying.read(self._job(job_id))
            try:
                job_of(seen)
            except CorruptRecord as exc:
                logger.error("%s It is set aside as failed.", exc.message)  # noqa: TRY400 - it says it all
            else:
                return
            slot = trying.read(self._state.slot)
            failed = self._replace(seen, shown(seen), shown(seen), trying)
            if slot.exists and slot.get("job_id") == str(job_id):
                self._state.claim(failed, trying)
            trying.commit()

        with answering():
            self._database.decide(attempt)

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Change[Job]:
        sent: list[Change[Job]] = []

        def attempt(trying: Attempt) -> Change[Job]:
            seen = trying.read(self._job(job_id))
            if not seen.exists:
                raise JobNotFound(f"There is no job {job_id}.")
            before = shown(seen)
            if sent and trying.has_come_through(seen):
                return replace(sent[-1], after=before)
            after = change(before)
            if segment is not None:
                self._ledger.write(job_id, segment, trying)
            if after == before:
                if segment is not None:
                    trying.commit()
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                self._audit_log.append([entry], trying)
            stored = self._replace(seen, before, after, trying)
            if before.status.is_active:
                if not after.status.is_active:
                    self._state.count(stored, trying)
                if claim_on(before) != claim_on(after):
                    self._state.claim(after, trying)
            sent.append(Change(before, stored, entry))
            trying.commit()
            return sent[-1]

        with answering():
            return self._database.decide(attempt)

    def _replace(self, seen: Document, before: Job, after: Job, trying: Attempt) -> Job:
        """Add the write of a changed job to those of an attempt; the job as it will be stored."""
        stored = replace(after, id=before.id, revision=before.revision + 1)
        trying.write(seen, trying.marked(seen, job_to_document(stored, self._retention)))
        return stored

    # Reading.

    def get(self, job_id: UUID) -> Job | None:
        with answering():
            document = self._database.read(self._job(job_id))
        return shown(document) if document.exists else None

    def active(self) -> Job | None:
        query = self._jobs().where(filter=FieldFilter("is_active", "==", True)).select(LISTED)
        with answering():
            document = self._database.first(query)
        if document is None:
            return None
        try:
            return job_of(document, with_detail=False)
        except CorruptRecord:
            self._set_aside(UUID(document.id))
            return None

    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        query = (
            self._jobs()
            .where(filter=FieldFilter("idempotency_key", "==", key))
            .where(filter=FieldFilter("created_at", ">=", since))
            .order_by("created_at", direction="DESCENDING")
        )
        with answering():
            document = self._database.first(query)
        return shown(document) if document else None

    def page(self, wanted: JobFilter, *, limit: int, offset: int) -> Page[Job]:
        if wanted.retry_of:
            found = sorted(self._retries(wanted), key=lambda job: (job.created_at, str(job.id)), reverse=True)
            return Page(found[offset : offset + limit], len(found))
        if wanted.created_by or wanted.outcomes or wanted.text:
            found = [job for job in self._scanned(wanted) if wanted.matches(job)]
            return Page(found[offset : offset + limit], len(found))
        with answering():
            rows, total = self._pages.page(self._query(wanted), wanted, limit=limit, offset=offset, fields=LISTED)
        return Page([shown(row, with_detail=False) for row in rows], total)

    def _scanned(self, wanted: JobFilter) -> Iterator[Job]:
        """Jobs to compare with the rest of the filter, which needs no index and costs a read of each job.

        Documents of earlier versions have no fields to query by.
        """
        with answering():
            for row in self._database.rows(self._query(wanted).select(LISTED)):
                yield shown(row, with_detail=False)

    def _retries(self, wanted: JobFilter) -> Iterator[Job]:
        """Matching retries; those that earlier versions stored are not found."""
        parents = sorted(map(str, wanted.retry_of))
        with answering():
            for start in range(0, len(parents), _IN_ONE_QUERY):
                named = FieldFilter("retry_of", "in", parents[start : start + _IN_ONE_QUERY])
                for row in self._database.rows(self._jobs().where(filter=named).select(LISTED)):
                    job = shown(row, with_detail=False)
                    if wanted.matches(job):
                        yield job

    def _query(self, wanted: JobFilter) -> Query:
        """Newest first, by status, type and time."""
        query = self._jobs().order_by("created_at", direction="DESCENDING")
        if wanted.statuses:
            query = query.where(filter=FieldFilter("status", "in", sorted(map(str, wanted.statuses))))
        if wanted.job_types:
            query = query.where(filter=FieldFilter("job_type", "in", sorted(map(str, wanted.job_types))))
        if wanted.created_from:
            query = query.where(filter=FieldFilter("created_at", ">=", wanted.created_from))
        if wanted.created_to:
            query = query.where(filter=FieldFilter("created_at", "<", wanted.created_to))
        return query

    def plan(self, job_id: UUID) -> Plan:
        with answering():
            document = self._database.read(self._plan(job_id))
            packed = chunked_blobs.body_of(document, self._database) if document.exists else None
        if packed is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return packing.unpack_plan(packed, f"plan of job {job_id}")

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        query = self._jobs().where(filter=FieldFilter("notice_due_at", "<=", now)).order_by("notice_due_at")
        with answering():
            return [UUID(document.id) for document in self._database.rows(query.select(["notice_due_at"]))]

    # Retention. What belongs to a job goes before it, so that what was interrupted is found again.

    def delete_finished(self, before: datetime) -> int:
        query = self._jobs().where(filter=FieldFilter("ended_at", "<", before)).order_by("ended_at")
        removed = 0
        with answering():
            for document in list(self._database.rows(query.select(["ended_at"]))):
                job_id = UUID(document.id)
                self._ledger.remove(job_id)
                self._database.remove(chunked_blobs.of_document(self._plan(job_id), self._database))
                self._database.remove([document.reference])
                removed += 1
        return removed
