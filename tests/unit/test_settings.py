"""Settings from the environment: an invalid value stops the start with a message that names the setting."""

from __future__ import annotations

import os
import re
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from backfill.domain import STANDARD_LEASES
from backfill.settings_table import SETTINGS
from backfill_site.settings_page import PAGE, page_with_table

ROOT = Path(__file__).resolve().parents[2]
SETTINGS_FILE = ROOT / "backfill_site" / "settings.py"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name in {"DATABASE_URL", "SCRIPT_NAME"} or name.startswith(("DJANGO_", "BACKFILL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BACKFILL_ENV_FILE", os.devnull)
    monkeypatch.setenv("DJANGO_DEBUG", "true")


def read() -> dict[str, Any]:
    return runpy.run_path(str(SETTINGS_FILE))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DJANGO_DEBUG", "flase", "DJANGO_DEBUG is 'flase'; set it to true or false."),
        ("DJANGO_HTTPS", "ture", "DJANGO_HTTPS is 'ture'; set it to true or false."),
        ("SCRIPT_NAME", "backfill", "SCRIPT_NAME is 'backfill'; set it to a path like /backfill"),
        ("SCRIPT_NAME", "https://example.org/backfill", "set it to a path like /backfill"),
        ("SCRIPT_NAME", "/a/../b", "set it to a path like /backfill"),
        ("SCRIPT_NAME", "//evil.example", "set it to a path like /backfill"),
        ("SCRIPT_NAME", "/admin/backfill", "/admin is a path of the service itself; set it to another path"),
        ("DJANGO_HSTS", "true", "DJANGO_HSTS is 'true'; set it to one of: host, subdomains, preload, off."),
        ("BACKFILL_WORKER", "of", "BACKFILL_WORKER is 'of'; set it to one of: auto, off."),
        ("BACKFILL_LOG_FORMAT", "xml", "BACKFILL_LOG_FORMAT is 'xml'; set it to one of: text, json."),
        ("BACKFILL_LOG_LEVEL", "loud", "BACKFILL_LOG_LEVEL is 'loud'; set it to one of: DEBUG, INFO"),
        ("BACKFILL_RETENTION_DAYS", "a month", "BACKFILL_RETENTION_DAYS is 'a month'; set it to a number of days"),
        ("BACKFILL_RETENTION_DAYS", "-30", "BACKFILL_RETENTION_DAYS is '-30'; set it to a number of days from 1"),
        ("BACKFILL_AUDIT_DAYS", "1000000000", "set it to a number of days from 1 to 36500."),
        ("BACKFILL_REQUEST_DEADLINE_SECONDS", "0", "set it to a number of seconds from 1 to 3,600."),
        ("BACKFILL_REQUEST_DEADLINE_SECONDS", "2 min", "set it to a number of seconds"),
        ("BACKFILL_ENV_FILE", "/nowhere/.env", "BACKFILL_ENV_FILE is '/nowhere/.env'; there is no such file."),
        ("DATABASE_URL", "postgres://me:secret@host:port/name", "DATABASE_URL names no database; write it like"),
        ("DATABASE_URL", "mysql://me:secret@host/name", "DATABASE_URL names no database"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL names no database"),
        ("DATABASE_URL", "", "DATABASE_URL names no database"),
        ("DATABASE_URL", "postgres://me:secret#1@host/name", "Percent-encode these characters: write / as %2F"),
        ("DATABASE_URL", "postgres://me:12/secret@host/name", "its user name or password contains a character"),
        ("DATABASE_URL", "postgres://me:secret?1@host/name", "its user name or password contains a character"),
        ("DATABASE_URL", "postgres://me:[secret@host/name", "its user name or password contains a character"),
        ("DATABASE_URL", "postgres://host/name?conn_max_age=-1", "conn_max_age must be a number of seconds, or None."),
        ("DATABASE_URL", "postgres://host/name?conn_max_age=long", "conn_max_age must be a number of seconds"),
        ("DATABASE_URL", "postgres://host/name?conn_health_checks=of", "conn_health_checks must be true or false."),
        ("DATABASE_URL", f"sqlite:///{__file__}/jobs.sqlite3", f"DATABASE_URL: {__file__} cannot be created: "),
    ],
)
def test_an_invalid_value_stops_the_start_with_a_message(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as raised:
        read()
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_secret_key_is_required_unless_debug_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read()["SECRET_KEY"]
    monkeypatch.setenv("DJANGO_DEBUG", "")
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SECRET_KEY is not set"):
        read()


def test_a_secret_is_read_without_variable_expansion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "$ecret")
    monkeypatch.setenv("BACKFILL_WEBHOOK_SECRET", "$HOME")
    settings = read()
    assert (settings["SECRET_KEY"], settings["BACKFILL_WEBHOOK_SECRET"]) == ("$ecret", "$HOME")


def test_lists_may_contain_spaces_and_empty_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "localhost, backfill.example.org,")
    assert read()["ALLOWED_HOSTS"] == ["localhost", "backfill.example.org"]


@pytest.mark.parametrize("text", ["/backfill", "/backfill/", " /backfill "])
def test_a_path_of_the_host_is_the_prefix_of_cookies_and_static_files(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SCRIPT_NAME", text)
    settings = read()
    assert settings["FORCE_SCRIPT_NAME"] == "/backfill"
    assert settings["SESSION_COOKIE_PATH"] == settings["CSRF_COOKIE_PATH"] == "/backfill"
    assert settings["STATIC_URL"] == "/backfill/static/"
    assert re.fullmatch(settings["SECURE_REDIRECT_EXEMPT"][0], "backfill/healthz")


@pytest.mark.parametrize(
    ("hsts", "headers"),
    [
        ("host", (31_536_000, False, False)),
        ("subdomains", (31_536_000, True, False)),
        ("preload", (31_536_000, True, True)),
        ("off", (0, False, False)),
    ],
)
def test_hsts_concerns_the_own_host_unless_more_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, hsts: str, headers: tuple[int, bool, bool]
) -> None:
    names = ("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD")
    assert read()["SECURE_HSTS_SECONDS"] == 0
    monkeypatch.setenv("DJANGO_HTTPS", "true")
    assert tuple(read()[name] for name in names) == (31_536_000, False, False)
    monkeypatch.setenv("DJANGO_HSTS", hsts)
    assert tuple(read()[name] for name in names) == headers


@pytest.mark.parametrize("text", ["", "/"])
def test_without_a_path_the_service_has_the_whole_host(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SCRIPT_NAME", text)
    settings = read()
    assert (settings["FORCE_SCRIPT_NAME"], settings["SESSION_COOKIE_PATH"]) == (None, "/")
    assert settings["STATIC_URL"] == "/static/"
    assert re.fullmatch(settings["SECURE_REDIRECT_EXEMPT"][0], "healthz")


def test_the_environment_takes_precedence_over_the_environment_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "production.env"
    file.write_text("BACKFILL_CONTACT=file@example.org\nBACKFILL_TIME_ZONE=Europe/Berlin\n")
    monkeypatch.setenv("BACKFILL_ENV_FILE", str(file))
    monkeypatch.setenv("BACKFILL_CONTACT", "shell@example.org")
    monkeypatch.setenv("BACKFILL_TIME_ZONE", "")  # so that it is restored after the test
    monkeypatch.delenv("BACKFILL_TIME_ZONE")
    settings = read()
    assert (settings["BACKFILL_CONTACT"], settings["BACKFILL_TIME_ZONE"]) == ("shell@example.org", "Europe/Berlin")


def test_the_documentation_contains_the_table_of_settings() -> None:
    """After a change of the table: python -m backfill_site.settings_page"""
    page = PAGE.read_text()
    assert page == page_with_table(page)
    assert page.count("| `BACKFILL_STORAGE` |") == 1


def test_the_example_file_contains_only_known_settings() -> None:
    named = set(re.findall(r"([A-Z_]+)=", (ROOT / ".env.example").read_text()))
    assert named <= {setting.name for setting in SETTINGS}


def test_each_setting_of_the_service_is_a_django_setting() -> None:
    settings = read()
    names = {setting.name for setting in SETTINGS if setting.name.startswith("BACKFILL_")}
    assert {name for name in settings if name.startswith("BACKFILL_")} - {"BACKFILL_LEASE_POLICY"} == names
    assert (settings["BACKFILL_RETENTION_DAYS"], settings["BACKFILL_IGNORE_ROBOTS"]) == (30, False)


def test_an_unreachable_postgresql_server_times_out_within_the_duration_of_a_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R10.1: this includes time-outs of the connection, of a query, and of a response."""
    monkeypatch.setenv("DATABASE_URL", "postgres://backfill:secret@db.example.org/backfill?connect_timeout=7")
    options = read()["DATABASES"]["default"]["OPTIONS"]
    assert options["connect_timeout"] == 7, "An option in the address takes precedence."
    unanswered = options["keepalives_idle"] + options["keepalives_interval"]
    assert max(unanswered, options["tcp_user_timeout"] / 1000) < STANDARD_LEASES.duration.total_seconds()


@pytest.mark.parametrize(
    ("query", "expected", "replaced"),
    [
        ("", {"CONN_MAX_AGE": 60}, []),
        ("?conn_max_age=0", {"CONN_MAX_AGE": 0}, ["conn_max_age=0"]),
        ("?conn_max_age=None", {"CONN_MAX_AGE": None}, ["conn_max_age=None"]),
        ("?conn_health_checks=false", {"CONN_HEALTH_CHECKS": False}, ["conn_health_checks=False"]),
        ("?sslmode=require", {"sslmode": "require", "connect_timeout": 5}, []),
        ("?connect_timeout=7", {"connect_timeout": 7}, ["connect_timeout=7"]),
        (
            "?options=-c%20search_path%3Djobs,public%20--lock-timeout%3D5s",
            {
                "options": "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s -c search_path=jobs,public",
            },
            ["lock_timeout=5s"],
        ),
        ("?options=-e", {"options": "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s -e"}, []),
    ],
)
def test_the_options_of_an_address_are_merged_with_those_of_the_service(
    monkeypatch: pytest.MonkeyPatch, query: str, expected: dict[str, object], replaced: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://me:p%2F%40%23@db.example.org/backfill{query}")
    database = read()["DATABASES"]["default"]
    assert database["PASSWORD"] == "p/@#"
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    values = {**database, **database["OPTIONS"]}
    assert {name: values[name] for name in expected} == expected
    assert database["REPLACED_OPTIONS"] == replaced


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me@host/name?application_name=a@b",
        "postgres://me:a@b:c@host/name",
        "postgres://host/name?user=me@example.org",
        "postgres://me:pass@[::1]:5432/name",
        "postgres://me@%2Fvar%2Frun%2Fpostgresql/name",
    ],
)
def test_an_at_sign_elsewhere_is_not_taken_for_an_unescaped_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert read()["DATABASES"]["default"]["NAME"] == "name"


@pytest.mark.parametrize("is_in_use", [False, True])
@pytest.mark.parametrize("unwritable", ["file", "folder"])
def test_a_sqlite_file_that_cannot_be_written_is_opened_to_read_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unwritable: str, is_in_use: bool
) -> None:
    """So that commands that only read work for another user, and on a read-only file system."""
    file = tmp_path / "jobs ?#.sqlite3"
    with closing(sqlite3.connect(file)) as owner:
        owner.execute("PRAGMA journal_mode=WAL")
        owner.execute("CREATE TABLE jobs (id)")
        owner.commit()
        if not is_in_use:
            owner.close()
        forbidden = file if unwritable == "file" else tmp_path
        access = os.access
        monkeypatch.setattr(os, "access", lambda p, m: access(p, m) and not (m == os.W_OK and Path(p) == forbidden))
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/jobs%20%3F%23.sqlite3")
        database = read()["DATABASES"]["default"]
        assert ("immutable=1" in database["NAME"]) is not is_in_use
        with closing(sqlite3.connect(database["NAME"], uri=True)) as reader:
            assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("INSERT INTO jobs VALUES (1)")
