"""The environment and the checks of `make run`."""

from __future__ import annotations

import os
import socket
from datetime import date
from unittest import mock

import pytest

from backfill.domain import Cadence, CoverageRule
from backfill.service.commands import BackfillService
from backfill_site.demo import check_port, collected_range, isolate_environment, keep_complete
from tests.memory_storage import MemoryStorage


def test_the_demonstration_ignores_the_settings_of_a_real_service() -> None:
    real = {
        "BACKFILL_STORAGE": "firestore",
        "BACKFILL_WEBHOOK_URL": "https://hooks.example.org",
        "DATABASE_URL": "postgres://real@db.example.org/real",
        "DJANGO_HTTPS": "true",
        "HOME": "/home/operator",
    }
    with mock.patch.dict(os.environ, real, clear=True):
        isolate_environment()
        assert dict(os.environ) == {
            "BACKFILL_ENV_FILE": os.devnull,
            "DATABASE_URL": "sqlite:///var/demo.sqlite3",
            "DJANGO_DEBUG": "true",
            "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
            "HOME": "/home/operator",
        }


def test_an_unavailable_port_is_reported_before_anything_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 99_999):
            with pytest.raises(SystemExit, match=f"Port {port} is in use or invalid. Choose another: make run PORT"):
                check_port(port)


@pytest.mark.parametrize(
    ("today", "first"),
    [
        (date(2026, 11, 28), date(2024, 7, 1)),
        (date(2027, 6, 30), date(2024, 7, 1)),
        (date(2027, 7, 1), date(2025, 7, 1)),
    ],
)
def test_the_demonstration_collects_the_live_program_year_and_the_two_before_it(today: date, first: date) -> None:
    collected = collected_range(today)
    assert collected[0] == first
    assert (today - collected[1]).days == 1


def test_the_demonstration_keeps_the_collected_history_complete_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    service = BackfillService(MemoryStorage(), {})
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    for _ in range(2):  # the database of an earlier demonstration has a target already
        text = keep_complete(date(2024, 7, 1))
    assert text.startswith("The month-ends since 2024-07-01 are kept complete: the server checks daily at 06:00 UTC")
    settings = service.targets.get().target.settings
    assert settings.enabled
    assert settings.rules == (CoverageRule(start=date(2024, 7, 1), cadence=Cadence.MONTH_ENDS, analytics=True),)
