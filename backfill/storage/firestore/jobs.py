"""Jobs in Firestore: one document each, and a slot document that names the active job."""

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
from backfill.storage.firestore.database import Attempt, Database, Document, Query, StaleRead, translating_errors
from backfill.storage.firestore.documents import LISTED, job_of, job_or_failed, job_to_document, ttl_expiry
from backfill.storage.firestore.ledger import FirestoreLedgerStorage
from backfill.storage.firestore.pages import Pages, newest_first, values_of
from backfill.storage.firestore.state import State, claim_fields
from backfill.storage.ports import Change, Creation, JobStorage, Page, TimedKey
from backfill.storage.serialization import packing

logger = logging.getLogger(__name__)

_IN_ONE_QUERY = 30
"""The most values of an `in` filter."""


class FirestoreJobStorage(JobStorage):
    record_interval = 3.0
    """A record writes two documents, each charged, and Firestore sustains one write per second of a document."""

    idle_poll_interval = 5.0
    """Each poll is charged. A job created in the process of the worker wakes it without a poll."""

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

    # Writing. Each change of a job requires that its document has not changed since it was read.

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

        def write(attempt: Attempt) -> Creation:
            if attempt.number and self._database.read(self._job(job.id), ["status"]).exists:
                if attempt.may_be_committed and sent:
                    return sent[-1]
                raise StorageUnavailable(f"Job {job.id} is already stored and was not stored again.")
            displaced = self._displace_active(job, displace, attempt)
            entries = tuple(audit(displaced)) if audit else ()
            self._audit_log.append(entries, attempt)
            attempt.writes.create(self._job(job.id), job_to_document(job, self._retention))
            plan_at, expires_at = self._plan(job.id), ttl_expiry(job.created_at, self._retention)
            body = chunked_blobs.fields_for(packed, attempt, plan_at, expires_at=expires_at)
            attempt.writes.set(plan_at, {"expires_at": expires_at, **body})
            sent.append(Creation(job, displaced, entries))
            attempt.commit()
            return sent[-1]

        with translating_errors():
            return self._database.run(write)

    def _displace_active(self, job: Job, displace: Callable[[Job], Job | None], attempt: Attempt) -> Job | None:
        """Write the job's claim to the slot and return the displaced job, if any. Raises JobConflict."""
        slot = attempt.read(self._state.slot)
        claim = claim_fields(job)
        if not slot.exists:
            if claim is not None:
                attempt.writes.create(self._state.slot, claim)
                self._state.claim_schedule(claim, attempt)
            return None
        if slot.get("job_id") == str(job.id):
            raise StaleRead(f"Job {job.id} was stored by an attempt whose response was lost.")
        seen = attempt.read(self._job(UUID(slot.get("job_id"))))
        active, ended = self._displaced(seen, displace)
        after = self._replace(seen, active, ended, attempt)
        self._state.count(after, attempt)
        if claim is not None:
            attempt.write(slot, claim)
            self._state.claim_schedule(claim, attempt)
        return after

    def _displaced(self, seen: Document, displace: Callable[[Job], Job | None]) -> tuple[Job, Job]:
        """Return the job in the slot before and after it is displaced. Raises JobConflict.

        A job that cannot be read is always displaced.
        """
        try:
            active = job_of(seen) if seen.exists else None
        except CorruptRecord as exc:
            logger.error("%s The job is marked as failed.", exc.message)  # noqa: TRY400 - no traceback needed
            return job_or_failed(seen), job_or_failed(seen)
        if active is None or not active.status.is_active:
            raise StaleRead(f"The slot holds job {seen.id}, which is not active.")
        ended = displace(active)
        if ended is None:
            raise active.conflict()
        return active, ended

    def _fail_corrupt_job(self, job_id: UUID) -> None:
        """Mark a job that cannot be read as failed, so that another job can start."""

        def write(attempt: Attempt) -> None:
            seen = attempt.read(self._job(job_id))
            try:
                job_of(seen)
            except CorruptRecord as exc:
                logger.error("%s The job is marked as failed.", exc.message)  # noqa: TRY400 - no traceback needed
            else:
                return
            slot = attempt.read(self._state.slot)
            failed = self._replace(seen, job_or_failed(seen), job_or_failed(seen), attempt)
            if slot.exists and slot.get("job_id") == str(job_id):
                self._state.claim(failed, attempt)
            attempt.commit()

        with translating_errors():
            self._database.run(write)

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Change[Job]:
        sent: list[Change[Job]] = []

        def write(attempt: Attempt) -> Change[Job]:
            seen = attempt.read(self._job(job_id))
            if not seen.exists:
                raise JobNotFound(f"There is no job {job_id}.")
            before = job_or_failed(seen)
            if sent and attempt.is_committed(seen):
                return replace(sent[-1], after=before)
            after = change(before)
            if segment is not None:
                self._ledger.write(job_id, segment, attempt)
            if after == before:
                if segment is not None:
                    attempt.commit()
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                self._audit_log.append([entry], attempt)
            stored = self._replace(seen, before, after, attempt)
            if before.status.is_active:
                if not after.status.is_active:
                    self._state.count(stored, attempt)
                if claim_fields(before) != claim_fields(after):
                    self._state.claim(after, attempt)
            sent.append(Change(before, stored, entry))
            attempt.commit()
            return sent[-1]

        with translating_errors():
            return self._database.run(write)

    def _replace(self, seen: Document, before: Job, after: Job, attempt: Attempt) -> Job:
        """Add the write of a changed job to an attempt; return the job as it will be stored."""
        stored = replace(after, id=before.id, revision=before.revision + 1)
        attempt.write(seen, attempt.with_change_id(seen, job_to_document(stored, self._retention)))
        return stored

    # Reading.

    def get(self, job_id: UUID) -> Job | None:
        with translating_errors():
            document = self._database.read(self._job(job_id))
        return job_or_failed(document) if document.exists else None

    def active(self) -> Job | None:
        query = self._jobs().where(filter=FieldFilter("is_active", "==", True)).select(LISTED)
        with translating_errors():
            document = self._database.first(query)
        if document is None:
            return None
        try:
            return job_of(document, with_detail=False)
        except CorruptRecord:
            self._fail_corrupt_job(UUID(document.id))
            return None

    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        query = (
            self._jobs()
            .where(filter=FieldFilter("idempotency_key", "==", key))
            .where(filter=FieldFilter("created_at", ">=", since))
            .order_by("created_at", direction="DESCENDING")
        )
        with translating_errors():
            document = self._database.first(query)
        return job_or_failed(document) if document else None

    def page(self, wanted: JobFilter, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[Job]:
        if wanted.retry_of or wanted.created_by or wanted.outcomes or wanted.text:
            found = self._selected(wanted)
            following = [job for job in found if after is None or (job.created_at, job.id) < after]
            return Page(following[offset : offset + limit], len(found))
        with translating_errors():
            rows, total = self._pages.page(
                self._query(wanted),
                wanted,
                limit=limit,
                offset=offset,
                fields=LISTED,
                after=values_of("created_at", after),
            )
        return Page([job_or_failed(row, with_detail=False) for row in rows], total)

    def _selected(self, wanted: JobFilter) -> list[Job]:
        """Return the jobs of a filter that no index serves."""
        if wanted.retry_of:
            return sorted(self._retries(wanted), key=lambda job: (job.created_at, job.id), reverse=True)
        return [job for job in self._scanned(wanted) if wanted.matches(job)]

    def _scanned(self, wanted: JobFilter) -> Iterator[Job]:
        """Jobs to compare with the rest of the filter, which needs no index and costs a read of each job.

        Documents of earlier versions have no fields to query by.
        """
        with translating_errors():
            for row in self._database.rows(self._query(wanted).select(LISTED)):
                yield job_or_failed(row, with_detail=False)

    def _retries(self, wanted: JobFilter) -> Iterator[Job]:
        """Matching retries; those that earlier versions stored are not found."""
        parents = sorted(map(str, wanted.retry_of))
        with translating_errors():
            for start in range(0, len(parents), _IN_ONE_QUERY):
                named = FieldFilter("retry_of", "in", parents[start : start + _IN_ONE_QUERY])
                for row in self._database.rows(self._jobs().where(filter=named).select(LISTED)):
                    job = job_or_failed(row, with_detail=False)
                    if wanted.matches(job):
                        yield job

    def _query(self, wanted: JobFilter) -> Query:
        """Newest first, by status, type and time."""
        query = newest_first(self._jobs(), "created_at")
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
        with translating_errors():
            document = self._database.read(self._plan(job_id))
            packed = chunked_blobs.body_of(document, self._database) if document.exists else None
        if packed is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return packing.unpack_plan(packed, f"plan of job {job_id}")

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        query = self._jobs().where(filter=FieldFilter("notice_due_at", "<=", now)).order_by("notice_due_at")
        with translating_errors():
            return [UUID(document.id) for document in self._database.rows(query.select(["notice_due_at"]))]

    # Retention. The job is deleted last, so that an interrupted deletion is continued by the next one.

    def delete_finished(self, before: datetime) -> int:
        query = self._jobs().where(filter=FieldFilter("ended_at", "<", before)).order_by("ended_at")
        removed = 0
        with translating_errors():
            for document in list(self._database.rows(query.select(["ended_at"]))):
                job_id = UUID(document.id)
                self._ledger.remove(job_id)
                self._database.remove(chunked_blobs.references_of(self._plan(job_id), self._database))
                self._database.remove([document.reference])
                removed += 1
        return removed
