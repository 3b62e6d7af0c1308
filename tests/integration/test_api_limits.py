"""The rate limits of the next job over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.checked_client import CheckedClient
from tests.integration.test_api_jobs import error_of, start_job

LIMITS = "/api/admin/backfill/config/rate-limit"
DEFAULTS = {
    "maxRequestsPerMinute": 60,
    "maxConcurrent": 3,
    "minDelayMs": 500,
    "maxDelayMs": 30000,
    "backoffMultiplier": 2,
}


def test_the_limits_are_shown(api: CheckedClient) -> None:
    """R12.1"""
    assert api.get(LIMITS).json()["config"] == {**DEFAULTS, "updatedAt": None, "updatedBy": None}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_any_subset_of_the_limits_can_be_changed_and_the_operator_is_recorded(api: CheckedClient, method: str) -> None:
    """R12.2"""
    changed = getattr(api, method)(LIMITS, {"maxConcurrent": 1, "backoffMultiplier": 1.5}, format="json")
    assert changed.status_code == 200
    config = changed.json()["config"]
    assert config["updatedBy"] == "alice"
    assert config["updatedAt"]
    assert {name: config[name] for name in DEFAULTS} == {**DEFAULTS, "maxConcurrent": 1, "backoffMultiplier": 1.5}
    assert api.get(LIMITS).json()["config"] == config


@pytest.mark.parametrize("body", [{}, {"maxConcurrent": 3}, DEFAULTS])
def test_a_request_with_unchanged_limits_changes_nothing(api: CheckedClient, body: dict[str, Any]) -> None:
    assert api.put(LIMITS, body, format="json").json()["config"] == {**DEFAULTS, "updatedAt": None, "updatedBy": None}
    api.put(LIMITS, {"maxConcurrent": 1}, format="json")
    before = api.get(LIMITS).json()["config"]
    assert api.patch(LIMITS, {**body, "maxConcurrent": 1}, format="json").json()["config"] == before


def test_a_change_applies_to_the_next_job(api: CheckedClient) -> None:
    """R12.3"""
    running = start_job(api)
    api.put(LIMITS, {"maxRequestsPerMinute": 10}, format="json")
    path = running["links"]["self"]
    assert api.get(path).json()["config"]["rateLimits"] == DEFAULTS
    api.delete(path)
    assert start_job(api)["config"]["rateLimits"]["maxRequestsPerMinute"] == 10


def test_a_whole_number_with_a_decimal_point_is_accepted(api: CheckedClient) -> None:
    response = api.put(LIMITS, '{"maxConcurrent": 3.0}', content_type="application/json")
    assert response.status_code == 200
    assert str(response.json()["config"]["maxConcurrent"]) == "3"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"maxRequestsPerMinute": 0}, "maxRequestsPerMinute"),
        ({"maxRequestsPerMinute": 6001}, "maxRequestsPerMinute"),
        ({"maxConcurrent": 33}, "maxConcurrent"),
        ({"maxConcurrent": "3"}, "maxConcurrent"),
        ({"maxConcurrent": True}, "maxConcurrent"),
        ({"maxConcurrent": 1.5}, "maxConcurrent"),
        ({"maxConcurrent": None}, "maxConcurrent"),
        ({"maxConcurrent": [3]}, "maxConcurrent"),
        ({"maxConcurrent": 10**3000}, "maxConcurrent"),
        ({"minDelayMs": -1}, "minDelayMs"),
        ({"minDelayMs": 60001}, "minDelayMs"),
        ({"maxDelayMs": 300001}, "maxDelayMs"),
        ({"backoffMultiplier": 0.9}, "backoffMultiplier"),
        ({"backoffMultiplier": 10.1}, "backoffMultiplier"),
        ({"backoffMultiplier": "2"}, "backoffMultiplier"),
        ({"backoffMultiplier": False}, "backoffMultiplier"),
        ({"minDelayMs": 2000, "maxDelayMs": 1000}, "minDelayMs"),
        ({"maxDelayMs": 100}, "minDelayMs"),
        ({"updatedBy": "me"}, "updatedBy"),
        ({"max_concurrent": 1}, "max_concurrent"),
    ],
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_error_for_a_limit_out_of_its_bounds_names_the_field(
    api: CheckedClient,
    method: str,
    body: dict[str, Any],
    field: str,
) -> None:
    error = error_of(getattr(api, method)(LIMITS, body, format="json"), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == [field]
    assert api.get(LIMITS).json()["config"]["updatedAt"] is None


def test_a_number_that_overflows_to_infinity_is_refused(api: CheckedClient) -> None:
    for name in ("backoffMultiplier", "maxConcurrent"):
        error_of(api.put(LIMITS, f'{{"{name}": 1e400}}', content_type="application/json"), 400, "VALIDATION_ERROR")


def test_a_query_parameter_on_the_limits_is_refused(api: CheckedClient) -> None:
    for method in ("get", "put", "patch"):
        assert "x" in error_of(getattr(api, method)(f"{LIMITS}?x=1"), 400, "VALIDATION_ERROR")["details"]
