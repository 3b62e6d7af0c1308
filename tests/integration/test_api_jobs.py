"""Jobs over the API: start, preview, read, control and retry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from backfill.domain import CalendarAccess, JobConfig, JobType, Plan, PlannedDay, Status
from backfill.errors import DashboardUnavailable, InvalidRequest
from backfill.service.commands import BackfillService
from tests.factories import JobFactory, PlanFactory
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import FakeHandler, run_to_the_end

START = "/api/admin/backfill"
BODY = {"jobType": "data-collection", "startDate": "2024-01-01", "endDate": "2024-01-02"}


def start_job(api: CheckedClient, **fields: Any) -> dict[str, Any]:
    response = api.post(START, {**BODY, **fields}, format="json")
    assert response.status_code == 201, response.content
    job: dict[str, Any] = response.json()
    return job


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert the status and the code of an error response, and return the error."""
    assert response.status_code == status, response.content
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    return error


# Starting.


def test_a_post_creates_a_job_that_is_stored_before_the_response_is_sent(
    api: CheckedClient,
    served: BackfillService,
) -> None:
    """R9.1, R9.2, R1.2, R2.4"""
    response = api.post(START, BODY, format="json")
    assert response.status_code == 201
    job = response.json()
    assert response["Location"] == f"{START}/{job['jobId']}" == job["links"]["self"]
    assert (job["jobType"], job["status"], job["createdBy"]) == ("data-collection", "pending", "alice")
    assert job["progress"]["totalItems"] == 6
    stored = served.active()
    assert stored is not None
    assert str(stored.id) == job["jobId"]


def test_every_field_of_a_request_is_stored_with_the_job(api: CheckedClient) -> None:
    """R4.1"""
    job = start_job(api, targetDistricts=["1", "f", "01"], cadence="month-ends", skipExisting=False)
    assert job["config"]["targetDistricts"] == ["01", "F"]
    assert job["config"]["cadence"] == "month-ends"
    assert job["config"]["skipExisting"] is False
    assert (job["config"]["startDate"], job["config"]["endDate"]) == ("2024-01-01", "2024-01-02")


def test_a_second_start_is_refused_with_an_error_that_names_the_active_job(api: CheckedClient) -> None:
    """R3.2"""
    first = start_job(api)
    error = error_of(api.post(START, BODY, format="json"), 409, "JOB_ALREADY_RUNNING")
    assert first["jobId"] in error["message"]
    assert error["retryable"] is True
    assert error["details"]["jobId"] == first["jobId"]
    assert error["details"]["path"] == first["links"]["self"]
    assert error["details"]["progress"] == {"totalItems": 6, "settledItems": 0, "percent": 0.0}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"startDate": "2024-01-03"}, "INVALID_DATE_RANGE", "startDate"),
        ({"endDate": "2999-01-01"}, "INVALID_DATE_RANGE", "endDate"),
        ({"startDate": "2008-06-30"}, "INVALID_DATE_RANGE", "startDate"),
        ({"startDate": "2023-02-30"}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": "2024-01-01T00:00:00Z"}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": "20240101"}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": "\u0662024-01-01"}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": "0000-01-01"}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": 20240101}, "VALIDATION_ERROR", "startDate"),
        ({"startDate": None}, "VALIDATION_ERROR", "startDate"),
        ({"endDate": ""}, "VALIDATION_ERROR", "endDate"),
        ({"jobType": "everything"}, "INVALID_JOB_TYPE", "jobType"),
        ({"jobType": None}, "INVALID_JOB_TYPE", "jobType"),
        ({"jobType": ["data-collection"]}, "INVALID_JOB_TYPE", "jobType"),
        ({"jobType": {}, "endDate": 3}, "INVALID_JOB_TYPE", "endDate"),
        ({"skipExisting": "true"}, "VALIDATION_ERROR", "skipExisting"),
        ({"skipExisting": 1}, "VALIDATION_ERROR", "skipExisting"),
        ({"skipExisting": None}, "VALIDATION_ERROR", "skipExisting"),
        ({"cadence": "hourly"}, "VALIDATION_ERROR", "cadence"),
        ({"cadence": 1}, "VALIDATION_ERROR", "cadence"),
        ({"targetDistricts": "91"}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": {"91": True}}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": [91]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": [None]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": ["9" * 41]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": ["91"] * 501}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": ["9\u00001"]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": ["nowhere"]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"targetDistricts": ["all"]}, "VALIDATION_ERROR", "targetDistricts"),
        ({"planId": "x" * 201}, "VALIDATION_ERROR", "planId"),
        ({"planId": 7}, "VALIDATION_ERROR", "planId"),
        ({"district": "91"}, "VALIDATION_ERROR", "district"),
        ({"start_date": "2024-01-01"}, "VALIDATION_ERROR", "start_date"),
    ],
)
@pytest.mark.parametrize("path", [START, f"{START}/preview"])
def test_the_error_for_an_invalid_value_names_its_field(
    api: CheckedClient,
    path: str,
    changes: dict[str, Any],
    code: str,
    field: str,
) -> None:
    """R4.3, R4.4"""
    error = error_of(api.post(path, {**BODY, **changes}, format="json"), 400, code)
    assert field in error["details"]
    assert error["details"][field]
    assert error["retryable"] is False
    assert api.get(f"{START}/jobs").json()["total"] == 0


def test_the_end_must_be_before_today(api: CheckedClient) -> None:
    """R4.4"""
    body = {**BODY, "endDate": str(datetime.now(UTC).date())}
    error = error_of(api.post(START, body, format="json"), 400, "INVALID_DATE_RANGE")
    assert "before today" in error["message"]


def test_one_error_names_every_invalid_field(api: CheckedClient) -> None:
    error = error_of(
        api.post(START, {"jobType": "data-collection", "startDate": 1, "cadence": 2, "color": "red"}, format="json"),
        400,
        "VALIDATION_ERROR",
    )
    assert set(error["details"]) == {"startDate", "cadence", "color"}


def test_an_empty_body_is_treated_as_an_empty_object(api: CheckedClient) -> None:
    assert error_of(api.post(START), 400, "INVALID_JOB_TYPE")["details"] == {"jobType": ["jobType is required."]}


def test_the_error_for_missing_dates_names_them(api: CheckedClient) -> None:
    error = error_of(api.post(START, {"jobType": "data-collection"}, format="json"), 400, "VALIDATION_ERROR")
    assert set(error["details"]) == {"startDate", "endDate"}


def test_a_job_type_without_a_handler_is_refused(api: CheckedClient) -> None:
    error = error_of(api.post(START, {"jobType": "analytics-generation"}, format="json"), 400, "INVALID_JOB_TYPE")
    assert "data-collection" in error["message"]


@pytest.mark.parametrize("path", [START, f"{START}/preview"])
def test_a_district_that_is_not_in_the_calendar_is_refused(
    api: CheckedClient,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    def plan(*_: object) -> Plan:
        raise InvalidRequest({"targetDistricts": ["District 99 is none of that year."]})

    monkeypatch.setattr(FakeHandler, "plan", plan)
    error = error_of(api.post(path, {**BODY, "targetDistricts": ["99"]}, format="json"), 400, "VALIDATION_ERROR")
    assert "99" in error["message"]


@pytest.mark.parametrize("path", [START, f"{START}/preview"])
def test_a_start_without_the_calendar_creates_nothing(
    api: CheckedClient,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    def plan(*_: object) -> Plan:
        raise DashboardUnavailable("The calendar of January 2024 is needed and cannot be had. Try again later.")

    monkeypatch.setattr(FakeHandler, "plan", plan)
    error = error_of(api.post(path, BODY, format="json"), 502, "DASHBOARD_UNAVAILABLE")
    assert error["retryable"] is True
    assert api.get(f"{START}/jobs").json()["total"] == 0


# Previews.


def test_a_preview_shows_what_a_start_would_do_and_starts_nothing(api: CheckedClient) -> None:
    """R11.2, R11.3"""
    response = api.post(f"{START}/preview", {**BODY, "targetDistricts": ["91"]}, format="json")
    assert response.status_code == 200
    preview = response.json()["preview"]
    assert preview["totalItems"] == 2
    assert preview["dateRange"] == {"startDate": "2024-01-01", "endDate": "2024-01-02"}
    assert preview["affectedDistricts"] == ["91"]
    assert preview["estimatedRequests"] == 6
    assert preview["estimatedDuration"] == pytest.approx(6 * 1005)
    assert preview["itemBreakdown"] == {"dates": ["2024-01-01", "2024-01-02"]}
    assert api.get(f"{START}/jobs").json()["total"] == 0


def test_a_start_with_a_plan_id_runs_that_plan_or_is_refused_with_the_differences(
    api: CheckedClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R11.4"""
    plan_id = api.post(f"{START}/preview", BODY, format="json").json()["preview"]["planId"]
    for invalid in ("plan-x", ""):
        assert error_of(api.post(START, {**BODY, "planId": invalid}, format="json"), 400, "VALIDATION_ERROR")
    monkeypatch.setattr(FakeHandler, "plan", lambda *_: Plan((PlannedDay(date(2024, 1, 1), ("91",)),), requests=3))
    error = error_of(api.post(START, {**BODY, "planId": plan_id}, format="json"), 409, "PLAN_CHANGED")
    assert (error["details"]["before"]["totalItems"], error["details"]["now"]["totalItems"]) == (6, 1)
    assert start_job(api, planId=error["details"]["planId"])["progress"]["totalItems"] == 1


# Idempotency.


def test_a_repeated_request_with_the_same_idempotency_key_returns_the_same_job(api: CheckedClient) -> None:
    headers = {"Idempotency-Key": "0b7f4c1e"}
    first = api.post(START, BODY, format="json", headers=headers)
    again = api.post(START, {**BODY, "skipExisting": True}, format="json", headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again["Location"] == first["Location"]
    assert again.json()["jobId"] == first.json()["jobId"]
    assert api.get(f"{START}/jobs").json()["total"] == 1


def test_another_body_with_the_same_idempotency_key_is_refused(api: CheckedClient) -> None:
    headers = {"Idempotency-Key": "0b7f4c1e"}
    api.post(START, BODY, format="json", headers=headers)
    error_of(
        api.post(START, {**BODY, "endDate": "2024-01-03"}, format="json", headers=headers),
        409,
        "IDEMPOTENCY_KEY_REUSED",
    )


def test_an_idempotency_key_is_valid_for_one_operator(
    api: CheckedClient, client_for: Callable[..., CheckedClient]
) -> None:
    headers = {"Idempotency-Key": "0b7f4c1e"}
    api.post(START, BODY, format="json", headers=headers)
    other = client_for("add_backfilljob")
    error_of(other.post(START, BODY, format="json", headers=headers), 409, "JOB_ALREADY_RUNNING")


@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "a\x01b", "a\x00b"])
def test_an_invalid_idempotency_key_is_refused(api: CheckedClient, key: str) -> None:
    error = error_of(api.post(START, BODY, format="json", headers={"Idempotency-Key": key}), 400, "VALIDATION_ERROR")
    assert "Idempotency-Key" in error["details"]


# Reading.


def test_a_job_can_be_read(api: CheckedClient, served: BackfillService) -> None:
    """R9.3, R5.1, R5.3, R5.4, R5.5"""
    start_job(api)
    job = run_to_the_end(served, failing=["F"])
    shown = api.get(f"{START}/{job.id}").json()
    assert shown["status"] == "completed"
    assert (shown["progress"]["processedItems"], shown["progress"]["failedItems"]) == (4, 2)
    assert shown["progress"]["districtProgress"]["F"]["status"] == "failed"
    assert shown["progress"]["errors"][0]["code"] == "SERVER_ERROR"
    assert shown["rateLimiter"]["requestsMade"] == 7
    assert shown["result"]["itemsFailed"] == 2
    assert shown["links"]["retry"] == f"{START}/{job.id}/retry"


def test_a_job_is_sent_again_only_after_it_has_changed(api: CheckedClient, served: BackfillService) -> None:
    path = start_job(api)["links"]["self"]
    first = api.get(path)
    etag = first["ETag"]
    assert etag.startswith('"')
    assert first["Cache-Control"] == "private, no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = api.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    assert api.head(path, headers={"If-None-Match": etag}).status_code == 304
    for unknown in ('"other"', "", "garbage", etag.strip('"')):
        assert api.get(path, headers={"If-None-Match": unknown}).status_code == 200
    api.post(f"{path}/pause")
    changed = api.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


def test_head_returns_the_headers_of_get_without_a_body(api: CheckedClient) -> None:
    path = start_job(api)["links"]["self"]
    head = api.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == api.get(path)["ETag"]


JOB_OPERATIONS = [
    ("get", ""),
    ("delete", ""),
    ("patch", ""),
    ("post", "/pause"),
    ("post", "/resume"),
    ("get", "/items"),
    ("post", "/retry"),
]


@pytest.mark.parametrize(("method", "suffix"), JOB_OPERATIONS)
@pytest.mark.parametrize(
    "job_id", ["0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11", "nothing", "1", "%00", "..%20", "x" * 300, "coverages"]
)
def test_an_unknown_job_is_not_found(api: CheckedClient, method: str, suffix: str, job_id: str) -> None:
    body = {"rateLimits": {"maxConcurrent": 1}} if method == "patch" else None
    error = error_of(getattr(api, method)(f"{START}/{job_id}{suffix}", body, format="json"), 404, "JOB_NOT_FOUND")
    assert "List the jobs" in error["message"]


def test_jobs_are_listed_newest_first_and_paged(api: CheckedClient, served: BackfillService) -> None:
    """R9.5, R6.1, R6.2, R1.6"""
    ids: list[str] = []
    for _ in range(3):
        ids.insert(0, start_job(api)["jobId"])
        run_to_the_end(served)
    listed = api.get(f"{START}/jobs").json()
    assert [job["jobId"] for job in listed["jobs"]] == ids
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 20, 0)
    assert "districtProgress" not in listed["jobs"][0]["progress"]
    assert "errors" not in listed["jobs"][0]["progress"]
    assert listed["jobs"][0]["result"]["itemsProcessed"] == 6
    second = api.get(f"{START}/jobs?limit=1&offset=1").json()
    assert [job["jobId"] for job in second["jobs"]] == [ids[1]]
    assert second["total"] == 3
    assert api.get(f"{START}/jobs?offset=10000000&limit=100").json()["jobs"] == []


@pytest.fixture
def history(served: BackfillService) -> dict[str, str]:
    """Store one ended job of each status, created an hour apart. Maps status to id."""
    ids = {}
    at = datetime(2024, 3, 14, 23, 0, tzinfo=UTC)
    for hours, status in enumerate(("completed", "failed", "cancelled")):
        created = at + timedelta(hours=hours)
        job = JobFactory.build(status=Status(status), created_at=created, ended_at=created)
        served.storage.jobs.create(job, PlanFactory.build(), displace=lambda _: None)
        ids[status] = str(job.id)
    return ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=completed", ["completed"]),
        ("status=failed,cancelled", ["cancelled", "failed"]),
        ("status=running", []),
        ("jobType=data-collection", ["cancelled", "failed", "completed"]),
        ("jobType=analytics-generation", []),
        ("createdTo=2024-03-14", ["completed"]),
        ("createdTo=2024-03-15", ["cancelled", "failed", "completed"]),
        ("createdFrom=2024-03-15", ["cancelled", "failed"]),
        ("createdFrom=2024-03-15T00:30:00", ["cancelled"]),
        ("createdFrom=2024-03-15T00:30:00Z", ["cancelled"]),
        ("createdFrom=2024-03-15T00:30:00%2B02:00", ["cancelled", "failed", "completed"]),
        ("createdFrom=2024-03-15&createdTo=2024-03-15T01:00:00Z&status=failed", ["failed"]),
    ],
)
def test_the_list_of_jobs_can_be_filtered(
    api: CheckedClient,
    history: dict[str, str],
    query: str,
    expected: list[str],
) -> None:
    """R6.3"""
    listed = api.get(f"{START}/jobs?{query}").json()
    assert [job["jobId"] for job in listed["jobs"]] == [history[status] for status in expected]
    assert listed["total"] == len(expected)


INVALID_PAGING = [
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=ten",
    "limit=",
    "limit=1.0",
    "limit=%C2%B2",
    "limit=%D9%A1",
    f"limit={'9' * 5000}",
    "offset=-1",
    "offset=10000001",
    "offset=%00",
    "limit=1&limit=2",
    "page=2",
]


@pytest.mark.parametrize(
    "query",
    [
        *INVALID_PAGING,
        "status=done",
        "status=",
        "status=completed,",
        "jobType=x",
        "createdFrom=yesterday",
        "createdFrom=2023-02-30",
        "createdTo=2024-03-15T99:00",
        "createdTo=9999-12-31",
        "createdFrom=0001-01-01T00:00:00%2B14:00",
        "createdTo=9999-12-31T23:59:59-10:00",
        "createdFrom=20240101",
        "createdTo=%00",
        "createdTo=2024-W05-3",
        "createdFrom=2024-03-16&createdTo=2024-03-15",
        "createdFrom=2024-03-15T01:00:00Z&createdTo=2024-03-15T01:00:00Z",
    ],
)
def test_the_error_for_an_invalid_parameter_of_the_list_names_it(api: CheckedClient, query: str) -> None:
    error = error_of(api.get(f"{START}/jobs?{query}"), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == [query.partition("=")[0]]


# Items.


def test_the_items_of_a_job_are_listed_filtered_and_paged(api: CheckedClient, served: BackfillService) -> None:
    """R5.4, R9.5"""
    path = start_job(api)["links"]["items"]
    run_to_the_end(served, failing=["F"])
    found = api.get(path).json()
    assert found["total"] == 6
    failed = api.get(f"{path}?outcome=failed").json()
    assert {item["districtId"] for item in failed["items"]} == {"F"}
    assert failed["items"][0]["reason"] == "SERVER_ERROR"
    assert failed["items"][0]["isRetryable"] is True
    assert failed["items"][0]["excerpt"] == "<html>\n  [bold]An error & more</html>"
    assert {item["excerpt"] for item in api.get(f"{path}?outcome=processed").json()["items"]} == {None}
    assert {item["itemId"] for item in api.get(f"{path}?district=1").json()["items"]} == {
        "2024-01-01/01",
        "2024-01-02/01",
    }
    assert len(api.get(f"{path}?limit=4&offset=4").json()["items"]) == 2
    assert api.get(f"{path}?district=all").json()["total"] == 0


@pytest.mark.parametrize(
    "query", [*INVALID_PAGING, "outcome=lost", "outcome=", "district=nowhere", "district=", "district=%00"]
)
def test_the_error_for_an_invalid_parameter_of_items_names_it(api: CheckedClient, query: str) -> None:
    path = start_job(api)["links"]["items"]
    error = error_of(api.get(f"{path}?{query}"), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == [query.partition("=")[0]]


# Control.


def test_delete_cancels_a_job_without_a_runner_immediately(api: CheckedClient) -> None:
    """R9.4, R7.3"""
    path = start_job(api)["links"]["self"]
    cancelled = api.delete(path)
    assert cancelled.status_code == 200
    job = cancelled.json()
    assert (job["status"], job["previousStatus"]) == ("cancelled", "pending")
    assert job["cancelledAt"]
    assert job["result"]["itemsProcessed"] == 0
    error_of(api.delete(path), 409, "INVALID_JOB_STATE")


def test_delete_of_a_claimed_job_waits_for_the_items_in_flight(api: CheckedClient, served: BackfillService) -> None:
    """R7.3, R7.4"""
    path = start_job(api)["links"]["self"]
    active = served.active()
    assert active is not None
    served.storage.jobs.update(active.id, lambda job: job.claimed("runner", served.now()))
    job = api.delete(path).json()
    assert (job["status"], job["previousStatus"]) == ("cancelling", "running")
    assert job["completedAt"] is None
    assert job["cancelledAt"]


def test_a_job_can_be_paused_and_resumed(api: CheckedClient) -> None:
    path = start_job(api)["links"]["self"]
    error_of(api.post(f"{path}/resume"), 409, "INVALID_JOB_STATE")
    assert api.post(f"{path}/pause").json()["status"] == "paused"
    assert api.post(f"{path}/resume", {}, format="json").json()["status"] == "pending"
    error = error_of(api.post(f"{path}/pause", {"for": 5}, format="json"), 400, "VALIDATION_ERROR")
    assert error["details"] == {"for": ["for is not a field of this request; it takes note."]}


def test_the_limits_of_an_active_job_can_only_be_lowered(api: CheckedClient) -> None:
    path = start_job(api)["links"]["self"]
    lowered = api.patch(path, {"rateLimits": {"maxRequestsPerMinute": 20}}, format="json").json()
    assert lowered["config"]["rateLimits"]["maxRequestsPerMinute"] == 20
    error_of(api.patch(path, {"rateLimits": {"maxRequestsPerMinute": 21}}, format="json"), 409, "INVALID_JOB_STATE")
    api.delete(path)
    error_of(api.patch(path, {"rateLimits": {"maxConcurrent": 1}}, format="json"), 409, "INVALID_JOB_STATE")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rateLimits"),
        ({"rateLimits": None}, "rateLimits"),
        ({"rateLimits": 5}, "rateLimits"),
        ({"rateLimits": []}, "rateLimits"),
        ({"rateLimits": {"maxConcurrent": "1"}}, "rateLimits.maxConcurrent"),
        ({"rateLimits": {"speed": 1}}, "rateLimits.speed"),
        ({"status": "paused"}, "status"),
    ],
)
def test_an_empty_or_invalid_change_is_refused(api: CheckedClient, body: Any, field: str) -> None:
    path = start_job(api)["links"]["self"]
    assert field in error_of(api.patch(path, body, format="json"), 400, "VALIDATION_ERROR")["details"]


# Retrying.


def test_a_retry_is_a_new_job_of_exactly_the_failed_items(api: CheckedClient, served: BackfillService) -> None:
    path = start_job(api)["links"]["self"]
    error_of(api.post(f"{path}/retry"), 409, "JOB_ALREADY_RUNNING")
    first = run_to_the_end(served, failing=["F", "02"])
    headers = {"Idempotency-Key": "again"}
    response = api.post(
        f"{path}/retry", {"codes": ["SERVER_ERROR"], "districts": ["f"]}, format="json", headers=headers
    )
    assert response.status_code == 201
    job = response.json()
    assert response["Location"] == job["links"]["self"]
    assert job["retryOf"] == str(first.id)
    assert job["links"]["retryOf"] == path
    assert job["progress"]["totalItems"] == 2
    replayed = api.post(
        f"{path}/retry", {"codes": ["SERVER_ERROR"], "districts": ["F"]}, format="json", headers=headers
    )
    assert (replayed.status_code, replayed.json()["jobId"]) == (200, job["jobId"])
    error_of(api.post(f"{path}/retry"), 409, "JOB_ALREADY_RUNNING")
    run_to_the_end(served)
    error_of(api.post(f"{job['links']['self']}/retry"), 409, "NOTHING_TO_RETRY")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"codes": "SERVER_ERROR"}, "codes"),
        ({"codes": [None]}, "codes"),
        ({"codes": ["A"] * 101}, "codes"),
        ({"districts": ["nowhere"]}, "districts"),
        ({"districts": [1]}, "districts"),
        ({"items": []}, "items"),
    ],
)
def test_a_retry_with_an_invalid_filter_is_refused(
    api: CheckedClient,
    served: BackfillService,
    body: Any,
    field: str,
) -> None:
    path = start_job(api)["links"]["self"]
    run_to_the_end(served, failing=["F"])
    assert field in error_of(api.post(f"{path}/retry", body, format="json"), 400, "VALIDATION_ERROR")["details"]


def test_a_query_parameter_on_a_post_is_refused(api: CheckedClient) -> None:
    assert "dryRun" in error_of(api.post(f"{START}?dryRun=1", BODY, format="json"), 400, "VALIDATION_ERROR")["details"]


def test_an_analytics_job_needs_no_dates(api: CheckedClient, served: BackfillService) -> None:
    """R4.2, R4.5"""
    handlers = {JobType.DATA_COLLECTION: FakeHandler(), JobType.ANALYTICS_GENERATION: FakeHandler()}
    configs: list[JobConfig] = []
    object.__setattr__(served, "handlers", handlers)

    def plan(config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:
        configs.append(config)
        return Plan((PlannedDay(date(2024, 1, 31), ("91",)),))

    handlers[JobType.ANALYTICS_GENERATION].plan = plan  # type: ignore[method-assign]
    job = api.post(START, {"jobType": "analytics-generation", "startDate": None}, format="json").json()
    assert (job["jobType"], job["config"]["startDate"]) == ("analytics-generation", None)
    assert (configs[0].start_date, configs[0].end_date) == (None, None)
