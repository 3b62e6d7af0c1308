"""System checks: they report invalid settings, and a missing worker, before a job runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connection

from backfill.domain import Status
from backfill.errors import StorageUnavailable
from backfill.settings_table import SETTINGS

_GIB = 1024**3


@register(Tags.database)
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """Without immediate transactions, 40 % of the writes of two concurrent processes fail."""
    database: dict[str, Any] = settings.DATABASES["default"]
    if not str(database["ENGINE"]).endswith("sqlite3") or str(database["NAME"]).startswith("file:"):
        return []  # a file: address is opened to read only; see settings.py
    options: dict[str, Any] = database.get("OPTIONS", {})
    found: list[CheckMessage] = []
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        found.append(
            Error(
                "SQLite is not opened with transaction_mode IMMEDIATE: concurrent writes would fail with 'database is "
                "locked'.",
                hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE" on the default database.',
                id="backfill.E001",
            )
        )
    if "journal_mode=wal" not in str(options.get("init_command", "")).lower().replace(" ", ""):
        found.append(
            checks.Warning(
                "SQLite is not in WAL mode: readers and the running job would wait for each other.",
                hint='Set OPTIONS["init_command"] = "PRAGMA journal_mode=WAL;" on the default database.',
                id="backfill.W001",
            )
        )
    return found


@register()
def check_replaced_options(**_: Any) -> list[CheckMessage]:
    replaced = settings.DATABASES["default"].get("REPLACED_OPTIONS")
    if not replaced:
        return []
    message = f"DATABASE_URL replaces options that the service sets by {', '.join(replaced)}."
    hint = "docs/deployment.md explains the options; leave out those that you do not need."
    return [checks.Info(message, hint=hint, id="backfill.I001")]


@register(Tags.database)
def check_worker(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A pending job without a worker waits forever. Reads the store, so it runs with `check --database default`."""
    if not databases:
        return []
    from backfill.bootstrap import backfill_service  # Django's other commands need not import it

    try:
        service = backfill_service()
        active = service.active()
        message = service.missing_worker(service.worker_seen_at()) if active and active.status is Status.PENDING else ""
    except (StorageUnavailable, ValueError):
        return []  # before the first migration, or an invalid setting, which check_settings reports
    if not message or active is None:
        return []
    return [checks.Warning(f"Job {active.id} is pending. {message}", id="backfill.W004")]


@register(Tags.database)
def check_sqlite_file(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A file that was restored from an incomplete copy. Reads the file, so it runs with `check --database default`."""
    database: dict[str, Any] = settings.DATABASES["default"]
    path = Path(str(database["NAME"]))
    if not databases or not str(database["ENGINE"]).endswith("sqlite3") or not path.is_file():
        return []
    log = Path(f"{path}-wal")
    had_log = log.exists() and log.stat().st_size > 0  # before this process opens the database
    damage = _damage(path)
    return damage or ([] if had_log else _missing_changes())


def _damage(path: Path) -> list[CheckMessage]:
    """An older file next to a newer write-ahead log is read as a damaged database."""
    size = path.stat().st_size
    if size > _GIB:
        text = f"The database was not searched for damage, since it has {size / _GIB:.1f} GiB."
        return [checks.Info(text, hint=f"Run: sqlite3 {path} 'PRAGMA quick_check'", id="backfill.I003")]
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA quick_check(1)")
            (found,) = cursor.fetchone()
    except DatabaseError as exc:
        found = str(exc)
    if found == "ok":
        return []
    return [
        Error(
            f"The database file {path} is damaged: {found}.",
            hint=f"Stop all servers, remove {path}-wal and {path}-shm, and restore a backup. An older file next to the "
            "-wal file of a newer one is read as damaged, too.",
            id="backfill.E016",
        )
    ]


def _missing_changes() -> list[CheckMessage]:
    """A copy of the main file alone lacks what was in the write-ahead log. A job that was running then shows it."""
    from backfill.bootstrap import backfill_service

    try:
        service = backfill_service()
        job = service.active()
    except (StorageUnavailable, ValueError):
        return []
    if job is None or job.lease is None or job.lease.expires_at > service.now():
        return []
    return [
        checks.Warning(
            f"Job {job.id} was running when the database was written last, until {job.lease.expires_at:%Y-%m-%d %H:%M} "
            "UTC, and there is no -wal file. If the database is a copy of one in use without its -wal file, all later "
            "changes are missing.",
            hint="A worker continues the job from there. Copy a database in use with: manage.py backfill backup FILE",
            id="backfill.W011",
        )
    ]


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """The validations of the settings table."""
    return [
        Error(message, hint=setting.check.hint, id=setting.check.id)
        for setting in SETTINGS
        if setting.check and not setting.check.is_deployment_warning and (message := setting.check.problem(settings))
    ]


@register(deploy=True)
def check_emulator(**_: Any) -> list[CheckMessage]:
    """The variable of a test environment redirects every connection to Firestore, with all credentials ignored."""
    host = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    if not host:
        return []
    return [
        checks.Warning(
            f"FIRESTORE_EMULATOR_HOST is {host!r}: Firestore is an emulator, which forgets its data when it ends.",
            hint="Unset FIRESTORE_EMULATOR_HOST for a deployment.",
            id="backfill.W012",
        )
    ]


@register(deploy=True)
def check_time_zone_data(**_: Any) -> list[CheckMessage]:
    """Slim images have no time zones of the system; the package tzdata is then the only source."""
    if available_timezones():
        return []
    return [
        checks.Warning(
            "There is no time-zone data: neither the system nor the package tzdata has it. BACKFILL_TIME_ZONE can only "
            "be UTC, and the admin can show no other zone.",
            hint="Install the package tzdata (pip install tzdata), which requirements.txt contains.",
            id="backfill.W013",
        )
    ]


@register(deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """The deployment warnings of the settings table."""
    return [
        checks.Warning(message, hint=setting.check.hint, id=setting.check.id)
        for setting in SETTINGS
        if setting.check and setting.check.is_deployment_warning and (message := setting.check.problem(settings))
    ]
