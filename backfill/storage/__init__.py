"""Storage of jobs, snapshots and results. The adapter is selected by name; only the selected one is imported."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from backfill.storage.ports import (
    AuditStorage,
    CalendarStorage,
    Change,
    ControlStorage,
    Creation,
    Fence,
    JobStorage,
    LedgerStorage,
    Page,
    ResultStorage,
    SnapshotKey,
    SnapshotStorage,
    Storage,
    TargetStorage,
    TimedKey,
)

ADAPTERS = {"orm": "backfill.storage.orm", "firestore": "backfill.storage.firestore"}
"""Values of the setting BACKFILL_STORAGE and the modules whose `open_storage()` returns the storage."""

__all__ = [
    "ADAPTERS",
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
    "open_storage",
]


@cache
def open_storage(name: str) -> Storage:
    """Return the process's storage of that name. Raises ValueError for an unknown name."""
    try:
        module = import_module(ADAPTERS[name])
    except KeyError:
        raise ValueError(f"BACKFILL_STORAGE is {name!r}; it must be one of: {', '.join(ADAPTERS)}.") from None
    storage: Storage = module.open_storage()
    return storage
