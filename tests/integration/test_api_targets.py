"""The coverage target over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backfill.domain import CalendarMonth, month_end_of
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.conftest import ClientFor
from tests.integration.test_api_jobs import error_of, start_job

TARGETS = "/api/admin/backfill/targets"
RULES = [
    {"from": "2012-07-01", "cadence": "month-ends", "districts": ["F", "1"], "analytics": True},
    {"from": "program-year"},
]
BODY = {"enabled": True, "dailyAt": "05:30", "note": "The archive", "monthlyRequests": 9000, "rules": RULES}


def put(api: CheckedClient, body: Any, version: str | None = "*") -> Any:
    headers = {} if version is None else {"If-Match": version}
    return api.put(TARGETS, body, format="json", headers=headers)


def target_of(api: CheckedClient) -> dict[str, Any]:
    target: dict[str, Any] = api.get(TARGETS).json()["target"]
    return target


def test_at_first_the_target_is_off(api: CheckedClient) -> None:
    response = api.get(TARGETS)
    assert (response.status_code, response["ETag"]) == (200, '"0"')
    target = response.json()["target"]
    assert (target["enabled"], target["status"], target["rules"], target["dailyAt"]) == (False, "off", [], "06:00")


def test_a_target_is_replaced_by_a_client_that_has_read_it(api: CheckedClient) -> None:
    etag = api.get(TARGETS)["ETag"]
    response = put(api, BODY, etag)
    assert (response.status_code, response["ETag"]) == (200, '"1"')
    target = response.json()["target"]
    assert {name: target[name] for name in ("enabled", "dailyAt", "note", "monthlyRequests", "updatedBy")} == {
        "enabled": True,
        "dailyAt": "05:30",
        "note": "The archive",
        "monthlyRequests": 9000,
        "updatedBy": "alice",
    }
    assert target["rules"] == [
        {"from": "2012-07-01", "cadence": "month-ends", "districts": ["01", "F"], "analytics": True},
        {"from": "program-year", "cadence": "daily", "districts": [], "analytics": False},
    ]
    assert (target["status"], target["sentence"]) == ("incomplete", "The first check is due.")
    assert target_of(api)["rules"] == target["rules"]
    defaults = put(api, {"enabled": False, "rules": []}, 'W/"1"').json()["target"]
    assert (defaults["dailyAt"], defaults["note"], defaults["monthlyRequests"]) == ("06:00", "", None)


def test_a_lost_update_is_refused_and_changes_nothing(api: CheckedClient) -> None:
    put(api, BODY, '"0"')
    error = error_of(put(api, {"enabled": False, "rules": []}, '"0"'), 412, "TARGET_CHANGED")
    assert error["details"] == {"version": 1}
    assert "was changed by alice since it was read" in error["message"]
    error_of(put(api, BODY, '"x"'), 412, "TARGET_CHANGED")
    error_of(put(api, BODY, None), 428, "PRECONDITION_REQUIRED")
    assert target_of(api)["enabled"] is True
    assert put(api, {"enabled": False, "rules": []}, '"7", "1"').status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"dailyAt": "24:00"}, "dailyAt", "dailyAt must be a time of day from 00:00 to 23:59, like 06:00."),
        ({"dailyAt": 6}, "dailyAt", "dailyAt must be text."),
        ({"enabled": "yes"}, "enabled", "enabled must be true or false."),
        ({"rules": {}}, "rules", "rules must be a list of objects."),
        ({"rules": []}, "rules", "rules must contain at least one rule while the target is enabled."),
        ({"rules": RULES * 11}, "rules", "rules must not have more than 20 entries."),
        ({"rules": [{"from": "weekly"}]}, "rules", "rules [0] from must be a date like 2012-07-01, or program-year."),
        ({"rules": [{"from": "2024-02-30"}]}, "rules", "rules[0].from must be a date like 2012-07-01"),
        ({"rules": [{}]}, "rules", "rules [0] from is required."),
        ({"rules": [{"from": "2000-01-01"}]}, "rules", "rules[0].from must not be before 2008-07-01"),
        ({"rules": [{"from": "2999-01-01"}]}, "rules", "rules[0].from must not be after today"),
        ({"rules": [{"from": "2012-07-01", "cadence": "weekly"}]}, "rules", "must be one of daily, month-ends, year-"),
        ({"rules": [{"from": "2012-07-01", "districts": ["xx"]}]}, "rules", "has no district 'xx'; leave it out."),
        ({"rules": [{"from": "2012-07-01", "districts": "91"}]}, "rules", "districts must be a list of texts."),
        ({"monthlyRequests": 0}, "monthlyRequests", "monthlyRequests must be between 1 and 10,000,000."),
        ({"note": "a\nb"}, "note", "note must be one line without control characters."),
        ({"status": "complete"}, "status", "status is not a field of this request"),
    ],
)
def test_an_invalid_target_is_refused_with_the_field_and_stores_nothing(
    api: CheckedClient, changes: dict[str, Any], field: str, message: str
) -> None:
    error = error_of(put(api, {**BODY, **changes}), 400, "VALIDATION_ERROR")
    assert message in " ".join(error["details"][field])
    assert api.get(TARGETS)["ETag"] == '"0"'


@pytest.mark.parametrize("body", ["[]", "null", "7", '"x"'])
def test_a_body_of_another_type_is_refused(api: CheckedClient, body: str) -> None:
    response = api.put(TARGETS, body, content_type="application/json", headers={"If-Match": "*"})
    error_of(response, 400, "VALIDATION_ERROR")


def test_unknown_districts_are_refused_once_a_calendar_is_stored(api: CheckedClient, served: BackfillService) -> None:
    store_calendar(served)
    error = error_of(
        put(api, {**BODY, "rules": [{"from": "program-year", "districts": ["99"]}]}), 400, "VALIDATION_ERROR"
    )
    assert "the dashboard has no district 99" in error["message"]
    assert put(api, {**BODY, "rules": [{"from": "program-year", "districts": ["2"]}]}).status_code == 200


def store_calendar(served: BackfillService) -> None:
    """A calendar whose last month lists the figures of yesterday."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    served.storage.calendars.save(
        CalendarMonth(
            month_end=month_end_of(yesterday),
            districts=("01", "02", "F"),
            as_of_days=(yesterday,),
            is_archived=False,
            is_closed=False,
            has_blank_close=False,
            fetched_at=datetime.now(UTC),
        )
    )


def test_a_check_is_requested_and_only_of_an_enabled_target(api: CheckedClient) -> None:
    error = error_of(api.post(f"{TARGETS}/check"), 400, "VALIDATION_ERROR")
    assert "is off" in error["message"]
    put(api, BODY)
    response = api.post(f"{TARGETS}/check")
    assert response.status_code == 202
    assert response.json()["target"]["nextCheckAt"]
    error_of(api.post(f"{TARGETS}/check", {"now": True}, format="json"), 400, "VALIDATION_ERROR")
    actions = [entry["action"] for entry in api.get("/api/admin/backfill/audit").json()["entries"]]
    assert actions == ["requested-check", "changed-target"]


def test_a_preview_shows_the_first_run_and_stores_nothing(api: CheckedClient, served: BackfillService) -> None:
    store_calendar(served)
    body = {"enabled": True, "rules": [{"from": "program-year", "analytics": True}]}
    response = api.post(f"{TARGETS}/preview", body, format="json")
    assert response.status_code == 200
    preview = response.json()["preview"]
    assert (preview["totalItems"], preview["results"], preview["missing"]) == (4, 4, {"not-collected": 4})
    assert preview["estimatedDays"] >= 0
    assert api.get(TARGETS)["ETag"] == '"0"'


def test_each_operation_needs_its_permission(client_for: ClientFor) -> None:
    viewer, setter = client_for("view_backfilljob"), client_for("change_coveragetarget")
    assert viewer.get(TARGETS).status_code == 200
    assert viewer.post(f"{TARGETS}/preview", {"enabled": False, "rules": []}, format="json").status_code == 200
    assert "backfill.change_coveragetarget" in error_of(put(viewer, BODY), 403, "PERMISSION_DENIED")["message"]
    error_of(viewer.post(f"{TARGETS}/check"), 403, "PERMISSION_DENIED")
    assert put(setter, BODY).status_code == 200
    assert setter.post(f"{TARGETS}/check").status_code == 202
    error_of(setter.get(TARGETS), 403, "PERMISSION_DENIED")
    error_of(CheckedClient().get(TARGETS), 401, "NOT_AUTHENTICATED")


def test_an_enabled_target_does_not_change_a_manual_job(api: CheckedClient) -> None:
    job = start_job(api)
    put(api, BODY)
    assert target_of(api)["status"] == "incomplete"
    assert api.get(job["links"]["self"]).json()["status"] == "pending"
