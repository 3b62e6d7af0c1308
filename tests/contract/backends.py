"""The stores that the contract suite runs on. To test another adapter, add an entry to BACKENDS."""

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
"""Bytes that begin like compressed data and cannot be decompressed."""


class BackendMissing(Exception):
    """A server that a backend needs is missing. The message says what to do."""


class Backend(ABC):
    """An adapter over its own store. It can be pickled, so that other processes can open the same store."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Storage]:
        """Open the store for all threads of this process."""

    def patient(self) -> Backend:
        """Return the same store with a long time-out, for concurrent processes on a busy machine."""
        return self

    # The methods below are called while the store is open.

    @abstractmethod
    def prepare(self) -> None:
        """Prepare a new store."""

    @abstractmethod
    def clear(self) -> None:
        """Remove everything that is stored."""

    @abstractmethod
    def unavailable(self) -> AbstractContextManager[None]:
        """Make the store unavailable; open connections break."""

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
    """The ORM adapter over one database, which replaces Django's `default` while it is open."""

    database: Mapping[str, Any]

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        # The previous value is restored, since pytest-django may have its own database there.
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
    def unavailable(self) -> Iterator[None]:
        """Move the folder of the file away."""
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
    """The URL of a database on the same server, used to create, close and drop this one."""

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Refuse new connections and end the open ones."""
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
    def unavailable(self) -> Iterator[None]:
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


def _project_database(url: str) -> dict[str, Any]:
    from backfill_site.database_url import database_of

    return database_of(url, Path.cwd())


@contextmanager
def _sqlite(folder: Path) -> Iterator[Backend]:
    """Yield a backend over a new file."""
    store = folder / "store"
    store.mkdir()
    yield SqliteBackend(_project_database(f"sqlite:///{store / 'backfill.sqlite3'}"))


@contextmanager
def _postgresql(_folder: Path) -> Iterator[Backend]:
    """Yield a backend over a new database on the server of BACKFILL_TEST_POSTGRES_URL, and drop it afterwards."""
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
            yield PostgresBackend({**_project_database(url), "NAME": name}, url)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(frozen=True)
class FirestoreBackend(Backend):
    """A project on the emulator."""

    host: str
    prefix: str
    project: str
    max_wait: float = 0.5
    """Seconds for which a call is retried. Short, because tests wait until the retries end."""

    def patient(self) -> Backend:
        return replace(self, max_wait=60.0)

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        with mock.patch.dict(os.environ, environment(self.host, self.prefix, self.project)):
            yield _firestore_storage(self.prefix, self.max_wait)

    def through(self, *interceptors: Any, max_wait: float = 3.0) -> Storage:
        """Return another storage over the same documents, whose calls pass through the interceptors."""
        from backfill.storage.firestore import storage_over
        from backfill.storage.firestore.client import Connection

        connection = Connection(interceptors=interceptors)
        return storage_over(connection, prefix=self.prefix, retention=timedelta(days=30), max_wait=max_wait)

    def prepare(self) -> None:
        """Wait until the emulator responds. It may have just been started."""
        self._wait_until_connected()

    def clear(self) -> None:
        requests.delete(
            f"http://{self.host}/emulator/v1/projects/{self.project}/databases/(default)/documents", timeout=30
        ).raise_for_status()

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Refuse new connections to the emulator and end the open ones."""
        gate = _gates[self.host]
        gate.close()
        try:
            yield
        finally:
            gate.open()
            self._wait_until_connected()

    def _wait_until_connected(self) -> None:
        """Wait for gRPC, which reconnects at most twice a second, and less often on a busy machine."""
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
"""The gate in front of each emulator that this process uses."""


@cache
def _firestore_storage(prefix: str, max_wait: float) -> Storage:
    """Return one storage per process, so that tests share the client."""
    from backfill.storage.firestore import storage_over
    from backfill.storage.firestore.client import Connection

    return storage_over(Connection(), prefix=prefix, retention=timedelta(days=30), max_wait=max_wait)


@contextmanager
def _firestore(_folder: Path) -> Iterator[Backend]:
    """Yield a backend over a new project on the emulator that all processes of the run share."""
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
"""Maps the name of an adapter to a context manager that creates its store in a folder and removes it."""

SHARED_BACKENDS = ("sqlite", "postgresql", "firestore")
"""The adapters whose stores several processes can open."""

ORM_BACKENDS = ("sqlite", "postgresql")
