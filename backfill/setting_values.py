"""How the text of a setting is read, and what makes a setting invalid.

A reader converts the text of the environment and raises ValueError that says what to set it to. A function whose name
ends with `_problem` gets Django's settings and returns the message of a problem, or an empty text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from backfill.domain import AllowedHours
from backfill.storage import ADAPTERS

_ON, _OFF = {"true", "on", "yes", "1"}, {"false", "off", "no", "0", ""}
_MAX_DAYS = 36_500
_MAX_PROXIES = 9
_MAX_SECONDS = 3600
_HOST = re.compile(r"[^/:\s]+|\[[0-9a-fA-F:.]+\]")
_HOST_AND_PORT = re.compile(rf"({_HOST.pattern}):\d{{1,5}}")
_DATABASE_NAME = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
_SCRIPT_NAME = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_OWN_PATHS = {"admin", "api", "static", "healthz", "readyz", "metrics"}
_COLLECTION_NAME = re.compile(r"(?!__)[A-Za-z0-9_-]{1,100}")


def flag(text: str) -> bool:
    """Refuses typing errors such as `ture`: read as false, they would turn off what was meant to be on."""
    value = text.strip().lower()
    if value not in _ON | _OFF:
        raise ValueError("set it to true or false.")
    return value in _ON


def days(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_DAYS):
        raise ValueError(f"set it to a number of days from 1 to {_MAX_DAYS}.")
    return int(text)


def proxies(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _MAX_PROXIES):
        raise ValueError(f"set it to a number from 0 to {_MAX_PROXIES}.")
    return int(text)


def seconds(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_SECONDS):
        raise ValueError(f"set it to a number of seconds from 1 to {_MAX_SECONDS:,}.")
    return int(text)


def script_name(text: str) -> str:
    path = text.strip().rstrip("/")
    if path and not _SCRIPT_NAME.fullmatch(path):
        raise ValueError("set it to a path like /backfill, without special characters, or leave it empty.")
    first = path.split("/")[1] if path else ""
    if first in _OWN_PATHS:
        raise ValueError(f"/{first} is a path of the service itself; set it to another path, like /backfill.")
    return path


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"set it to one of: {', '.join(choices)}.")
        return text

    return read


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.hostname)


def hosts_problem(settings: Any) -> str:
    invalid = ", ".join(repr(host) for host in settings.ALLOWED_HOSTS if not _HOST.fullmatch(host))
    return f"DJANGO_ALLOWED_HOSTS has {invalid}, which is not a host name." if invalid else ""


def storage_problem(settings: Any) -> str:
    return "" if settings.BACKFILL_STORAGE in ADAPTERS else f"BACKFILL_STORAGE is {settings.BACKFILL_STORAGE!r}."


def _firestore_name(name: str, pattern: re.Pattern[str], what: str) -> Callable[[Any], str]:
    def problem(settings: Any) -> str:
        value = getattr(settings, name)
        is_valid = settings.BACKFILL_STORAGE != "firestore" or pattern.fullmatch(value)
        return "" if is_valid else f"{name} is {value!r}, which is not the name of a {what}."

    return problem


prefix_problem = _firestore_name("BACKFILL_FIRESTORE_PREFIX", _COLLECTION_NAME, "collection")
database_problem = _firestore_name("BACKFILL_FIRESTORE_DATABASE", _DATABASE_NAME, "database")


def project_problem(settings: Any) -> str:
    variables = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
    is_known = settings.BACKFILL_STORAGE != "firestore" or any(map(os.environ.get, variables))
    return "" if is_known else "BACKFILL_STORAGE is firestore, and no Google Cloud project is named."


def emulator_problem(settings: Any) -> str:
    host = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    is_valid = settings.BACKFILL_STORAGE != "firestore" or not host or _HOST_AND_PORT.fullmatch(host)
    return "" if is_valid else f"FIRESTORE_EMULATOR_HOST is {host!r}, which is not host:port."


def dashboard_problem(settings: Any) -> str:
    # These messages do not contain the value, which may contain a password.
    is_valid = _is_web_address(settings.BACKFILL_DASHBOARD_URL)
    return "" if is_valid else "BACKFILL_DASHBOARD_URL has a value which is not a web address."


def hours_problem(settings: Any) -> str:
    try:
        AllowedHours.parse(settings.BACKFILL_ALLOWED_HOURS, settings.BACKFILL_TIME_ZONE)
    except ValueError as exc:
        return f"The allowed hours cannot be read: {exc}"
    return ""


def executor_problem(settings: Any) -> str:
    from backfill.job_types.compute import executor_error  # here: settings.py imports this module

    return executor_error(settings.BACKFILL_EXECUTOR)


def webhook_url_problem(settings: Any) -> str:
    url = settings.BACKFILL_WEBHOOK_URL
    return "" if not url or _is_web_address(url) else "BACKFILL_WEBHOOK_URL has a value which is not a web address."


def webhook_secret_problem(settings: Any) -> str:
    from backfill.webhooks import key_of  # here: settings.py imports this module

    if settings.BACKFILL_WEBHOOK_URL:
        try:
            key_of(settings.BACKFILL_WEBHOOK_SECRET)
        except ValueError as exc:
            return str(exc)
    return ""


def audit_days_problem(settings: Any) -> str:
    audit_days, retention_days = settings.BACKFILL_AUDIT_DAYS, settings.BACKFILL_RETENTION_DAYS
    if audit_days >= retention_days:
        return ""
    return (
        f"BACKFILL_AUDIT_DAYS is {audit_days}, less than BACKFILL_RETENTION_DAYS ({retention_days}): stored jobs would "
        "have no entry that names who started them."
    )
