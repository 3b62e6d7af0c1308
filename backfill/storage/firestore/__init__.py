"""The adapter for Google Firestore. `database` describes the layout of the documents."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.calendars import FirestoreCalendarStorage
from backfill.storage.firestore.client import Connection
from backfill.storage.firestore.control import FirestoreControlStorage
from backfill.storage.firestore.database import MAX_WAIT, Database
from backfill.storage.firestore.jobs import FirestoreJobStorage
from backfill.storage.firestore.ledger import FirestoreLedgerStorage
from backfill.storage.firestore.results import FirestoreResultStorage
from backfill.storage.firestore.snapshots import FirestoreSnapshotStorage
from backfill.storage.firestore.targets import FirestoreTargetStorage
from backfill.storage.ports import Storage

__all__ = ["open_storage", "storage_over"]


def open_storage() -> Storage:
    """Return the storage that the settings describe. It connects at the first call of a port."""
    return storage_over(
        Connection(database=settings.BACKFILL_FIRESTORE_DATABASE),
        prefix=settings.BACKFILL_FIRESTORE_PREFIX,
        retention=timedelta(days=settings.BACKFILL_RETENTION_DAYS),
    )


def storage_over(connection: Connection, *, prefix: str, retention: timedelta, max_wait: float = MAX_WAIT) -> Storage:
    """Return the storage under one prefix.

    `retention`: how long ended jobs are kept; written to the documents for a TTL policy.
    `max_wait`: seconds for which a call is retried after transient errors.
    """
    database = Database(connection, prefix, max_wait=max_wait)
    audit, ledger = FirestoreAuditStorage(database), FirestoreLedgerStorage(database, retention)
    results = FirestoreResultStorage(database)
    return Storage(
        jobs=FirestoreJobStorage(database, retention, ledger, audit),
        ledger=ledger,
        audit=audit,
        control=FirestoreControlStorage(database, audit),
        snapshots=FirestoreSnapshotStorage(database, results, audit),
        results=results,
        calendars=FirestoreCalendarStorage(database),
        targets=FirestoreTargetStorage(database, audit),
    )
