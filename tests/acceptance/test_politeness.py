"""The requests of a job, checked in the dashboard's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.acceptance.harness import Client, Dashboard, Json, Site, assert_paced, most_in_a_minute, starts_of

MONTHS = ("2025-01-01", "2025-04-30")
DISTRICTS = ("01", "02", "03", "04", "F", "U")


def collect(client: Client, within: float = 90, **limits: int) -> Json:
    client.set_limits(**limits)
    job = client.start(*MONTHS, cadence="month-ends")
    return client.ended(job["jobId"], within)


@pytest.mark.paced
def test_requests_are_evenly_spaced_and_keep_every_limit(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R12.4: no bursts, no more requests than the limit, and no more concurrent requests than allowed."""
    sample.play({"kind": "latency", "times": -1, "seconds": 0.3})
    site = new_site(sample, BACKFILL_CONTACT="operator@example.org")
    client = site.serve(workers=2)
    job = collect(client, maxRequestsPerMinute=480, maxConcurrent=2)
    assert job["status"] == "completed"
    exports = sample.exports()
    robots = job["result"]["requestsMade"] - len(exports)
    assert 0 <= robots <= 1, "the process that runs the job may read robots.txt first"
    times = starts_of(exports)
    assert_paced(times, 480)
    assert most_in_a_minute(sample.log()) <= 480
    assert max(entry["in_flight"] for entry in exports) <= 2
    assert {entry["user_agent"] for entry in exports} == {"unified-backfill-service/0.1.0 (+operator@example.org)"}


@pytest.mark.paced
def test_the_minimum_delay_between_requests_is_kept(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R12.1: minDelayMs, if it is longer than the interval of the rate."""
    client = new_site(sample).serve()
    client.set_limits(minDelayMs=400)
    job = client.start("2025-01-31", "2025-01-31", targetDistricts=["F"])
    client.ended(job["jobId"])
    times = starts_of(sample.exports())
    assert len(times) == 4
    assert_paced(times, 60 / 0.4)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", ["429", "503"])
def test_retry_after_pauses_all_requests_and_does_not_count_as_an_attempt(
    sample: Dashboard,
    new_site: Callable[..., Site],
    status: str,
    form: str,
) -> None:
    """R12.4: the job shows the reason for the wait, and no request is sent until its end."""
    client = new_site(sample).serve()
    after = "4" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    sample.play({"kind": status, "times": 1, "retry_after": after, "match": "clubperformance"})
    client.set_limits()
    job = client.start(*MONTHS, cadence="month-ends")
    waiting = client.wait_for(
        job["jobId"], lambda job: job["rateLimiter"]["state"] == "backing-off", 10, "the job waits"
    )
    assert status in waiting["rateLimiter"]["reason"]
    ended = client.ended(job["jobId"])
    assert ended["status"] == "completed"
    assert {item["attempts"] for item in client.items(job["jobId"])} == {1}
    log = sorted(sample.exports(), key=lambda entry: entry["time"])
    refusal = next(n for n, entry in enumerate(log) if str(entry["status"]) == status)
    ended_at = log[refusal]["ended"]
    later = [at for at in starts_of(log) if at > ended_at + 1]  # a busy machine notices the refusal late
    assert min(later) - ended_at > 3


def test_failed_requests_are_retried_and_every_item_is_processed(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    """R5.4: 5xx, resets, truncation, broken pages and empty responses cost attempts, and no item fails."""
    fault_kinds = ("500", "503", "429", "reset", "truncate", "html", "empty")
    reports = ("clubperformance", "divisionperformance")
    # Each kind is injected twice, and into different items: an item fails after five failures.
    sample.play(
        *(
            {"kind": kind, "times": 1, "match": f"{report}~{district}~"}
            for report in reports
            for kind, district in zip(fault_kinds, DISTRICTS * 2, strict=False)
        )
    )
    client = new_site(sample).serve()
    job = collect(client, maxDelayMs=1000)
    assert job["status"] == "completed"
    assert job["progress"]["failedItems"] == 0
    items = client.items(job["jobId"])
    assert {item["outcome"] for item in items} == {"processed"}
    assert sum(item["attempts"] - 1 for item in items) == 14


def test_items_with_permanent_errors_fail_with_a_reason_and_can_be_retried_as_a_group(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R5.4: each error has an item and a message. Nothing of a failed item is stored."""
    sample.play(
        {"kind": "stale_footer", "times": -1, "match": "clubperformance~03"},
        {"kind": "500", "times": -1, "match": "divisionperformance~F"},
    )
    client = new_site(sample).serve()
    job = collect(client, maxDelayMs=200)
    assert job["status"] == "completed"
    failed = client.items(job["jobId"], outcome="failed")
    assert {(item["districtId"], item["reason"], item["attempts"]) for item in failed} == {
        ("03", "WRONG_AS_OF", 5),
        ("03", "WRONG_MONTH", 5),
        ("F", "SERVER_ERROR", 5),
    }  # the response for January has the correct month
    assert len(failed) == 8
    assert client.ask("GET", "/api/snapshots/2025-01-31/F").status_code == 404
    assert {error["code"] for error in job["progress"]["errors"]} == {"WRONG_AS_OF", "WRONG_MONTH", "SERVER_ERROR"}

    sample.play()
    response = client.ask("POST", f"/api/admin/backfill/{job['jobId']}/retry", {"codes": ["SERVER_ERROR"]})
    assert response.status_code == 201
    retried = client.ended(response.json()["jobId"])
    assert retried["retryOf"] == job["jobId"]
    assert retried["progress"]["totalItems"] == retried["progress"]["processedItems"] == 4
    assert client.ask("GET", "/api/snapshots/2025-01-31/F").status_code == 200


@pytest.mark.paced
def test_previews_on_two_servers_and_a_job_share_one_rate_limit(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R12.4: the calendar pages of two previews and the requests of a running job keep one limit together."""
    site = new_site(sample)
    servers = [site.serve(), site.serve()]
    servers[0].set_limits(maxRequestsPerMinute=300)
    job = servers[0].start(*MONTHS, cadence="month-ends")
    began = time.monotonic()
    for server, year in zip(servers, ("2022", "2023"), strict=True):
        body = {"jobType": "data-collection", "startDate": f"{year}-07-01", "endDate": f"{year}-12-31"}
        assert server.ask("POST", "/api/admin/backfill/preview", body).status_code == 200
    assert time.monotonic() - began < 60
    servers[1].ended(job["jobId"])
    times = starts_of(sample.log())
    assert_paced(times, 300)
