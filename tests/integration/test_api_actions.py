"""The API: bound limits, notes, running again, retries by cause, items as CSV, and filters of the list of jobs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from backfill.domain import LimiterReport, Outcome, OutcomeKind
from backfill.engine.job_manager import JobManager
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import run_to_the_end
from tests.integration.test_api_jobs import BODY, START, error_of, start_job


def test_a_start_whose_limits_changed_since_the_preview_is_refused_with_the_difference(api: CheckedClient) -> None:
    """R11.4, R12.3"""
    limits = f"{START}/config/rate-limit"
    api.patch(limits, {"maxRequestsPerMinute": 1200}, format="json")
    plan_id = api.post(f"{START}/preview", BODY, format="json").json()["preview"]["planId"]
    api.patch(limits, {"maxRequestsPerMinute": 30}, format="json")
    error = error_of(api.post(START, {**BODY, "planId": plan_id}, format="json"), 409, "PLAN_CHANGED")
    assert "1,200 requests per minute when previewed, 30 now" in error["message"]
    assert error["details"]["rateLimits"] == {"maxRequestsPerMinute": {"before": 1200, "now": 30}}
    job = start_job(api, planId=error["details"]["planId"])
    assert job["config"]["rateLimits"]["maxRequestsPerMinute"] == 30


def test_a_plan_id_of_an_earlier_version_is_a_changed_plan(api: CheckedClient) -> None:
    error = error_of(
        api.post(START, {**BODY, "planId": "plan-6-0-18-0123456789abcdef"}, format="json"), 409, "PLAN_CHANGED"
    )
    assert "earlier version" in error["message"]
    assert error["details"]["rateLimits"] is None


def test_the_limits_of_a_job_are_not_part_of_a_start(api: CheckedClient) -> None:
    response = api.post(START, {**BODY, "rateLimits": {"maxConcurrent": 1}}, format="json")
    assert "rateLimits" in error_of(response, 400, "VALIDATION_ERROR")["details"]


def test_jobs_are_listed_by_operator_outcome_and_text(
    api: CheckedClient, served: BackfillService, client_for: Callable[..., CheckedClient]
) -> None:
    """R6.3"""
    other = client_for("view_backfilljob", "add_backfilljob")
    partly = start_job(api, note="the close of May")["jobId"]
    run_to_the_end(served, failing=["F"])
    failed = start_job(other)["jobId"]
    run_to_the_end(served, failing=["01", "02", "F"])
    good = start_job(api)["jobId"]
    run_to_the_end(served)
    cancelled = start_job(api, note="by mistake")["jobId"]
    api.delete(f"{START}/{cancelled}")

    def listed(query: str) -> list[str]:
        return [job["jobId"] for job in api.get(f"{START}/jobs?{query}").json()["jobs"]]

    assert listed("outcome=completed-with-failures") == [partly]
    assert listed("outcome=succeeded,cancelled") == [cancelled, good]
    assert listed("outcome=failed") == [failed]
    assert listed("createdBy=alice") == [cancelled, good, partly]
    assert listed("createdBy=alice&outcome=succeeded&status=completed") == [good]
    assert listed("q=CLOSE+of") == [partly]
    assert listed(f"q={good[:10]}") == [good]
    assert listed("q=%C3%89t%C3%A9") == []
    assert len(listed("q=&createdBy=")) == 4
    for query in ("outcome=bad", "q=a%0Ab", f"q={'x' * 201}", "createdBy=a%00b", "q=a&q=b"):
        error_of(api.get(f"{START}/jobs?{query}"), 400, "VALIDATION_ERROR")


def test_a_retried_job_names_its_retries_and_what_is_still_failed(api: CheckedClient, served: BackfillService) -> None:
    path = start_job(api)["links"]["self"]
    run_to_the_end(served, failing=["F", "02"])
    before = api.get(path)
    assert (before.json()["stillFailedItems"], before.json()["retries"]) == (4, [])
    retry = api.post(f"{path}/retry", {"districts": ["F"]}, format="json").json()
    run_to_the_end(served)
    after = api.get(path, headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200, "the ETag changes with the retries"
    job = after.json()
    assert job["progress"]["failedItems"] == job["result"]["itemsFailed"] == 4, "the ledger of the job stays"
    assert job["stillFailedItems"] == 2
    assert [(entry["jobId"], entry["status"], entry["items"], entry["recoveredItems"]) for entry in job["retries"]] == [
        (retry["jobId"], "completed", 2, 2)
    ]
    assert job["retries"][0]["groups"] == [{"code": "SERVER_ERROR", "items": 2, "recoveredItems": 2}]
    assert api.get(f"{START}/jobs").json()["jobs"][1]["stillFailedItems"] == 2
    rest = api.post(f"{path}/retry").json()
    assert rest["progress"]["totalItems"] == 2, "what is still failed"
    run_to_the_end(served)
    assert api.get(path).json()["stillFailedItems"] == 0
    assert "retry" not in api.get(path).json()["links"]
    error_of(api.post(f"{path}/retry"), 409, "NOTHING_TO_RETRY")


def test_items_are_filtered_by_code_and_ordered(api: CheckedClient, served: BackfillService) -> None:
    path = start_job(api)["links"]["self"]
    run_to_the_end(served, failing=["F"])
    items = api.get(f"{path}/items").json()["items"]
    assert api.get(f"{path}/items?order=newest").json()["items"] == items[::-1]
    failed = api.get(f"{path}/items?code=TIMEOUT,SERVER_ERROR&district=F").json()
    assert (failed["total"], {item["reason"] for item in failed["items"]}) == (2, {"SERVER_ERROR"})
    assert api.get(f"{path}/items?code=TIMEOUT").json()["total"] == 0
    assert api.get(f"{path}/items?code=SERVER_ERROR&outcome=processed").json()["total"] == 0
    for query in ("code=", "code=a%20b", "code=,", "code=stored", "order=down"):
        error_of(api.get(f"{path}/items?{query}"), 400, "VALIDATION_ERROR")


def test_items_are_sent_as_csv_that_a_spreadsheet_takes_for_no_formula(
    api: CheckedClient, served: BackfillService
) -> None:
    path = start_job(api)["links"]["self"]
    now = datetime.now(UTC)
    claim = JobManager(served.storage).claim("test", now)
    assert claim is not None
    items = [item for day in claim.plan.days for item in day.items()]
    messages = ["=cmd|' /C calc'!A0", 'An “Été”, "quoted"', "-2+3", "@x", "+1", "plain\nlines"]
    codes = ["HTML_PAGE", "TIMEOUT", "TIMEOUT", "TIMEOUT", "TIMEOUT", "HTML_PAGE"]
    claim.note(
        Outcome(item, OutcomeKind.FAILED, now, code, message, attempts=5, is_retryable=True, excerpt="<p>")
        for item, code, message in zip(items, codes, messages, strict=True)
    )
    claim.record((), LimiterReport(), now)
    claim.finish(now)

    def rows(query: str = "") -> list[list[str]]:
        response: Any = api.get(f"{path}/items{query}", headers={"Accept": "text/csv"})
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))

    header, *found = rows()
    assert header == [
        "itemId", "date", "districtId", "outcome", "reason", "message", "attempts", "at", "isRetryable",
    ]  # fmt: skip
    assert [row[5] for row in found] == ["'=cmd|' /C calc'!A0", messages[1], "'-2+3", "'@x", "+1", messages[5]]
    assert found[0][:5] == ["2024-01-01/01", "2024-01-01", "01", "failed", "HTML_PAGE"]
    assert (found[0][6], found[0][8]) == ("5", "true")
    assert len(rows("?outcome=failed&code=TIMEOUT")) == 5
    assert [row[0] for row in rows("?code=TIMEOUT&district=02&limit=1&offset=7")[1:]] == [
        "2024-01-01/02",
        "2024-01-02/02",
    ]
    assert len(rows("?outcome=processed")) == 1
    missing = api.get(f"{START}/{uuid4()}/items", headers={"Accept": "text/csv"})
    assert missing["Content-Type"] == "application/json", "errors are JSON"
    error_of(missing, 404, "JOB_NOT_FOUND")
    error_of(api.get(f"{path}/items", headers={"Accept": "image/png"}), 406, "NOT_ACCEPTABLE")
    assert api.get(f"{path}/items", headers={"Accept": "*/*"})["Content-Type"] == "application/json"


def test_a_long_csv_is_sent_in_parts_with_each_item_once(api: CheckedClient, served: BackfillService) -> None:
    path = start_job(api, endDate="2024-12-31")["links"]["self"]
    run_to_the_end(served)
    response: Any = api.get(f"{path}/items", headers={"Accept": "text/csv"})
    parts = list(response.streaming_content)
    rows = b"".join(parts).decode().splitlines()
    assert len(parts) == 3
    assert len(rows) == len(set(rows)) == 1 + 3 * 366


def test_the_link_again_is_the_request_that_starts_a_job_with_the_same_settings(api: CheckedClient) -> None:
    job = start_job(api, targetDistricts=["02", "F"], cadence="month-ends", skipExisting=False, endDate="2024-01-31")
    api.patch(job["links"]["self"], {"rateLimits": {"maxConcurrent": 1}}, format="json")
    ended = api.delete(job["links"]["self"]).json()
    again = ended["links"]["again"]
    assert again == api.get(f"{START}/jobs").json()["jobs"][0]["links"]["again"]
    response = api.generic(again["method"], again["path"], json.dumps(again["body"]), content_type="application/json")
    assert response.status_code == 201
    expected = {**ended["config"], "rateLimits": job["config"]["rateLimits"]}
    assert response.json()["config"] == expected, "the limits are those of the next job"


def test_a_note_comes_with_each_action_and_later(api: CheckedClient, served: BackfillService) -> None:
    job = start_job(api, note="close of January")
    path = job["links"]["self"]
    assert (job["note"], [note["operator"] for note in job["notes"]]) == ("close of January", ["alice"])
    assert api.post(f"{path}/pause", {"note": "slow"}, format="json").json()["note"] == "slow"
    assert api.patch(path, {"note": "Été"}, format="json").json()["note"] == "Été"
    both = {"rateLimits": {"maxConcurrent": 1}, "note": "slower"}
    assert api.patch(path, both, format="json").json()["note"] == "slower"
    assert api.delete(path, {"note": "wrong year"}, format="json").json()["note"] == "wrong year"
    ended = api.patch(path, {"note": "done"}, format="json").json()
    assert [note["text"] for note in ended["notes"]] == [
        "close of January", "slow", "Été", "slower", "wrong year", "done",
    ]  # fmt: skip
    entries = api.get(f"{path}/audit").json()["entries"]
    assert [(entry["action"], entry["changes"]["note"]["to"]) for entry in entries] == [
        ("noted", "done"),
        ("cancelled", "wrong year"),
        ("lowered-limits", "slower"),
        ("noted", "Été"),
        ("paused", "slow"),
        ("started", "close of January"),
    ]
    run_to_the_end_of_another = start_job(api)["links"]["self"]
    run_to_the_end(served, failing=["F"])
    retry = api.post(f"{run_to_the_end_of_another}/retry", {"note": "again"}, format="json").json()
    assert retry["note"] == "again"
    assert api.delete(f"{retry['links']['self']}?note=not+now").json()["note"] == "not now"


def test_a_start_with_the_same_key_and_another_note_is_the_same_job(api: CheckedClient) -> None:
    key = {"Idempotency-Key": "k"}
    first = api.post(START, {**BODY, "note": "first"}, format="json", headers=key).json()
    again = api.post(START, {**BODY, "note": "second"}, format="json", headers=key)
    assert (again.status_code, again.json()["jobId"], again.json()["note"]) == (200, first["jobId"], "first")


@pytest.mark.parametrize("note", ["x" * 501, "a\nb", "\u202eabc", 7, ["x"], {"text": "x"}])
def test_a_note_that_is_refused_changes_nothing(api: CheckedClient, note: Any) -> None:
    path = start_job(api)["links"]["self"]
    for response in (
        api.post(START, {**BODY, "note": note}, format="json"),
        api.post(f"{path}/pause", {"note": note}, format="json"),
        api.post(f"{path}/retry", {"note": note}, format="json"),
        api.patch(path, {"note": note}, format="json"),
        api.delete(path, {"note": note}, format="json"),
    ):
        assert "note" in error_of(response, 400, "VALIDATION_ERROR")["details"]
    assert api.get(path).json()["notes"] == []


def test_a_cancel_takes_one_note_and_nothing_else(api: CheckedClient) -> None:
    path = start_job(api)["links"]["self"]
    error_of(api.delete(f"{path}?note=a", {"note": "b"}, format="json"), 400, "VALIDATION_ERROR")
    error_of(api.delete(f"{path}?notes=a"), 400, "VALIDATION_ERROR")
    error_of(api.delete(f"{path}?note=a%0Ab"), 400, "VALIDATION_ERROR")
    error_of(api.delete(path, {"why": "b"}, format="json"), 400, "VALIDATION_ERROR")
    error_of(api.delete(path, "b", content_type="text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert api.get(path).json()["status"] == "pending"
    assert api.delete(f"{path}?note=", {"note": None}, format="json").json()["notes"] == []
    error_of(api.patch(path, {"note": ""}, format="json"), 400, "VALIDATION_ERROR")
    error_of(api.patch(path, {"note": None}, format="json"), 400, "VALIDATION_ERROR")
