"""PostgreSQL behind a PgBouncer with two connections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from backfill_site.database_url import database_of
from tests import shared, template_site
from tests.acceptance.conftest import POSTGRES
from tests.acceptance.harness import Dashboard, Site, eventually, kill_group
from tests.contract.backends import PostgresBackend
from tests.pgbouncer import MISSING, POOL, PROGRAM, PgBouncer, server_connections

DATABASE = f"backfill_pgbouncer_{os.getpid()}"
SERVER = POSTGRES.rpartition("/")[0]


def _skip(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def _pool(mode: str, folder: Path) -> Iterator[PgBouncer]:
    """Yield a pool in front of a new database with an operator."""
    if PROGRAM is None:
        _skip(MISSING)
    try:
        psycopg.connect(POSTGRES, connect_timeout=5).close()
    except psycopg.OperationalError:
        _skip("PostgreSQL does not answer on 127.0.0.1:5432; set BACKFILL_TEST_POSTGRES_URL to one that does.")
    template_site.create(f"{SERVER}/{DATABASE}")
    pool = PgBouncer(folder, mode, POSTGRES)
    try:
        pool.start()
        yield pool
    finally:
        pool.kill()
        shared.drop(f"{SERVER}/{DATABASE}")


@pytest.fixture
def transaction_pool(tmp_path: Path) -> Iterator[PgBouncer]:
    with _pool("transaction", tmp_path) as pool:
        yield pool


@pytest.fixture
def session_pool(tmp_path: Path) -> Iterator[PgBouncer]:
    with _pool("session", tmp_path) as pool:
        yield pool


@pytest.fixture
def new_pooled_site(tmp_path: Path) -> Iterator[Callable[[PgBouncer, Dashboard], Site]]:
    sites: list[Site] = []

    def make(pool: PgBouncer, dashboard: Dashboard) -> Site:
        site = Site(tmp_path, pool.url(DATABASE), dashboard.url, token=template_site.TOKEN)
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


def test_a_job_and_previews_share_two_connections_and_survive_a_killed_pgbouncer(
    sample: Dashboard, transaction_pool: PgBouncer, new_pooled_site: Callable[[PgBouncer, Dashboard], Site]
) -> None:
    """R10.1: more threads than connections, all of which read long lists."""
    site = new_pooled_site(transaction_pool, sample)
    client = site.serve()
    client.set_limits(maxRequestsPerMinute=1200)
    years = {"startDate": "2023-07-01", "endDate": "2025-06-30", "cadence": "month-ends"}

    def preview(_: int) -> int:
        body = {"jobType": "data-collection", **years}
        return client.ask("POST", "/api/admin/backfill/preview", body).status_code

    assert preview(0) == 200  # reads the calendar
    job = client.start(years["startDate"], years["endDate"], cadence="month-ends")
    client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 3, 30, "items settle")
    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(preview, range(60))) == {200}
    assert server_connections(POSTGRES, DATABASE) <= POOL

    transaction_pool.kill()
    eventually(lambda: client.ask("GET", "/readyz").status_code == 503, 30, "readyz reports the outage")
    transaction_pool.start()
    eventually(lambda: client.ask("GET", "/readyz").status_code == 200, 30, "readyz reports the end of the outage")

    ended = client.ended(job["jobId"], 120)
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert len({item["itemId"] for item in items}) == len(items) == ended["progress"]["totalItems"]
    log = site.logs()
    assert "Unexpected error" not in log
    assert "Traceback" not in log
    assert "_django_curs" not in log


def test_a_pool_that_is_too_small_is_named_within_seconds(
    sample: Dashboard, session_pool: PgBouncer, new_pooled_site: Callable[[PgBouncer, Dashboard], Site]
) -> None:
    """In session mode the connections of the pool are taken by the threads that came first."""
    site = new_pooled_site(session_pool, sample)
    site.more_env["BACKFILL_WORKER"] = "off"
    client = site.serve()

    def ready(_: int) -> tuple[int, str, float]:
        began = time.monotonic()
        response = client.ask("GET", "/readyz")
        return response.status_code, response.text, time.monotonic() - began

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ready, range(6)))
    refused = [text for status, text, _ in answers if status == 503]
    assert {status for status, _, _ in answers} == {200, 503}
    assert all("its pool is too small for the number of threads" in text for text in refused)
    assert max(seconds for _, _, seconds in answers) < 20, "5 s to connect, and what a busy machine adds."

    kill_group(client.process)
    site.database_url += "?conn_max_age=0"
    client = site.serve()
    with ThreadPoolExecutor(6) as threads:
        assert {status for status, _, _ in threads.map(ready, range(30))} == {200}, "Each request returns its own."


def test_transactions_have_the_timeouts_that_pgbouncer_drops(
    transaction_pool: PgBouncer, django_db_blocker: DjangoDbBlocker, capsys: pytest.CaptureFixture[str]
) -> None:
    """R10.3: a frozen process does not keep its locks. A default of the role saves the query of each transaction."""

    def timeouts() -> tuple[str, ...]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout')"
            )
            row: tuple[str, ...] = cursor.fetchone() or ()
            return row

    url = transaction_pool.url(DATABASE)
    with django_db_blocker.unblock(), PostgresBackend(database_of(url, Path()), POSTGRES).opened():
        assert timeouts() == ("0", "0")
        with transaction.atomic():
            assert timeouts() == ("10s", "20s")
        assert timeouts() == ("0", "0"), "Other users of the pool do not get them."
        call_command("check", databases=["default"])
        assert "ALTER ROLE CURRENT_USER SET lock_timeout = '20s';" in capsys.readouterr().err
    with psycopg.connect(f"{SERVER}/{DATABASE}", autocommit=True) as server:  # of this database only, unlike ALTER ROLE
        server.execute(f"ALTER DATABASE {DATABASE} SET lock_timeout = '20s'")
        server.execute(f"ALTER DATABASE {DATABASE} SET idle_in_transaction_session_timeout = '10s'")
    transaction_pool.kill()
    transaction_pool.start()
    with django_db_blocker.unblock(), PostgresBackend(database_of(url, Path()), POSTGRES).opened():
        assert timeouts() == ("10s", "20s")
        call_command("check", databases=["default"])
        assert "ALTER ROLE" not in capsys.readouterr().err
