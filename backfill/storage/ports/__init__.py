"""The ports: interfaces of a storage adapter.

Adapters guarantee atomicity and order, and raise StorageUnavailable for every driver error.
"""

from __future__ import annotations

from dataclasses import dataclass

from backfill.storage.ports.audit import AuditStorage
from backfill.storage.ports.calendars import CalendarStorage
from backfill.storage.ports.control import ControlStorage
from backfill.storage.ports.jobs import JobStorage
from backfill.storage.ports.ledger import LedgerStorage
from backfill.storage.ports.results import ResultStorage
from backfill.storage.ports.snapshots import SnapshotStorage
from backfill.storage.ports.targets import TargetStorage
from backfill.storage.ports.values import Change, Creation, Fence, Page, SnapshotKey, TimedKey

__all__ = [
    "AuditStorage",
    "CalendarStorage",
    "Change",
    "ControlStorage",
    "Creation",
    "Fence",
    "JobStorage",
    "LedgerStorage",
    "Page",
    "ResultStorage",
    "SnapshotKey",
    "SnapshotStorage",
    "Storage",
    "TargetStorage",
    "TimedKey",
]


@dataclass(frozen=True)
class Storage:
    """The ports of one adapter over one store."""

    jobs: JobStorage
    ledger: LedgerStorage
    audit: AuditStorage
    control: ControlStorage
    snapshots: SnapshotStorage
    results: ResultStorage
    calendars: CalendarStorage
    targets: TargetStorage
