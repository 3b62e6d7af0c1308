"""Cancelling and pausing a start_job job."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.acceptance.harness import Client, Dashboard, Json, Site, eventually


def start_job(client: Client) -> Json:
    client.set_limits(maxRequestsPerMinute=600)
    job = client.start("2025-01-01", "2025-06-30", cadence="month-ends")
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 5, 30, "items settle")


@pytest.mark.paced
def test_a_cancelled_job_finishes_the_items_in_flight_and_starts_no_others(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R7.1 over the API, R7.2: within 1 s. R7.3: the time and the partial progress. R7.4: items in flight finish."""
    site = new_site(sample)
    client = site.serve(workers=2)
    job = start_job(client)
    response = client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    cancelled_at = time.time()
    assert response.status_code == 200
    assert response.json()["previousStatus"] == "running"
    assert response.json()["status"] == "cancelling"

    ended = client.ended(job["jobId"], 20)
    assert ended["status"] == "cancelled"
    assert ended["cancelledAt"] is not None
    assert 0 < ended["progress"]["processedItems"] < ended["progress"]["totalItems"]
    items = client.items(job["jobId"])
    assert len(items) == ended["progress"]["processedItems"]

    first_reports = [e for e in sample.exports() if e["report"].startswith(("clubperformance", "districtsummary"))]
    assert max(float(entry["time"]) for entry in first_reports) < cancelled_at + 1
    fetched = {entry["report"].split("~")[1] for entry in sample.exports()}
    assert fetched  # items that were started are stored completely:
    complete = len([e for e in sample.exports() if e["report"].startswith("divisionperformance")])
    assert complete == len([item for item in items if item["districtId"] != "all"])

    again = client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "INVALID_JOB_STATE"


def test_a_job_that_waits_for_a_long_retry_after_can_be_cancelled(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R7.2: the dashboard requests a pause of an hour, and a cancel takes effect within seconds."""
    site = new_site(sample)
    client = site.serve()
    job = start_job(client)
    sample.play({"kind": "429", "times": 1, "retry_after": 3600})
    waiting = client.wait_for(
        job["jobId"], lambda job: job["rateLimiter"]["state"] == "backing-off", 15, "the job waits"
    )
    assert waiting["rateLimiter"]["waitingUntil"] is not None
    client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    assert client.ended(job["jobId"], 5)["status"] == "cancelled"


def test_a_paused_job_sends_no_requests_until_it_is_resumed_and_then_completes(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    site = new_site(sample)
    client = site.serve()
    job = start_job(client)
    assert client.ask("POST", f"/api/admin/backfill/{job['jobId']}/pause").json()["status"] == "pausing"
    client.wait_for(job["jobId"], lambda job: job["status"] == "paused", 20, "the job is paused")
    requests_before = len(sample.log())
    until = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > until, 3, "a while passes")
    assert len(sample.log()) == requests_before
    refused = client.ask(
        "POST",
        "/api/admin/backfill",
        {"jobType": "data-collection", "startDate": "2024-07-01", "endDate": "2024-07-31"},
    )
    assert refused.status_code == 409

    assert client.ask("POST", f"/api/admin/backfill/{job['jobId']}/resume").json()["status"] == "pending"
    ended = client.ended(job["jobId"], 120)
    assert ended["status"] == "completed"
    assert len({item["itemId"] for item in client.items(job["jobId"])}) == ended["progress"]["totalItems"]
