"""Transactions, fences and translation of errors for all ports of the ORM adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q

from backfill.errors import LeaseLost, StorageUnavailable
from backfill.models import BackfillJob
from backfill.storage.ports import Fence, TimedKey


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raise StorageUnavailable for every driver error; outside a transaction, close the broken connection."""
    try:
        yield
    except (DatabaseError, InterfaceError) as exc:
        if not connection.in_atomic_block:
            connection.close()
        raise StorageUnavailable(f"The job store does not answer: {str(exc).strip() or type(exc).__name__}.") from exc


@contextmanager
def atomic() -> Iterator[None]:
    """Open a transaction and translate driver errors."""
    with translating_errors(), transaction.atomic():
        yield


def older_than(field: str, key: TimedKey) -> Q:
    """The rows after a key in the order (-field, -id). The first condition lets the database seek in its index."""
    at, row_id = key
    return Q((f"{field}__lte", at)) & (Q((f"{field}__lt", at)) | Q(id__lt=row_id))


def check_fence(fence: Fence | None) -> None:
    """Raise LeaseLost if the claim no longer holds. Call this inside a transaction.

    The row of the job is locked, so that a takeover waits for the commit.
    """
    if fence is None:
        return
    row = (
        BackfillJob.objects.select_for_update(of=("self",))
        .filter(pk=fence.job_id)
        .values_list("token", "lease_owner")
        .first()
    )
    if row is None or row[0] != fence.token or not row[1]:
        raise LeaseLost(f"Job {fence.job_id} has been taken over; nothing was written.")
