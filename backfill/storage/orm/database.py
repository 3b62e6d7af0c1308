"""What both halves of the adapter need of the database: transactions, the fence, and errors translated once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connection, transaction

from backfill.errors import LeaseLost, StorageUnavailable
from backfill.models import BackfillJob
from backfill.storage.ports import Fence


@contextmanager
def answering() -> Iterator[None]:
    """Every driver error leaves as StorageUnavailable, chained; the broken connection is not used again."""
    try:
        yield
    except (DatabaseError, InterfaceError) as exc:
        if not connection.in_atomic_block:
            connection.close()
        raise StorageUnavailable(f"The job store does not answer: {str(exc).strip() or type(exc).__name__}.") from exc


@contextmanager
def transacting() -> Iterator[None]:
    """A transaction, and what `answering` does around it."""
    with answering(), transaction.atomic():
        yield


def check_fence(fence: Fence | None) -> None:
    """Inside a transaction: LeaseLost where the claim no longer holds. Who would take it over waits for the commit."""
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
