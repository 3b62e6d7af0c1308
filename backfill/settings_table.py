"""The table of settings: name, default, type, help and validation of each.

settings.py reads it, `manage.py check` validates with it, and `python -m backfill_site.settings_page` writes it into
docs/configuration.md. A new setting is one row here and one use of `settings.<name>`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
_COLLECTION_NAME = re.compile(r"(?!__)[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Check:
    """A validation that `manage.py check` runs; settings that stop the start are validated by their type."""

    id: str
    problem: Callable[[Any], str]
    """Given Django's settings, returns the message of the problem; empty if there is none."""
    hint: str
    is_deployment_warning: bool = False
    """Whether it is a warning of `check --deploy` instead of an error of every check."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    help: str
    """Markdown."""
    read: Callable[[str], Any] = str
    """The type: converts the text of the environment. Raises ValueError that says what to set it to."""
    check: Check | None = None
    without_default: str = "empty"
    """What the documentation shows instead of an empty default."""


# Types.


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


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"set it to one of: {', '.join(choices)}.")
        return text

    return read


# Validations. They get Django's settings and return the message of a problem, or nothing.


def _is_web_address(url: str) -> bool:
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.hostname)


def _hosts(settings: Any) -> str:
    invalid = ", ".join(repr(host) for host in settings.ALLOWED_HOSTS if not _HOST.fullmatch(host))
    return f"DJANGO_ALLOWED_HOSTS has {invalid}, which is not a host name." if invalid else ""


def _storage(settings: Any) -> str:
    return "" if settings.BACKFILL_STORAGE in ADAPTERS else f"BACKFILL_STORAGE is {settings.BACKFILL_STORAGE!r}."


def _firestore_name(name: str, pattern: re.Pattern[str], what: str) -> Callable[[Any], str]:
    def problem(settings: Any) -> str:
        value = getattr(settings, name)
        is_valid = settings.BACKFILL_STORAGE != "firestore" or pattern.fullmatch(value)
        return "" if is_valid else f"{name} is {value!r}, which is not the name of a {what}."

    return problem


_prefix = _firestore_name("BACKFILL_FIRESTORE_PREFIX", _COLLECTION_NAME, "collection")
_database = _firestore_name("BACKFILL_FIRESTORE_DATABASE", _DATABASE_NAME, "database")


def _project(settings: Any) -> str:
    variables = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST")
    is_known = settings.BACKFILL_STORAGE != "firestore" or any(map(os.environ.get, variables))
    return "" if is_known else "BACKFILL_STORAGE is firestore, and no Google Cloud project is named."


def _emulator(settings: Any) -> str:
    host = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
    is_valid = settings.BACKFILL_STORAGE != "firestore" or not host or _HOST_AND_PORT.fullmatch(host)
    return "" if is_valid else f"FIRESTORE_EMULATOR_HOST is {host!r}, which is not host:port."


def _dashboard(settings: Any) -> str:
    # These messages do not contain the value, which may contain a password.
    is_valid = _is_web_address(settings.BACKFILL_DASHBOARD_URL)
    return "" if is_valid else "BACKFILL_DASHBOARD_URL has a value which is not a web address."


def _hours(settings: Any) -> str:
    try:
        AllowedHours.parse(settings.BACKFILL_ALLOWED_HOURS, settings.BACKFILL_TIME_ZONE)
    except ValueError as exc:
        return f"The allowed hours cannot be read: {exc}"
    return ""


def _executor(settings: Any) -> str:
    from backfill.job_types.compute import executor_error  # here: settings.py imports this module

    return executor_error(settings.BACKFILL_EXECUTOR)


def _webhook_url(settings: Any) -> str:
    url = settings.BACKFILL_WEBHOOK_URL
    return "" if not url or _is_web_address(url) else "BACKFILL_WEBHOOK_URL has a value which is not a web address."


def _webhook_secret(settings: Any) -> str:
    from backfill.webhooks import key_of  # here: settings.py imports this module

    if settings.BACKFILL_WEBHOOK_URL:
        try:
            key_of(settings.BACKFILL_WEBHOOK_SECRET)
        except ValueError as exc:
            return str(exc)
    return ""


def _audit_days(settings: Any) -> str:
    audit_days, retention_days = settings.BACKFILL_AUDIT_DAYS, settings.BACKFILL_RETENTION_DAYS
    if audit_days >= retention_days:
        return ""
    return (
        f"BACKFILL_AUDIT_DAYS is {audit_days}, less than BACKFILL_RETENTION_DAYS ({retention_days}): stored jobs would "
        "have no entry that names who started them."
    )


SETTINGS = (
    Setting(
        "DJANGO_SECRET_KEY", "", "A long random text. Required unless `DJANGO_DEBUG` is on.", without_default="none"
    ),
    Setting("DJANGO_DEBUG", "false", "Set to `true` only on your own machine.", flag),
    Setting(
        "DJANGO_ALLOWED_HOSTS",
        "localhost,127.0.0.1,[::1]",
        "Host names under which the service is reached, separated by commas.",
        names,
        Check("backfill.E013", _hosts, "Write only the name, like backfill.example.org, without https:// and port."),
    ),
    Setting(
        "DJANGO_CSRF_TRUSTED_ORIGINS",
        "",
        "Origins of browsers if the service is behind a proxy, such as `https://backfill.example.org`.",
        names,
    ),
    Setting(
        "DJANGO_HTTPS",
        "false",
        "`true` behind TLS: redirect to HTTPS, secure cookies, HSTS. The proxy must set `X-Forwarded-Proto`.",
        flag,
    ),
    Setting(
        "BACKFILL_PROXIES",
        "0",
        "The number of reverse proxies in front of the service, each of which appends the address of its client to "
        "`X-Forwarded-For`. Failed sign-ins are counted by that address.",
        proxies,
    ),
    Setting(
        "BACKFILL_DOCS",
        "public",
        "Who may read `/api/docs` and `/api/schema`: `public` (everybody) or `sign-in` (users who are signed in, and "
        "programs with a token).",
        one_of("public", "sign-in"),
    ),
    Setting(
        "DATABASE_URL",
        "sqlite:///var/backfill.sqlite3",
        "SQLite or PostgreSQL (`postgres://user:password@host/name`). A relative SQLite path is relative to "
        "`manage.py`.",
    ),
    Setting(
        "BACKFILL_STORAGE",
        "orm",
        "Where jobs, snapshots and results are stored: `orm` (the database) or `firestore`.",
        check=Check("backfill.E002", _storage, f"Set it to one of: {', '.join(ADAPTERS)}."),
    ),
    Setting(
        "BACKFILL_FIRESTORE_PREFIX",
        "backfill",
        "The Firestore collection that contains all documents of the service.",
        check=Check("backfill.E012", _prefix, "Set it to letters, digits, - and _, like backfill."),
    ),
    Setting(
        "BACKFILL_FIRESTORE_DATABASE",
        "(default)",
        "The Firestore database of the project.",
        check=Check("backfill.E014", _database, "Set it to (default), or to 4 to 63 lower-case letters, digits and -."),
    ),
    Setting(
        "GOOGLE_CLOUD_PROJECT",
        "",
        "The Google Cloud project of Firestore. Credentials are found by Google's standard mechanism.",
        check=Check("backfill.E011", _project, "Set GOOGLE_CLOUD_PROJECT, or FIRESTORE_EMULATOR_HOST to host:port."),
        without_default="none",
    ),
    Setting(
        "FIRESTORE_EMULATOR_HOST",
        "",
        "`host:port` of a Firestore emulator. It needs neither project nor credentials.",
        check=Check("backfill.E015", _emulator, "Set it like 127.0.0.1:8080, or unset it for the real Firestore."),
        without_default="none",
    ),
    Setting(
        "BACKFILL_DASHBOARD_URL",
        "https://dashboards.toastmasters.org",
        "The dashboard from which snapshots are collected.",
        check=Check("backfill.E004", _dashboard, "Set it to an address like https://dashboards.toastmasters.org."),
    ),
    Setting(
        "BACKFILL_CONTACT",
        "",
        "An address for the User-Agent header, so that the dashboard's owners can reach you.",
        check=Check(
            "backfill.W002",
            lambda s: (
                ""
                if s.BACKFILL_CONTACT
                else "BACKFILL_CONTACT is empty: the dashboard's owners cannot tell who sends the requests."
            ),
            "Set it to an e-mail address or a page; it is sent in the User-Agent.",
            is_deployment_warning=True,
        ),
    ),
    Setting(
        "BACKFILL_REQUEST_DEADLINE_SECONDS",
        "120",
        "How long a complete request to the dashboard may take, from the connection to the last byte of the response. "
        "1 to 3,600.",
        seconds,
    ),
    Setting(
        "BACKFILL_IGNORE_ROBOTS",
        "false",
        "`true`: do not read the dashboard's `robots.txt`. Its Crawl-delay is then not kept either.",
        flag,
        Check(
            "backfill.W003",
            lambda s: (
                "BACKFILL_IGNORE_ROBOTS is true: the dashboard's robots.txt and its Crawl-delay are not respected."
                if s.BACKFILL_IGNORE_ROBOTS
                else ""
            ),
            "Set it to false, unless the owners of the dashboard agree.",
            is_deployment_warning=True,
        ),
    ),
    Setting(
        "BACKFILL_ALLOWED_HOURS",
        "",
        "When jobs may send requests to the dashboard, such as `22:00-06:00`; empty for any time. Previews and "
        "analytics are not restricted.",
        check=Check("backfill.E007", _hours, "Correct BACKFILL_ALLOWED_HOURS or BACKFILL_TIME_ZONE."),
    ),
    Setting(
        "BACKFILL_TIME_ZONE",
        "UTC",
        "The time zone of the allowed hours, such as `Europe/Berlin`. Daylight saving time is observed.",
    ),
    Setting(
        "BACKFILL_WORKER",
        "auto",
        "`auto`: a worker thread in each serving process. `off`: only `manage.py backfill work`.",
        one_of("auto", "off"),
    ),
    Setting(
        "BACKFILL_EXECUTOR",
        "threads",
        "Where results are computed: `threads`, `processes` (on all cores), or the address of a [Dask](dask.md) "
        "scheduler such as `tcp://host:8786`.",
        check=Check("backfill.E006", _executor, "Set it to threads, processes or the address of a Dask scheduler."),
    ),
    Setting("BACKFILL_RETENTION_DAYS", "30", "Ended jobs younger than this are never removed.", days),
    Setting(
        "BACKFILL_WEBHOOK_URL",
        "",
        "Receives a POST when a job ends or is held up.",
        check=Check("backfill.E008", _webhook_url, "Set it to an address like https://hooks.example.org/backfill."),
    ),
    Setting(
        "BACKFILL_WEBHOOK_SECRET",
        "",
        "Signs webhook messages. Required if `BACKFILL_WEBHOOK_URL` is set.",
        check=Check("backfill.E009", _webhook_secret, "Set it to a long random text, or to whsec_ and base64."),
        without_default="none",
    ),
    Setting(
        "BACKFILL_AUDIT_DAYS",
        "365",
        "How long entries of the audit log are kept. At least `BACKFILL_RETENTION_DAYS`.",
        days,
        Check("backfill.E010", _audit_days, "Set it to BACKFILL_RETENTION_DAYS or more."),
    ),
    Setting(
        "BACKFILL_LOG_LEVEL",
        "INFO",
        "The level of the service's log: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.",
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ),
    Setting(
        "BACKFILL_LOG_FORMAT",
        "text",
        "`text`: one sentence a line. `json`: the sentence and its fields.",
        one_of("text", "json"),
    ),
    Setting("BACKFILL_ENV_FILE", ".env", "Another settings file to read, or `/dev/null` for none."),
)


def read_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each setting. Raises ValueError, with a message that names the setting."""
    values = {}
    for setting in SETTINGS:
        text = environment.get(setting.name, setting.default)
        try:
            values[setting.name] = setting.read(text)
        except ValueError as exc:
            raise ValueError(f"{setting.name} is {text!r}; {exc}") from None
    return values
