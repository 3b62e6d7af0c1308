"""A database whose schema is not that of this version of the service is reported as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, ProgrammingError, connection, migrations
from django.db.migrations.operations.base import Operation
from django.test import Client

from backfill.api.exceptions import error_spec
from backfill.errors import StorageUnavailable
from backfill.storage import Storage
from backfill.storage.orm import database
from tests.contract.backends import ORM_BACKENDS, Backend
from tests.factories import JobFactory, PlanFactory

ROOT = Path(__file__).resolve().parents[2]
MESSAGE = "The database does not have the schema of this version of the service: "
ADVICE = "Run manage.py migrate of the newest version in use."

FIRST_CHECKED = "0009"
"""Migrations before this one renamed columns; the versions before it ran nowhere but on the machines of developers."""

on_databases = pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)


@contextmanager
def changed(statement: str, reverse: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(reverse)


@on_databases
@pytest.mark.parametrize(
    ("statement", "reverse"),
    [
        (
            "ALTER TABLE backfill_backfilljob RENAME COLUMN notes TO former",
            "ALTER TABLE backfill_backfilljob RENAME COLUMN former TO notes",
        ),
        (
            "ALTER TABLE backfill_backfilljob RENAME TO former_jobs",
            "ALTER TABLE former_jobs RENAME TO backfill_backfilljob",
        ),
    ],
    ids=["a missing column", "a missing table"],
)
def test_a_missing_part_of_the_schema_is_not_reported_as_an_outage(
    storage: Storage, statement: str, reverse: str
) -> None:
    def create() -> object:
        return storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None)

    with changed(statement, reverse):
        for call in (storage.jobs.active, create):
            with pytest.raises(StorageUnavailable) as raised:
                call()
            assert raised.value.message.startswith(MESSAGE)
            assert raised.value.message.endswith(ADVICE)
    create()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_column_of_a_newer_version_that_requires_a_value_is_not_reported_as_an_outage(storage: Storage) -> None:
    with (
        changed(
            "ALTER TABLE backfill_backfilljob ADD COLUMN newer integer NOT NULL",
            "ALTER TABLE backfill_backfilljob DROP COLUMN newer",
        ),
        pytest.raises(StorageUnavailable, match=MESSAGE),
    ):
        storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None)


@on_databases
def test_a_store_whose_migrations_are_not_applied_is_not_ready(
    storage: Storage, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The servers of a new version that start too early get no requests, until `migrate` has run."""
    monkeypatch.setattr(database, "_migrated", set())
    with changed(
        "UPDATE django_migrations SET name = 'former' WHERE app = 'backfill' AND name = '0010_calendar_claim'",
        "UPDATE django_migrations SET name = '0010_calendar_claim' WHERE name = 'former'",
    ):
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=rf"{MESSAGE}not applied: backfill\.0010_calendar_claim"):
                storage.control.ping()
    storage.control.ping()
    assert database._migrated == {connection.settings_dict["NAME"]}


def test_missing_tables_of_accounts_are_named_in_the_api() -> None:
    error = error_spec(OperationalError()).error_for(OperationalError("no such table: accounts_apitoken"))
    assert (error.status, error.code) == (503, "STORAGE_UNAVAILABLE")
    assert error.message == f"{MESSAGE}no such table: accounts_apitoken. {ADVICE}"
    outage = error_spec(OperationalError()).error_for(OperationalError("disk I/O error"))
    assert outage.message == "The database of accounts and sessions does not respond. Try again in a moment."


@pytest.mark.django_db
def test_missing_tables_of_sessions_are_named_in_the_admin(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: SessionStore) -> Any:
        raise ProgrammingError("no such table: django_session")

    monkeypatch.setattr(SessionStore, "load", fail)
    client.cookies["sessionid"] = "a-session"
    response = client.get("/admin/backfill/")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.content.decode() == f"{MESSAGE}no such table: django_session. {ADVICE}"


def test_the_previous_version_works_on_the_schema_of_each_migration() -> None:
    """A column that is added has a default of the database or may be empty, and nothing is removed or renamed."""
    for app in ("backfill", "accounts"):
        for path in sorted((ROOT / app / "migrations").glob("[0-9]*.py")):
            if app == "backfill" and path.stem < FIRST_CHECKED:
                continue
            migration = import_module(f"{app}.migrations.{path.stem}").Migration
            refused = [operation for operation in migration.operations if not _is_compatible(operation)]
            assert not refused, f"{app} {path.stem}: {refused}"


def _is_compatible(operation: Operation) -> bool:
    if isinstance(operation, migrations.AddField):
        return operation.field.null or operation.field.has_db_default()
    kinds = (
        migrations.CreateModel,
        migrations.AddIndex,
        migrations.RemoveIndex,
        migrations.AlterModelOptions,
        migrations.AlterModelManagers,
        migrations.RunPython,
    )
    return isinstance(operation, kinds)
