"""System checks of the settings."""

from __future__ import annotations

import sys
import zoneinfo
from typing import Any

import pytest
from django.core.checks import INFO, WARNING, CheckMessage
from pytest_django import Settings

from backfill.checks import (
    check_deployment,
    check_emulator,
    check_replaced_options,
    check_settings,
    check_time_zone_data,
)

VALID = {"BACKFILL_WEBHOOK_URL": "https://hooks.example.org/backfill", "BACKFILL_WEBHOOK_SECRET": "a long random text"}


def found(settings: Settings, **changes: Any) -> list[CheckMessage]:
    for name, value in changes.items():
        setattr(settings, name, value)
    return check_settings()


def test_valid_settings_have_no_messages(settings: Settings) -> None:
    assert found(settings) == found(settings, **VALID) == []


@pytest.mark.parametrize(
    ("changes", "identity", "text"),
    [
        (
            {**VALID, "BACKFILL_WEBHOOK_URL": "hooks.example.org"},
            "backfill.E008",
            "which is not a web",
        ),
        ({**VALID, "BACKFILL_WEBHOOK_URL": "https://[x"}, "backfill.E008", "which is not a web address"),
        ({**VALID, "BACKFILL_WEBHOOK_SECRET": ""}, "backfill.E009", "BACKFILL_WEBHOOK_SECRET is empty"),
        ({**VALID, "BACKFILL_WEBHOOK_SECRET": "whsec_#"}, "backfill.E009", "not valid base64"),
        ({"BACKFILL_AUDIT_DAYS": 29}, "backfill.E010", "less than BACKFILL_RETENTION_DAYS"),
        (
            {"ALLOWED_HOSTS": ["localhost", "https://a.org"]},
            "backfill.E013",
            "has 'https://a.org', which is not a host",
        ),
        ({"ALLOWED_HOSTS": ["[::1]", ".a.org", "*", "a.org:8000"]}, "backfill.E013", "has 'a.org:8000', which"),
        ({"BACKFILL_DASHBOARD_URL": "dashboards"}, "backfill.E004", "which is not a web address"),
        ({"BACKFILL_EXECUTOR": "tcp://host"}, "backfill.E006", "BACKFILL_EXECUTOR is not valid; it must be one of"),
        ({"BACKFILL_STORAGE": "firestore"}, "backfill.E011", "no Google Cloud project is named"),
        ({"BACKFILL_STORAGE": "mongo"}, "backfill.E002", "BACKFILL_STORAGE is 'mongo'"),
    ],
)
def test_an_invalid_setting_is_named_with_a_hint(
    settings: Settings, changes: dict[str, Any], identity: str, text: str
) -> None:
    (message,) = found(settings, **changes)
    assert message.id == identity
    assert text in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "url", ["ann:sesame@host", "ftp://ann:sesame@host", "//ann:ses@me/sesame@[::1", "http://ann:sesame@"]
)
def test_a_check_does_not_show_the_password_of_an_address(settings: Settings, url: str) -> None:
    messages = found(settings, **VALID | {"BACKFILL_DASHBOARD_URL": url, "BACKFILL_WEBHOOK_URL": url})
    assert {message.id for message in messages} == {"backfill.E004", "backfill.E008"}
    assert not any("sesame" in message.msg or "ses@" in message.msg for message in messages)


def test_firestore_requires_a_project_or_emulator_and_valid_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST"):
        with monkeypatch.context() as environment:
            environment.setenv(variable, "somewhere:8080")
            assert found(settings, BACKFILL_STORAGE="firestore") == []
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "somewhere")
    for prefix in ("", "a/b", "__backfill__"):
        (message,) = found(settings, BACKFILL_STORAGE="firestore", BACKFILL_FIRESTORE_PREFIX=prefix)
        assert message.id == "backfill.E012"
    for database in ("", "a/b", "Default"):
        (message,) = found(settings, BACKFILL_FIRESTORE_PREFIX="backfill", BACKFILL_FIRESTORE_DATABASE=database)
        assert message.id == "backfill.E014"
    for host in ("http://127.0.0.1:8080", "127.0.0.1"):
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)
        (message,) = found(settings, BACKFILL_FIRESTORE_DATABASE="(default)")
        assert message.id == "backfill.E015"


def test_a_deployment_check_warns_if_robots_txt_is_ignored(settings: Settings) -> None:
    settings.BACKFILL_CONTACT, settings.BACKFILL_IGNORE_ROBOTS = "me@example.org", False
    assert check_deployment() == []
    settings.BACKFILL_IGNORE_ROBOTS = True
    (found,) = check_deployment()
    assert (found.id, found.level) == ("backfill.W003", WARNING)


def test_options_of_the_address_that_replace_others_are_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "REPLACED_OPTIONS", ["lock_timeout=5s"])
    (message,) = check_replaced_options()
    assert message.msg == "DATABASE_URL replaces options that the service sets by lock_timeout=5s."
    assert message.level == INFO


def test_a_deployment_check_reports_a_leftover_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    assert check_emulator() == []
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8080")
    (found,) = check_emulator()
    assert (found.id, found.level) == ("backfill.W012", WARNING)
    assert "127.0.0.1:8080" in found.msg


def test_a_deployment_check_reports_missing_time_zone_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two sources is enough: the files of the system or the package."""
    try:
        zoneinfo.reset_tzpath([])
        assert check_time_zone_data() == []
        monkeypatch.setitem(sys.modules, "tzdata", None)
        (found,) = check_time_zone_data()
        assert (found.id, found.level) == ("backfill.W013", WARNING)
        assert "pip install tzdata" in str(found.hint)
    finally:
        zoneinfo.reset_tzpath()
