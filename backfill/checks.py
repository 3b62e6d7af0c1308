"""System checks: what an operator would otherwise find out in the middle of a job."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from backfill.domain import AllowedHours
from backfill.job_types.compute import EXECUTORS, executor_error
from backfill.storage import ADAPTERS
from backfill.webhooks import key_of

_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
_HOST = re.compile(r"[^/:\s]+|\[[0-9a-fA-F:.]+\]")
_HOST_AND_PORT = re.compile(rf"({_HOST.pattern}):\d{{1,5}}")
_DATABASE_NAME = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
_COLLECTION_NAME = re.compile(r"(?!__)[A-Za-z0-9_-]{1,100}")


@register(Tags.database)
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """SQLite transactions must take their turn when they begin: else 4 in 10 concurrent writes fail at once."""
    database: dict[str, Any] = settings.DATABASES["default"]
    if not str(database["ENGINE"]).endswith("sqlite3"):
        return []
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


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.hostname)


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """Settings that hold one of a few values, addresses, and how long things are kept."""
    found: list[CheckMessage] = []
    if settings.BACKFILL_STORAGE not in ADAPTERS:
        found.append(
            Error(
                f"BACKFILL_STORAGE is {settings.BACKFILL_STORAGE!r}.",
                hint=f"Set it to one of: {', '.join(ADAPTERS)}.",
                id="backfill.E002",
            )
        )
    if trouble := executor_error(settings.BACKFILL_EXECUTOR):
        found.append(Error(trouble, hint=f"Set it to one of: {', '.join(EXECUTORS)}.", id="backfill.E006"))
    if not _is_web_address(settings.BACKFILL_DASHBOARD_URL):
        found.append(
            Error(
                f"BACKFILL_DASHBOARD_URL is {settings.BACKFILL_DASHBOARD_URL!r}, which is no web address.",
                hint="Set it to an address like https://dashboards.toastmasters.org.",
                id="backfill.E004",
            )
        )
    found.extend(
        Error(
            f"DJANGO_ALLOWED_HOSTS has {host!r}, which is no name of a host: every request to it would be refused.",
            hint="Write the name alone, like backfill.example.org, without https:// and without a port.",
            id="backfill.E013",
        )
        for host in settings.ALLOWED_HOSTS
        if not _HOST.fullmatch(host)
    )
    if settings.BACKFILL_AUDIT_DAYS < settings.BACKFILL_RETENTION_DAYS:
        found.append(
            Error(
                f"BACKFILL_AUDIT_DAYS is {settings.BACKFILL_AUDIT_DAYS}, less than BACKFILL_RETENTION_DAYS "
                f"({settings.BACKFILL_RETENTION_DAYS}): it would not be known who started jobs that are still there.",
                hint="Set it to BACKFILL_RETENTION_DAYS or more.",
                id="backfill.E010",
            )
        )
    return found


@register()
def check_firestore(**_: Any) -> list[CheckMessage]:
    """Where jobs live in Firestore, it must be known in whose, and under which names."""
    if settings.BACKFILL_STORAGE != "firestore":
        return []
    found: list[CheckMessage] = []
    if not any(os.environ.get(name) for name in _PROJECT_VARIABLES):
        found.append(
            Error(
                "BACKFILL_STORAGE is firestore, and no Google Cloud project is named.",
                hint="Set GOOGLE_CLOUD_PROJECT to the project, or FIRESTORE_EMULATOR_HOST to the emulator's host:port.",
                id="backfill.E011",
            )
        )
    prefix = settings.BACKFILL_FIRESTORE_PREFIX
    if not _COLLECTION_NAME.fullmatch(prefix):
        found.append(
            Error(
                f"BACKFILL_FIRESTORE_PREFIX is {prefix!r}, which names no collection.",
                hint="Set it to a word of letters, digits, - and _ like backfill.",
                id="backfill.E012",
            )
        )
    database = settings.BACKFILL_FIRESTORE_DATABASE
    if not _DATABASE_NAME.fullmatch(database):
        found.append(
            Error(
                f"BACKFILL_FIRESTORE_DATABASE is {database!r}, which names no database of Firestore.",
                hint="Set it to (default), or to 4 to 63 small letters, digits and - that begin with a letter.",
                id="backfill.E014",
            )
        )
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    if emulator and not _HOST_AND_PORT.fullmatch(emulator):
        found.append(
            Error(
                f"FIRESTORE_EMULATOR_HOST is {emulator!r}, which is no host:port.",
                hint="Set it like 127.0.0.1:8080, or to nothing for the real Firestore.",
                id="backfill.E015",
            )
        )
    return found


@register()
def check_webhook(**_: Any) -> list[CheckMessage]:
    """Where there is a receiver, it must be one, and able to tell our messages from forged ones."""
    url = settings.BACKFILL_WEBHOOK_URL
    if not url:
        return []
    found: list[CheckMessage] = []
    if not _is_web_address(url):
        found.append(
            Error(
                f"BACKFILL_WEBHOOK_URL is {url!r}, which is no web address.",
                hint="Set it to an address like https://hooks.example.org/backfill, or to nothing.",
                id="backfill.E008",
            )
        )
    try:
        key_of(settings.BACKFILL_WEBHOOK_SECRET)
    except ValueError as exc:
        found.append(
            Error(
                str(exc),
                hint="Set it to a long random text that the receiver knows too, or to whsec_ and base64.",
                id="backfill.E009",
            )
        )
    return found


@register()
def check_hours(**_: Any) -> list[CheckMessage]:
    """The hours in which jobs may ask, and the zone whose clock they are read by."""
    try:
        AllowedHours.parse(settings.BACKFILL_ALLOWED_HOURS, settings.BACKFILL_TIME_ZONE)
    except ValueError as exc:
        hint = "Correct BACKFILL_ALLOWED_HOURS or BACKFILL_TIME_ZONE."
        return [Error(f"The allowed hours cannot be read: {exc}", hint=hint, id="backfill.E007")]
    return []


@register(deploy=True)
def check_robots(**_: Any) -> list[CheckMessage]:
    """robots.txt says what the dashboard's owners allow; to ignore it needs their consent."""
    if not settings.BACKFILL_IGNORE_ROBOTS:
        return []
    return [
        checks.Warning(
            "BACKFILL_IGNORE_ROBOTS is true: the dashboard's robots.txt is not read, and its Crawl-delay is not kept.",
            hint="Set it to false, unless the owners of the dashboard agree.",
            id="backfill.W003",
        )
    ]


@register(deploy=True)
def check_contact(**_: Any) -> list[CheckMessage]:
    """Whoever is asked for this much should know whom to write to."""
    if settings.BACKFILL_CONTACT:
        return []
    return [
        checks.Warning(
            "BACKFILL_CONTACT is empty: the dashboard's owners could not tell who collects from them.",
            hint="Set it to an e-mail address or a page; it is sent in the User-Agent.",
            id="backfill.W002",
        )
    ]
