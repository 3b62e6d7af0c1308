"""The environment of a section: Django with a new database."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Database, NotAvailable

_SERVER = "postgres://postgres@127.0.0.1:5432/postgres"


@contextmanager
def environment(bench: Bench) -> Iterator[None]:
    """Set up Django with a new database, and remove the database afterwards.

    Processes that the section starts inherit the environment and use the same database. Raises NotAvailable if the
    database server does not answer.
    """
    if bench.section.database is Database.POSTGRESQL:
        database = _postgresql(bench)
    else:
        bench.uses("SQLite", sqlite3.sqlite_version)
        database = sqlite()
    with database as url:
        os.environ.update(
            DJANGO_DEBUG="false",  # in debug mode Django stores each query
            DJANGO_SECRET_KEY="of-a-benchmark-" + "0" * 50,
            BACKFILL_WORKER="off",
            DJANGO_SETTINGS_MODULE="backfill_site.settings",
            BACKFILL_ENV_FILE=os.devnull,
            BACKFILL_LOG_LEVEL="ERROR",
            PYTHONWARNINGS="ignore:No directory at:UserWarning",  # of static files, which are not collected
        )
        warnings.filterwarnings("ignore", "No directory at", UserWarning)
        with migrated(url):
            yield


@contextmanager
def migrated(url: str) -> Iterator[None]:
    """Set up Django with a new database at this URL."""
    import django

    os.environ["DATABASE_URL"] = url
    django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    try:
        yield
    finally:
        connections.close_all()


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the URL of a new database file."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"


@contextmanager
def _postgresql(bench: Bench) -> Iterator[str]:
    """Create a database on the server of BACKFILL_TEST_POSTGRES_URL, and drop it afterwards."""
    import psycopg
    from psycopg import sql

    url = os.environ.get("BACKFILL_TEST_POSTGRES_URL", _SERVER)
    try:
        server = psycopg.connect(url, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as exc:
        reason = str(exc).splitlines()[0]
        raise NotAvailable(
            f"PostgreSQL does not answer; start it on 127.0.0.1:5432, or name another server in "
            f"BACKFILL_TEST_POSTGRES_URL. {reason}"
        ) from exc
    name = f"backfill_bench_{uuid4().hex[:12]}"
    with server:
        major, minor = divmod(server.info.server_version, 10_000)
        bench.uses("PostgreSQL", f"{major}.{minor}")
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
