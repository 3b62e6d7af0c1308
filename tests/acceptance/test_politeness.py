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


def collected(client: Client, within: float = 90, **limits: int) -> Json:
    client.set_limits(**limits)
    job = client.start(*MONTHS, cadence="month-ends")
    return client.ended(job["jobId"], within)


@pytest.mark.paced
def test_starts_are_even_and_keep_to_every_limit(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R12.4: no bursts, never more than the limit, never more at once than allowed."""
    sample.play({"kind": "latency", "times": -1, "seconds": 0.3})
    site = new_site(sample, BACKFILL_CONTACT="operator@example.org")
    client = site.serve(workers=2)
    job = collected(client, maxRequestsPerMinute=480, maxConcurrent=2)
    assert job["status"] == "completed"
    exports = sample.exports()
    robots = job["result"]["requestsMade"] - len(exports)
    assert 0 <= robots <= 1, "the process that runs the job may have to read robots.txt first"
    times = starts_of(exports)
    assert_paced(times, 480)
    assert most_in_a_minute(sample.log()) <= 480
    assert max(entry["in_flight"] for entry in exports) <= 2
    assert {entry["user_agent"] for entry in exports} == {"unified-backfill-service/0.1.0 (+operator@example.org)"}


@pytest.mark.paced
def test_the_delay_between_starts_is_kept(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R12.1: minDelayMs, where it is longer than the pace."""
    client = new_site(sample).serve()
    client.set_limits(minDelayMs=400)
    job = client.start("2025-01-31", "2025-01-31", targetDistricts=["F"])
    client.ended(job["jobId"])
    times = starts_of(sample.exports())
    assert len(times) == 4
    assert_paced(times, 60 / 0.4)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", ["429", "503"])
def test_retry_after_holds_the_whole_source_and_costs_no_attempt(
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
    waiting = client.wait_for(job["jobId"], lambda job: job["rateLimiter"]["state"] == "backing-off", 10, "it holds")
    assert status in waiting["rateLimiter"]["reason"]
    ended = client.ended(job["jobId"])
    assert ended["status"] == "completed"
    assert {item["attempts"] for item in client.items(job["jobId"])} == {1}
    log = sorted(sample.exports(), key=lambda entry: entry["time"])
    asked_to_wait = next(n for n, entry in enumerate(log) if str(entry["status"]) == status)
    ended_at = log[asked_to_wait]["ended"]
    later = [at for at in starts_of(log) if at > ended_at + 1]  # on a busy machine it takes a while to notice a refusal
    assert min(later) - ended_at > 3


def test_trouble_is_retried_and_every_item_comes_whole(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R5.4: 5xx, resets, truncation, broken pages and empty answers cost attempts, and no item."""
    kinds = ("500", "503", "429", "reset", "truncate", "html", "empty")
    reports = ("clubperformance", "divisionperformance")
    # Each kind twice, and no more than that to one item: five failures would be its end.
    sample.play(
        *(
            {"kind": kind, "times": 1, "match": f"{report}~{district}~"}
            for report in reports
            for kind, district in zip(kinds, DISTRICTS * 2, strict=False)
        )
    )
    client = new_site(sample).serve()
    job = collected(client, maxDelayMs=1000)
    assert job["status"] == "completed"
    assert job["progress"]["failedItems"] == 0
    items = client.items(job["jobId"])
    assert {item["outcome"] for item in items} == {"processed"}
    assert sum(item["attempts"] - 1 for item in items) == 14


def test_what_cannot_be_had_fails_with_its_reason_and_is_retried_as_a_group(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R5.4: each error with item and message. An item fails whole: nothing of it is stored."""
    sample.play(
        {"kind": "stale_footer", "times": -1, "match": "clubperformance~03"},
        {"kind": "500", "times": -1, "match": "divisionperformance~F"},
    )
    client = new_site(sample).serve()
    job = collected(client, maxDelayMs=200)
    assert job["status"] == "completed"
    failed = client.items(job["jobId"], outcome="failed")
    assert {(item["districtId"], item["reason"], item["attempts"]) for item in failed} == {
        ("03", "WRONG_AS_OF", 5),
        ("03", "WRONG_MONTH", 5),
        ("F", "SERVER_ERROR", 5),
    }  # January has the right month
    assert len(failed) == 8
    assert client.ask("GET", "/api/snapshots/2025-01-31/F").status_code == 404
    assert {error["code"] for error in job["progress"]["errors"]} == {"WRONG_AS_OF", "WRONG_MONTH", "SERVER_ERROR"}

    sample.play()
    answer = client.ask("POST", f"/api/admin/backfill/{job['jobId']}/retry", {"codes": ["SERVER_ERROR"]})
    assert answer.status_code == 201
    retried = client.ended(answer.json()["jobId"])
    assert retried["retryOf"] == job["jobId"]
    assert retried["progress"]["totalItems"] == retried["progress"]["processedItems"] == 4
    assert client.ask("GET", "/api/snapshots/2025-01-31/F").status_code == 200


@pytest.mark.paced
def test_two_servers_previewing_beside_a_job_share_one_pace(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R12.4: calendar pages for two operators' previews and a running job, all within one limit."""
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
