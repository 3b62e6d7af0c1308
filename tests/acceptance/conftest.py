"""Fixtures of the acceptance tests: dashboards and sites made of real processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from tests import shared
from tests.acceptance.harness import PEER, Dashboard, Site
from tests.firestore_emulator import Emulator, EmulatorMissing, Gate, environment, new_project, shared_port

POSTGRES = os.environ.get("BACKFILL_TEST_POSTGRES_URL", "postgres://root@127.0.0.1:5432/postgres")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, which mostly wait for their processes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.waits)


@pytest.fixture(scope="session")
def sample_dashboard() -> Iterator[Dashboard]:
    dashboard = Dashboard.sample("--districts", "6", "--clubs", "12")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def sample(sample_dashboard: Dashboard) -> Dashboard:
    """The sample dashboard with an empty log and without faults."""
    sample_dashboard.forget()
    return sample_dashboard


@pytest.fixture
def real_world() -> Iterator[Dashboard]:
    if not PEER.exists():
        pytest.skip("The real exports are missing (../shared/dashboard is not part of the repository).")
    dashboard = Dashboard.peer("--world", "real")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def peer() -> Iterator[Dashboard]:
    if not PEER.exists():
        pytest.skip("The stand-in dashboard is missing (../shared/dashboard is not part of the repository).")
    dashboard = Dashboard.peer("--world", "synthetic", "--districts", "5", "--clubs", "8")
    yield dashboard
    dashboard.stop()


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return a function that creates a site over SQLite, or over the database with the given URL."""
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
        psycopg.connect(POSTGRES, connect_timeout=5).close()
    except psycopg.OperationalError:
        message = "PostgreSQL does not answer on 127.0.0.1:5432; set BACKFILL_TEST_POSTGRES_URL to one that does."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    url = f"{POSTGRES.rpartition('/')[0]}/backfill_acceptance_{uuid.uuid4().hex[:12]}"
    yield url
    shared.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of each kind, which the site creates."""
    with _database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def firestore_port() -> int:
    """The port of the shared emulator."""
    try:
        return shared_port()
    except EmulatorMissing as exc:
        return _missing_emulator(exc)


@pytest.fixture
def firestore(firestore_port: int) -> dict[str, str]:
    """The environment of a site with its own Firestore project for jobs; users and tokens are in its database."""
    return environment(f"127.0.0.1:{firestore_port}", project=new_project())


@dataclass(frozen=True)
class OwnFirestore:
    """An emulator and a proxy to it, which can be closed."""

    emulator: Emulator
    gate: Gate

    @property
    def env(self) -> dict[str, str]:
        return environment(self.gate.host)


@pytest.fixture
def own_firestore(tmp_path: Path) -> Iterator[OwnFirestore]:
    """An emulator that the test can stop."""
    emulator = Emulator(tmp_path)
    try:
        emulator.start()
    except EmulatorMissing as exc:
        _missing_emulator(exc)
    gate = Gate(emulator.port)
    yield OwnFirestore(emulator, gate)
    gate.close()
    emulator.kill()


def _missing_emulator(exc: EmulatorMissing) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(str(exc))
    pytest.skip(str(exc))


@pytest.fixture(params=["sqlite", "postgresql", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a site over an empty store of each kind."""
    if request.param == "firestore":
        yield request.getfixturevalue("firestore")
        return
    with _database(request.param, tmp_path) as url:
        yield {"DATABASE_URL": url}
