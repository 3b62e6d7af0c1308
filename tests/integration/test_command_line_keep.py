"""The coverage target on the command line."""

from __future__ import annotations

import pytest

from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.integration.fake_job_type import FakeHandler, fake_service
from tests.integration.test_api_targets import store_calendar
from tests.integration.test_command_line import error_of, json_of, output_of

RULE = "2012-07-01 month-ends analytics districts=91,f"


@pytest.fixture
def service(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    service = fake_service(open_storage("orm"), FakeHandler())
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


def test_without_a_target_the_command_says_how_to_set_one(service: BackfillService) -> None:
    text = output_of("keep")
    assert "Off: nothing is collected automatically." in text
    assert "manage.py backfill keep set --rule" in text


def test_a_target_is_set_shown_and_switched_off(service: BackfillService) -> None:
    target = json_of(
        "keep",
        "set",
        "--rule",
        RULE,
        "--rule",
        "program-year",
        "--daily-at",
        "05:30",
        "--note",
        "why",
        "--operator",
        "ann",
    )["target"]
    assert (target["enabled"], target["dailyAt"], target["updatedBy"]) == (True, "05:30", "ann")
    assert target["rules"] == [
        {"from": "2012-07-01", "cadence": "month-ends", "districts": ["91", "F"], "analytics": True},
        {"from": "program-year", "cadence": "daily", "districts": [], "analytics": False},
    ]
    text = output_of("keep", "show")
    assert "The first check is due." in text
    assert "month-ends since 2012-07-01, districts 91, F, with analytics" in text
    assert "every day of the current program year, all districts" in text
    assert "note: why" in text
    changed = json_of("keep", "set", "--monthly-requests", "5000")["target"]
    assert (changed["monthlyRequests"], changed["rules"], changed["dailyAt"]) == (5000, target["rules"], "05:30")
    assert json_of("keep", "set", "--monthly-requests", "none")["target"]["monthlyRequests"] is None
    off = json_of("keep", "off")["target"]
    assert (off["status"], off["rules"]) == ("off", target["rules"])


def test_a_check_is_requested(service: BackfillService) -> None:
    assert "is off" in error_of("keep", "check")
    output_of("keep", "set", "--rule", "program-year")
    assert "The check takes place when no job is active" in output_of("keep", "check")
    assert service.storage.targets.keeper().requested_at is not None


def test_a_preview_stores_nothing(service: BackfillService) -> None:
    store_calendar(service)
    text = output_of("keep", "set", "--rule", "program-year analytics", "--preview")
    assert "The first check would collect 4 items" in text
    assert "compute 4 results" in text
    assert json_of("keep", "set", "--rule", "program-year", "--preview")["preview"]["totalItems"] == 4
    assert service.storage.targets.target().version == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("keep", "set"), "at least one rule"),
        (("keep", "set", "--rule", "weekly"), "--rule must be a date like 2012-07-01, or program-year"),
        (("keep", "set", "--rule", "program-year weekly"), "--rule takes a start, then daily, month-ends, year-ends"),
        (("keep", "set", "--rule", ""), "--rule must be a date"),
        (("keep", "set", "--rule", "2000-01-01"), "must not be before 2008-07-01"),
        (("keep", "set", "--rule", "program-year", "--daily-at", "6"), "--daily-at must be a time of day"),
        (("keep", "set", "--rule", "program-year", "--monthly-requests", "x"), "must be a whole number, or none"),
        (("keep", "set", "--rule", "program-year", "--monthly-requests", "0"), "--monthly-requests must be between"),
        (("keep", "off", "--rule", "program-year"), "--rule needs the action set"),
    ],
)
def test_invalid_options_are_refused_and_store_nothing(
    service: BackfillService, options: tuple[str, ...], message: str
) -> None:
    assert message in error_of(*options)
    assert service.storage.targets.target().version == 0
