"""The audit log in Django's database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from backfill.domain import Actor, AuditAction, AuditEntry, Channel
from backfill.errors import CorruptRecord
from backfill.models import AuditRecord
from backfill.storage.orm.database import atomic, older_than, translating_errors
from backfill.storage.ports import AuditStorage, Change, Page, TimedKey

T = TypeVar("T")


def append(entries: Iterable[AuditEntry]) -> None:
    """Insert audit entries; call this inside the transaction of the audited change."""
    AuditRecord.objects.bulk_create(
        AuditRecord(
            id=entry.id,
            at=entry.at,
            operator=entry.actor.operator,
            channel=str(entry.actor.channel),
            action=str(entry.action),
            job_id=entry.job_id,
            changes={name: list(pair) for name, pair in entry.changes.items()},
        )
        for entry in entries
    )


def audited(before: T, change: Callable[[T], T], audit: Callable[[T, T], AuditEntry] | None) -> Change[T]:
    """Return the changed value, and append its audit entry; call this inside the transaction that stores the value.

    A change that changes nothing has no entry.
    """
    after = change(before)
    if after == before:
        return Change(before, before)
    entry = audit(before, after) if audit else None
    if entry is not None:
        append([entry])
    return Change(before, after, entry)


def _entry_of(row: AuditRecord) -> AuditEntry:
    try:
        return AuditEntry(
            id=row.id,
            at=row.at,
            actor=Actor(row.operator, Channel(row.channel)),
            action=AuditAction(row.action),
            job_id=row.job_id,
            changes={name: (before, after) for name, (before, after) in row.changes.items()},
        )
    except (AttributeError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"Audit entry {row.id} cannot be read: {exc!r}.") from exc


class OrmAuditStorage(AuditStorage):
    def page(self, job_id: UUID | None, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[AuditEntry]:
        rows = AuditRecord.objects.order_by("-at", "-id")
        if job_id is not None:
            rows = rows.filter(job_id=job_id)
        following = rows.filter(older_than("at", after)) if after else rows
        with translating_errors():
            return Page([_entry_of(row) for row in following[offset : offset + limit]], rows.count())

    def add(self, entries: Sequence[AuditEntry]) -> None:
        with atomic():
            stored = set(AuditRecord.objects.filter(id__in=[e.id for e in entries]).values_list("id", flat=True))
            append(entry for entry in entries if entry.id not in stored)

    def delete_before(self, before: datetime) -> int:
        with atomic():
            return AuditRecord.objects.filter(at__lt=before).delete()[0]
