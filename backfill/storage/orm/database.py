"""Transactions, fences and translation of errors for all ports of the ORM adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

from django.db import Error, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import Q, QuerySet

from backfill.errors import LeaseLost, StorageUnavailable
from backfill.models import BackfillJob
from backfill.storage.database_messages import message_of, schema_message
from backfill.storage.ports import Fence, TimedKey

_migrated: set[str] = set()
"""The databases that have been found to be migrated."""

_BATCH = 2000
"""Rows that one query reads of a long list."""


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raise StorageUnavailable for every driver error; outside a transaction, close the broken connection.

    Django replaces most errors of the driver by its own. Those that the driver raises while it closes a cursor or a
    connection arrive as they are.
    """
    driver_error: type[Exception] = connection.Database.Error  # type: ignore[attr-defined]  # of every backend
    try:
        yield
    except (Error, driver_error) as exc:
        if not connection.in_atomic_block:
            with suppress(Error, driver_error):  # the connection is dropped even if it cannot be closed
                connection.close()
        raise StorageUnavailable(message_of(exc)) from exc


@contextmanager
def atomic() -> Iterator[None]:
    """Open a transaction and translate driver errors."""
    with translating_errors(), transaction.atomic():
        yield


def behind(day: date, district: str) -> Q:
    """The rows after a key in the order (date, district). The first condition lets the database seek in its index."""
    return Q(date__gte=day) & (Q(date__gt=day) | Q(district__gt=district))


def older_than(field: str, key: TimedKey) -> Q:
    """The rows after a key in the order (-field, -id)."""
    at, row_id = key
    return Q((f"{field}__lte", at)) & (Q((f"{field}__lt", at)) | Q(id__lt=row_id))


def check_migrations() -> None:
    """Raise StorageUnavailable unless the migrations of this version are applied."""
    name = str(connection.settings_dict["NAME"])
    if name in _migrated:
        return
    with translating_errors():
        loader = MigrationLoader(connection)
    applied = loader.applied_migrations or {}
    missing = sorted(node for node in loader.graph.nodes if node[0] == "backfill" and node not in applied)
    if missing:
        raise StorageUnavailable(schema_message(f"not applied: {', '.join('.'.join(node) for node in missing)}"))
    _migrated.add(name)


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


def in_batches(rows: QuerySet[Any, tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows that begin with their date and district, and are ordered by them, with one short query for each batch.

    A cursor that stays open would occupy a connection of a pooler, and SQLite refuses a write on a connection with an
    open query that another writer has overtaken.
    """
    following = rows
    while True:
        with translating_errors():
            found = list(following[:_BATCH])
        yield from found
        if len(found) < _BATCH:
            return
        day, district = found[-1][:2]
        following = rows.filter(behind(day, district))
