"""The adapter for Django's databases: SQLite and PostgreSQL."""

from backfill.storage.orm.audit import OrmAuditStorage
from backfill.storage.orm.calendars import OrmCalendarStorage
from backfill.storage.orm.control import OrmControlStorage
from backfill.storage.orm.jobs import OrmJobStorage
from backfill.storage.orm.ledger import OrmLedgerStorage
from backfill.storage.orm.results import OrmResultStorage
from backfill.storage.orm.snapshots import OrmSnapshotStorage
from backfill.storage.orm.targets import OrmTargetStorage
from backfill.storage.ports import Storage

__all__ = ["open_storage"]


def open_storage() -> Storage:
    return Storage(
        jobs=OrmJobStorage(),
        ledger=OrmLedgerStorage(),
        audit=OrmAuditStorage(),
        control=OrmControlStorage(),
        snapshots=OrmSnapshotStorage(),
        results=OrmResultStorage(),
        calendars=OrmCalendarStorage(),
        targets=OrmTargetStorage(),
    )
