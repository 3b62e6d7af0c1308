"""Databases of sites, copied from a template that is migrated once per test run.

Each has an `operator`, a superuser with the API token TOKEN, and a `viewer`, who only has the permission to view jobs.
Their passwords are their names. `python -m tests.template_site` creates all of that in the database of DATABASE_URL.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests import shared

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def create(database_url: str) -> None:
    """Create the database at that address as a copy of the template. It must not exist."""
    if database_url.startswith("sqlite:///"):
        shutil.copy(_sqlite_template(), database_url.removeprefix("sqlite:///"))
    else:
        _copy_postgres_template(database_url)


def _sqlite_template() -> Path:
    path = shared.folder() / "template.sqlite3"

    def build() -> dict[str, str]:
        _build(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {}

    shared.once("template-sqlite", build)
    return path


def _copy_postgres_template(database_url: str) -> None:
    server, _, name = database_url.rpartition("/")
    template = f"backfill_template_{shared.run_id()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        with shared.locked("template-postgresql"):
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template]).fetchone()
            if not exists:
                _build_postgres_template(connection, server, template)
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def _build_postgres_template(connection: psycopg.Connection[Any], server: str, template: str) -> None:
    building = sql.Identifier(f"{template}_building")
    connection.execute(sql.SQL("CREATE DATABASE {}").format(building))
    _build(f"{server}/{template}_building")
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(building, sql.Identifier(template)))
    shared.drop_at_end(f"{server}/{template}")


def _build(database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.template_site"],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BACKFILL_"))},
            "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
            "BACKFILL_ENV_FILE": os.devnull,
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": database_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"The template database cannot be created: {done.stderr}")


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)

    from django.contrib.auth.models import Permission, User

    from accounts.models import ApiToken

    operator = User.objects.create_superuser("operator", password="operator")
    ApiToken.objects.issue(operator, key=TOKEN)
    viewer = User.objects.create_user("viewer", password="viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_backfilljob"))


if __name__ == "__main__":
    main()
