"""Errors of every class of the database drivers are reported as an unavailable store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import django.db
import psycopg
import psycopg.errors
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from backfill.errors import StorageUnavailable
from backfill.storage import Storage
from backfill.storage.orm.database import atomic, translating_errors
from tests.contract.backends import ORM_BACKENDS, Backend
from tests.contract.test_job_storage import CALLS


def with_subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from with_subclasses(subclass)


DJANGO_ERRORS = [kind for kind in with_subclasses(django.db.Error) if kind.__module__ == "django.db.utils"]
"""Those that Django raises instead of the errors of a driver."""

DRIVERS = {"sqlite": sqlite3.Error, "postgresql": psycopg.Error}


@pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)
def test_an_error_of_every_class_is_translated(backend: Backend, django_db_blocker: DjangoDbBlocker) -> None:
    """R10.1: also the classes that Django does not wrap, within and outside of a transaction."""
    with django_db_blocker.unblock(), backend.opened():
        driver = DRIVERS[connection.vendor]
        kinds = {*with_subclasses(driver), *DJANGO_ERRORS}
        assert len(kinds) > 250 or connection.vendor == "sqlite"
        for kind in kinds:
            for block in (translating_errors, atomic):
                with pytest.raises(StorageUnavailable) as raised, block():
                    raise kind("the connection is lost")
                assert ": the connection is lost." in raised.value.message, "Some classes name the schema instead."


@pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_each_port_translates_an_error_that_django_does_not_wrap(
    call: Callable[[Storage], object], storage: Storage
) -> None:
    def fail(*_: Any) -> None:
        raise DRIVERS[connection.vendor]("the connection is lost")

    with connection.execute_wrapper(fail), pytest.raises(StorageUnavailable, match="the connection is lost"):
        call(storage)
    storage.control.ping()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_connection_that_cannot_be_closed_is_an_outage_as_well(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        raise psycopg.Error("the socket is gone")

    storage.control.ping()
    broken = connection.connection
    with monkeypatch.context() as patch:
        patch.setattr(broken, "close", close)
        with pytest.raises(StorageUnavailable, match="the connection is lost"), translating_errors():
            raise psycopg.errors.AdminShutdown("the connection is lost")
        storage.control.ping()
    broken.close()
