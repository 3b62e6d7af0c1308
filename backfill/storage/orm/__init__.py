"""The adapter for Django's databases: SQLite and PostgreSQL."""

from backfill.storage.base import Storage
from backfill.storage.orm.jobs import OrmJobStorage
from backfill.storage.orm.snapshots import OrmSnapshotStorage

__all__ = ["open_storage"]


def open_storage() -> Storage:
    return Storage(OrmJobStorage(), OrmSnapshotStorage())
