"""What the acceptance tests stand on: dashboards and sites made of real processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.harness import PEER, Dashboard, Site
from tests.firestore_emulator import Emulator, EmulatorMissing, Gate, environment

POSTGRES = os.environ.get("BACKFILL_TEST_POSTGRES_URL", "postgres://root@127.0.0.1:5432/postgres")


@pytest.fixture
def sample() -> Iterator[Dashboard]:
    dashboard = Dashboard.sample("--districts", "6", "--clubs", "12")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def real_world() -> Iterator[Dashboard]:
    if not PEER.exists():
        pytest.skip("The real exports are not here (../shared/dashboard is no part of the project).")
    dashboard = Dashboard.peer("--world", "real")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def peer() -> Iterator[Dashboard]:
    if not PEER.exists():
        pytest.skip("The stand-in dashboard is not here (../shared/dashboard is no part of the project).")
    dashboard = Dashboard.peer("--world", "synthetic", "--districts", "5", "--clubs", "8")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site over SQLite, or over another database where its address is given."""
    sites: list[Site] = []

    def make(dashboard: Dashboard, database_url: str = "", **env: str) -> Site:
        site = Site(tmp_path, database_url or f"sqlite:///{tmp_path}/site.sqlite3", dashboard.url, env)
        site.prepare()
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/site.sqlite3"
        return
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        message = "PostgreSQL does not answer on 127.0.0.1:5432; set BACKFILL_TEST_POSTGRES_URL to one that does."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    name = f"backfill_acceptance_{uuid.uuid4().hex[:12]}"
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield POSTGRES.rpartition("/")[0] + f"/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of each kind."""
    with _database(request.param, tmp_path) as url:
        yield url


@dataclass(frozen=True)
class Firestore:
    """An emulator and the only way to it, which can be shut."""

    emulator: Emulator
    gate: Gate

    @property
    def env(self) -> dict[str, str]:
        """Of a site that keeps its jobs there, under names of its own; users and tokens stay in its database."""
        return environment(self.gate.host)


@pytest.fixture(scope="session")
def firestore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firestore]:
    emulator = Emulator(tmp_path_factory.mktemp("firestore"))
    try:
        emulator.start()
    except EmulatorMissing as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    gate = Gate(emulator.port)
    yield Firestore(emulator, gate)
    gate.close()
    emulator.kill()


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("firestore", marks=pytest.mark.xdist_group("firestore"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a site over an empty store of each kind."""
    if request.param == "firestore":
        firestore: Firestore = request.getfixturevalue("firestore")
        yield firestore.env
        return
    with _database(request.param, tmp_path) as url:
        yield {"DATABASE_URL": url}
