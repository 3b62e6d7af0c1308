"""The stores that the contract is shown on. Another adapter joins the suite as one more entry of BACKENDS."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import psycopg
import requests
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from backfill.errors import StorageUnavailable
from backfill.storage import Storage, open_storage
from tests.firestore_emulator import EmulatorMissing, Gate, environment, new_project, shared_port
from tests.memory_storage import MemoryStorage

DAMAGE = b"\x78\x9c damaged"
"""What looks like packed bytes and is not."""


class BackendMissing(Exception):
    """A server that a backend needs does not answer; the message says what to do."""


class Backend(ABC):
    """An adapter over a store of its own. A value that can be pickled, so that other processes open the same store."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Storage]:
        """Within it this process works with that store, in every thread."""

    def patient(self) -> Backend:
        """The same store for processes that compete for it, which on a busy machine takes any time."""
        return self

    # The others are called while it is opened.

    @abstractmethod
    def prepare(self) -> None:
        """What a new store needs once."""

    @abstractmethod
    def clear(self) -> None:
        """Remove everything that is stored."""

    @abstractmethod
    def out_of_reach(self) -> AbstractContextManager[None]:
        """Within it the store does not answer; connections that were open are broken."""

    @abstractmethod
    def damage_plan(self, job_id: UUID) -> None: ...

    @abstractmethod
    def damage_job(self, job_id: UUID) -> None: ...

    @abstractmethod
    def damage_segment(self, job_id: UUID, number: int) -> None: ...

    @abstractmethod
    def damage_snapshot(self, day: date, district: str) -> None: ...

    @abstractmethod
    def damage_result(self, day: date, district: str) -> None: ...


@dataclass(frozen=True)
class OrmBackend(Backend):
    """The ORM adapter over one database, which stands in for Django's `default` while it is opened."""

    database: Mapping[str, Any]

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        # What stands there now is put back as it was: pytest-django may have a database of its own behind it.
        settings_before, connection_before = connections.settings["default"], connections["default"]
        connections.settings["default"] = connections.configure_settings({"default": deepcopy(dict(self.database))})[
            "default"
        ]
        del connections["default"]
        try:
            yield open_storage("orm")
        finally:
            connections["default"].close()
            connections.settings["default"] = settings_before
            connections["default"] = connection_before

    def prepare(self) -> None:
        call_command("migrate", "backfill", verbosity=0)

    def clear(self) -> None:
        from django.apps import apps

        for model in apps.get_app_config("backfill").get_models():
            model._default_manager.all().delete()

    def damage_plan(self, job_id: UUID) -> None:
        from backfill.models import BackfillJob

        assert BackfillJob.objects.filter(pk=job_id).update(plan=DAMAGE)

    def damage_job(self, job_id: UUID) -> None:
        from backfill.models import BackfillJob

        assert BackfillJob.objects.filter(pk=job_id).update(config=[])

    def damage_segment(self, job_id: UUID, number: int) -> None:
        from backfill.models import Checkpoint

        assert Checkpoint.objects.filter(job_id=job_id, number=number).update(outcomes=DAMAGE)

    def damage_snapshot(self, day: date, district: str) -> None:
        from backfill.models import StoredSnapshot

        assert StoredSnapshot.objects.filter(date=day, district=district).update(content=DAMAGE)

    def damage_result(self, day: date, district: str) -> None:
        from backfill.models import StoredResult

        assert StoredResult.objects.filter(date=day, district=district).update(body=DAMAGE)


@dataclass(frozen=True)
class SqliteBackend(OrmBackend):
    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Its folder is moved away."""
        connection.close()
        folder = Path(str(self.database["NAME"])).parent
        away = folder.rename(folder.with_name(folder.name + "-away"))
        try:
            yield
        finally:
            away.rename(folder)


@dataclass(frozen=True)
class PostgresBackend(OrmBackend):
    server: str
    """The address of a database on the same server, from which this one is made, shut and removed."""

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """It lets nobody in, and throws everybody out."""
        name = sql.Identifier(self.database["NAME"])
        with psycopg.connect(self.server, autocommit=True) as server:
            server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
            try:
                self.end_connections(server)
                yield
            finally:
                server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))

    def end_connections(self, server: psycopg.Connection[Any]) -> None:
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [self.database["NAME"]]
        )


@dataclass(frozen=True)
class MemoryBackend(Backend):
    """The adapter of the unit tests. Other processes cannot open its store."""

    storage: MemoryStorage

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        yield self.storage

    def prepare(self) -> None:
        """Do nothing: an empty store is ready."""

    def clear(self) -> None:
        self.storage.clear()

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        self.storage.store.is_down = True
        try:
            yield
        finally:
            self.storage.store.is_down = False

    def damage_plan(self, job_id: UUID) -> None:
        self.storage.jobs.plans[job_id] = DAMAGE

    def damage_job(self, job_id: UUID) -> None:
        self.storage.jobs.damage(job_id)

    def damage_segment(self, job_id: UUID, number: int) -> None:
        self.storage.ledger.rows[job_id][number] = DAMAGE

    def damage_snapshot(self, day: date, district: str) -> None:
        self.storage.snapshots.damaged.add((day, district))

    def damage_result(self, day: date, district: str) -> None:
        self.storage.results.damaged.add((day, district))


@contextmanager
def _memory(_folder: Path) -> Iterator[Backend]:
    yield MemoryBackend(MemoryStorage())


def _as_the_project_opens(url: str) -> dict[str, Any]:
    from backfill_site.settings import _database

    return _database(url)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Backend]:
    """A file."""
    place = folder / "store"
    place.mkdir()
    yield SqliteBackend(_as_the_project_opens(f"sqlite:///{place / 'backfill.sqlite3'}"))


@contextmanager
def _postgresql(_folder: Path) -> Iterator[Backend]:
    """A database of its own on the server of BACKFILL_TEST_POSTGRES_URL, removed afterwards."""
    url = os.environ.get("BACKFILL_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    try:
        server = psycopg.connect(url, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as exc:
        raise BackendMissing(
            f"PostgreSQL does not answer at {url}; start it, or name another in "
            f"BACKFILL_TEST_POSTGRES_URL. {str(exc).splitlines()[0]}"
        ) from exc
    name = f"backfill_test_{uuid4().hex[:12]}"
    with server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield PostgresBackend({**_as_the_project_opens(url), "NAME": name}, url)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(frozen=True)
class FirestoreBackend(Backend):
    """A project on the emulator."""

    host: str
    prefix: str
    project: str
    max_wait: float = 0.5
    """Seconds for which a call is retried: few, since tests wait for the end of them."""

    def patient(self) -> Backend:
        return replace(self, max_wait=60.0)

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        with mock.patch.dict(os.environ, environment(self.host, self.prefix, self.project)):
            yield _firestore_storage(self.prefix, self.max_wait)

    def through(self, *interceptors: Any, max_wait: float = 3.0) -> Storage:
        """A storage of a process of its own, as it were, over the same documents; its calls pass the interceptors."""
        from backfill.storage.firestore import storage_over
        from backfill.storage.firestore.client import Connection

        connection = Connection(interceptors=interceptors)
        return storage_over(connection, prefix=self.prefix, retention=timedelta(days=30), max_wait=max_wait)

    def prepare(self) -> None:
        """Wait until the emulator, which may have started just now, answers in time."""
        self._wait_until_connected()

    def clear(self) -> None:
        requests.delete(
            f"http://{self.host}/emulator/v1/projects/{self.project}/databases/(default)/documents", timeout=30
        ).raise_for_status()

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Nobody comes through to it, and who was connected is thrown out."""
        gate = _gates[self.host]
        gate.close()
        try:
            yield
        finally:
            gate.open()
            self._wait_until_connected()

    def _wait_until_connected(self) -> None:
        """gRPC looks for what was away twice a second at best, more seldom on a busy machine."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return _firestore_storage(self.prefix, self.max_wait).control.ping()
            except StorageUnavailable:
                if time.monotonic() > deadline:
                    raise

    def _damage(self, *path: str, **fields: bytes) -> None:
        from google.cloud import firestore

        firestore.Client().document(self.prefix, "v1", *path).update(fields)

    def damage_plan(self, job_id: UUID) -> None:
        self._damage("plans", str(job_id), body=DAMAGE)

    def damage_job(self, job_id: UUID) -> None:
        self._damage("jobs", str(job_id), body=DAMAGE)

    def damage_segment(self, job_id: UUID, number: int) -> None:
        self._damage("jobs", str(job_id), "segments", f"{number:07d}", body=DAMAGE)

    def damage_snapshot(self, day: date, district: str) -> None:
        self._damage("snapshots", f"{day}_{district}", body=DAMAGE)

    def damage_result(self, day: date, district: str) -> None:
        self._damage("results", f"{day}_{district}", body=DAMAGE)


_gates: dict[str, Gate] = {}
"""The way to each emulator that this process has started."""


@cache
def _firestore_storage(prefix: str, max_wait: float) -> Storage:
    """One a process: a client is not made for each test."""
    from backfill.storage.firestore import storage_over
    from backfill.storage.firestore.client import Connection

    return storage_over(Connection(), prefix=prefix, retention=timedelta(days=30), max_wait=max_wait)


@contextmanager
def _firestore(_folder: Path) -> Iterator[Backend]:
    """A project of its own on the emulator that all processes of the run share."""
    try:
        gate = Gate(shared_port())
    except EmulatorMissing as exc:
        raise BackendMissing(str(exc)) from exc
    _gates[gate.host] = gate
    try:
        yield FirestoreBackend(gate.host, f"contract-{uuid4().hex[:8]}", new_project())
    finally:
        gate.close()


BACKENDS: dict[str, Callable[[Path], AbstractContextManager[Backend]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "firestore": _firestore,
}
"""Name to what makes a store in a folder, and takes it away again."""

SHARED_BACKENDS = ("sqlite", "postgresql", "firestore")
"""The adapters whose store several processes can open."""

ORM_BACKENDS = ("sqlite", "postgresql")
