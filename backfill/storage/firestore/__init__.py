"""The adapter for Google's Firestore. What it stores is laid out in `database`; rules live in the domain."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from backfill.storage.base import Storage
from backfill.storage.firestore.client import Connection
from backfill.storage.firestore.database import PATIENCE, Database
from backfill.storage.firestore.jobs import FirestoreJobStorage
from backfill.storage.firestore.snapshots import FirestoreSnapshotStorage

__all__ = ["open_storage", "storage_over"]


def open_storage() -> Storage:
    """As the settings say. Nothing is asked of Firestore before the first call of a port."""
    return storage_over(
        Connection(database=settings.BACKFILL_FIRESTORE_DATABASE),
        prefix=settings.BACKFILL_FIRESTORE_PREFIX,
        retention=timedelta(days=settings.BACKFILL_RETENTION_DAYS),
    )


def storage_over(connection: Connection, *, prefix: str, retention: timedelta, patience: float = PATIENCE) -> Storage:
    """`retention`: how long ended jobs are kept, for the TTL policy that may remove them.

    `patience`: seconds for which a call that meets trouble is tried again.
    """
    database = Database(connection, prefix, patience=patience)
    return Storage(FirestoreJobStorage(database, retention), FirestoreSnapshotStorage(database))
