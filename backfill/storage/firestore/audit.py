"""The audit log in Firestore: a document per entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from google.cloud.firestore import DocumentReference
from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import Actor, AuditAction, AuditEntry, Channel
from backfill.errors import CorruptRecord
from backfill.storage.firestore.database import Attempt, Database, Document, translating_errors
from backfill.storage.firestore.pages import Pages, newest_first, values_of
from backfill.storage.ports import AuditStorage, Change, Page, TimedKey
from backfill.storage.serialization import packing

T = TypeVar("T")


class FirestoreAuditStorage(AuditStorage):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = Pages(database)

    def append(self, entries: Iterable[AuditEntry], attempt: Attempt) -> None:
        """Add audit entries to the writes of an attempt."""
        for entry in entries:
            attempt.writes.set(self._database.document("audit", str(entry.id)), _entry_to_document(entry))

    def update(
        self,
        reference: DocumentReference,
        read: Callable[[Document], T],
        to_value: Callable[[T], dict[str, Any]],
        change: Callable[[T], T],
        audit: Callable[[T, T], AuditEntry] | None,
    ) -> Change[T]:
        """Change a document and append the audit entry, atomically. A change that changes nothing has no entry."""
        sent: list[Change[T]] = []

        def write(attempt: Attempt) -> Change[T]:
            seen = attempt.read(reference)
            if sent and attempt.is_committed(seen):
                return sent[-1]
            before = read(seen)
            after = change(before)
            if after == before:
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                self.append([entry], attempt)
            attempt.write(seen, attempt.with_change_id(seen, to_value(after)))
            sent.append(Change(before, after, entry))
            attempt.commit()
            return sent[-1]

        with translating_errors():
            return self._database.run(write)

    def page(self, job_id: UUID | None, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[AuditEntry]:
        query = newest_first(self._database.collection("audit"), "at")
        if job_id is not None:
            query = query.where(filter=FieldFilter("job_id", "==", str(job_id)))
        with translating_errors():
            rows, total = self._pages.page(
                query,
                job_id,
                limit=limit,
                offset=offset,
                fields=("at", "job_id", "body"),
                after=values_of("at", after),
            )
        return Page([_entry_of(row) for row in rows], total)

    def add(self, entries: Sequence[AuditEntry]) -> None:
        def write(attempt: Attempt) -> None:
            self.append(entries, attempt)
            attempt.commit()

        with translating_errors():
            self._database.run(write)

    def delete_before(self, before: datetime) -> int:
        query = self._database.collection("audit").where(filter=FieldFilter("at", "<", before)).order_by("at")
        with translating_errors():
            old = [document.reference for document in self._database.rows(query.select(["at"]))]
            self._database.remove(old)
        return len(old)


def _entry_to_document(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "job_id": str(entry.job_id) if entry.job_id else None,
        "body": packing.pack_json(
            {
                "at": entry.at.isoformat(),
                "operator": packing.storable(entry.actor.operator),
                "door": str(entry.actor.channel),
                "deed": str(entry.action),
                "changes": {name: list(pair) for name, pair in entry.changes.items()},
            }
        ),
    }


def _entry_of(document: Document) -> AuditEntry:
    value = document.to_dict() or {}
    try:
        body = packing.unpack_json(bytes(value["body"]), f"audit entry {document.id}")
        return AuditEntry(
            id=UUID(document.id),
            at=datetime.fromisoformat(body["at"]),
            actor=Actor(body["operator"], Channel(body["door"])),
            action=AuditAction(body["deed"]),
            job_id=UUID(value["job_id"]) if value["job_id"] else None,
            changes={name: (before, after) for name, (before, after) in body["changes"].items()},
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"Audit entry {document.id} cannot be read: {exc!r}.") from exc
