"""The adapter for Django's databases: SQLite and PostgreSQL."""

from backfill.storage.orm.jobs import OrmJobStorage
from backfill.storage.orm.snapshots import OrmSnapshotStorage
from backfill.storage.ports import Storage

__all__ = ["open_storage"]


def open_storage() -> Storage:
    return Storage(OrmJobStorage(), OrmSnapshotStorage())
