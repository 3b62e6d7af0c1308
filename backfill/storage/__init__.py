"""Where jobs and snapshots live. The adapter is picked by name, and only the one that is picked is imported."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from backfill.storage.ports import Fence, JobStorage, Page, SnapshotStorage, Storage

ADAPTERS = {"orm": "backfill.storage.orm", "firestore": "backfill.storage.firestore"}
"""Name of the setting BACKFILL_STORAGE to the module whose `open_storage()` makes the storage."""

__all__ = ["ADAPTERS", "Fence", "JobStorage", "Page", "SnapshotStorage", "Storage", "open_storage"]


@cache
def open_storage(name: str) -> Storage:
    """The storage of that name, one a process. ValueError where there is no such adapter."""
    try:
        module = import_module(ADAPTERS[name])
    except KeyError:
        raise ValueError(f"BACKFILL_STORAGE is {name!r}; it must be one of: {', '.join(ADAPTERS)}.") from None
    storage: Storage = module.open_storage()
    return storage
