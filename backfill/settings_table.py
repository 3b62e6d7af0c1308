"""The table of settings: name, default, type, help and validation of each.

settings.py reads it, `manage.py check` validates with it, and `python -m backfill_site.settings_page` writes it into
docs/configuration.md. A new setting is one row here and one use of `settings.<name>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backfill.setting_values import (
    audit_days_problem,
    dashboard_problem,
    database_problem,
    days,
    emulator_problem,
    executor_problem,
    flag,
    hosts_problem,
    hours_problem,
    names,
    one_of,
    prefix_problem,
    project_problem,
    proxies,
    script_name,
    seconds,
    storage_problem,
    webhook_secret_problem,
    webhook_url_problem,
)
from backfill.storage import ADAPTERS


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
        Check(
            "backfill.E013", hosts_problem, "Write only the name, like backfill.example.org, without https:// and port."
        ),
    ),
    Setting(
        "DJANGO_CSRF_TRUSTED_ORIGINS",
        "",
        "Origins of browsers if the service is behind a proxy, such as `https://backfill.example.org`.",
        names,
    ),
    Setting(
        "SCRIPT_NAME",
        "",
        "The path under which the service is reached, such as `/backfill`; see [Deployment](deployment.md#sub-path).",
        script_name,
    ),
    Setting(
        "DJANGO_HTTPS",
        "false",
        "`true` behind TLS: redirect to HTTPS, secure cookies, HSTS. The proxy must set `X-Forwarded-Proto`.",
        flag,
    ),
    Setting(
        "DJANGO_HSTS",
        "host",
        "For which hosts browsers use only HTTPS for a year, if `DJANGO_HTTPS` is on: `host` (that of the service), "
        "`subdomains` (also all hosts below it), `preload` (also suitable for the preload list of browsers) "
        "or `off`.",
        one_of("host", "subdomains", "preload", "off"),
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
        check=Check("backfill.E002", storage_problem, f"Set it to one of: {', '.join(ADAPTERS)}."),
    ),
    Setting(
        "BACKFILL_FIRESTORE_PREFIX",
        "backfill",
        "The Firestore collection that contains all documents of the service.",
        check=Check("backfill.E012", prefix_problem, "Set it to letters, digits, - and _, like backfill."),
    ),
    Setting(
        "BACKFILL_FIRESTORE_DATABASE",
        "(default)",
        "The Firestore database of the project.",
        check=Check(
            "backfill.E014", database_problem, "Set it to (default), or to 4 to 63 lower-case letters, digits and -."
        ),
    ),
    Setting(
        "GOOGLE_CLOUD_PROJECT",
        "",
        "The Google Cloud project of Firestore. Credentials are found by Google's standard mechanism.",
        check=Check(
            "backfill.E011", project_problem, "Set GOOGLE_CLOUD_PROJECT, or FIRESTORE_EMULATOR_HOST to host:port."
        ),
        without_default="none",
    ),
    Setting(
        "FIRESTORE_EMULATOR_HOST",
        "",
        "`host:port` of a Firestore emulator. It needs neither project nor credentials.",
        check=Check(
            "backfill.E015", emulator_problem, "Set it like 127.0.0.1:8080, or unset it for the real Firestore."
        ),
        without_default="none",
    ),
    Setting(
        "BACKFILL_DASHBOARD_URL",
        "https://dashboards.toastmasters.org",
        "The dashboard from which snapshots are collected.",
        check=Check(
            "backfill.E004", dashboard_problem, "Set it to an address like https://dashboards.toastmasters.org."
        ),
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
        check=Check("backfill.E007", hours_problem, "Correct BACKFILL_ALLOWED_HOURS or BACKFILL_TIME_ZONE."),
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
        check=Check(
            "backfill.E006", executor_problem, "Set it to threads, processes or the address of a Dask scheduler."
        ),
    ),
    Setting("BACKFILL_RETENTION_DAYS", "30", "Ended jobs younger than this are never removed.", days),
    Setting(
        "BACKFILL_WEBHOOK_URL",
        "",
        "Receives a POST when a job ends or is held up.",
        check=Check(
            "backfill.E008", webhook_url_problem, "Set it to an address like https://hooks.example.org/backfill."
        ),
    ),
    Setting(
        "BACKFILL_WEBHOOK_SECRET",
        "",
        "Signs webhook messages. Required if `BACKFILL_WEBHOOK_URL` is set.",
        check=Check("backfill.E009", webhook_secret_problem, "Set it to a long random text, or to whsec_ and base64."),
        without_default="none",
    ),
    Setting(
        "BACKFILL_AUDIT_DAYS",
        "365",
        "How long entries of the audit log are kept. At least `BACKFILL_RETENTION_DAYS`.",
        days,
        Check("backfill.E010", audit_days_problem, "Set it to BACKFILL_RETENTION_DAYS or more."),
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
