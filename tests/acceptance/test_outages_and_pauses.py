"""Jobs that wait: outages, throttling, pauses and allowed hours. Items that crash their worker."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.acceptance.harness import (
    SHORT_LEASE,
    Client,
    Dashboard,
    Json,
    Process,
    Site,
    assert_paced,
    eventually,
    kill_group,
    starts_of,
)

RANGE = ("2025-01-01", "2025-06-30")
YEAR = ("2024-07-01", "2025-06-30")


def start_job(client: Client, *, days: tuple[str, str] = RANGE, settled: int = 6, **limits: int) -> Json:
    client.set_limits(**{"maxRequestsPerMinute": 600, "maxDelayMs": 2000, **limits})
    job = client.start(*days, cadence="month-ends")
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= settled, 30, "items settle")


def is_down(job: Json) -> bool:
    return job["rateLimiter"]["downSince"] is not None and job["rateLimiter"]["waitingUntil"] is not None


def assert_complete(client: Client, job: Json) -> None:
    """Assert that every item was processed once, at its first attempt."""
    assert (job["status"], job["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert len({item["itemId"] for item in items}) == len(items) == job["progress"]["totalItems"]
    assert {(item["outcome"], item["attempts"]) for item in items} == {("processed", 1)}


# Outages.


@pytest.mark.parametrize("kind", ["503", "500", "reset"])
def test_no_item_fails_in_an_outage_and_the_job_continues_afterwards(
    sample: Dashboard,
    new_site: Callable[..., Site],
    kind: str,
) -> None:
    client = new_site(sample).serve()
    job = start_job(client)
    sample.play({"kind": kind, "times": -1})
    held = client.wait_for(job["jobId"], is_down, 30, "the job waits")
    limiter = held["rateLimiter"]
    assert (held["status"], limiter["state"]) == ("running", "backing-off")
    assert f"No usable response since {limiter['downSince'][11:19]} UTC" in limiter["reason"]
    assert "The next request is sent at" in limiter["reason"]

    began = time.time()
    until = time.monotonic() + 8
    eventually(lambda: time.monotonic() > until, 10, "the outage lasts")
    requests_in_outage = [entry for entry in sample.exports() if entry["time"] > began]
    assert {entry["in_flight"] for entry in requests_in_outage} <= {1}
    times = starts_of(requests_in_outage)
    assert 3 <= len(times) <= 10
    assert max(later - sooner for sooner, later in pairwise(times)) >= 0.9  # at least half of the longest delay
    assert client.job(job["jobId"])["progress"]["failedItems"] == 0

    sample.play()
    ended = client.ended(job["jobId"], 90)
    assert_complete(client, ended)
    assert ended["rateLimiter"]["waitedSeconds"]["down"] >= 7


def test_no_item_fails_in_an_outage_with_a_kill_of_the_server(
    new_site: Callable[..., Site],
) -> None:
    """R10.1: a job that is taken over in an outage continues to probe, and completes."""
    dashboard = Dashboard.sample("--districts", "6", "--clubs", "12")
    port = dashboard.url.rpartition(":")[2]
    try:
        site = new_site(dashboard, **SHORT_LEASE)
        client = site.serve()
        job = start_job(client)
        dashboard.stop()
        client.wait_for(job["jobId"], is_down, 30, "the job waits")
        kill_group(client.process)
        client = site.serve()
        client.wait_for(job["jobId"], lambda job: job["resumedAt"] and is_down(job), 30, "a takeover that waits")
        dashboard = Dashboard.sample("--districts", "6", "--clubs", "12", "--port", port)
        ended = client.ended(job["jobId"], 120)
        assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
        assert ended["progress"]["processedItems"] == ended["progress"]["totalItems"]
    finally:
        dashboard.stop()


def test_a_job_can_be_cancelled_during_an_outage(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R7.2"""
    client = new_site(sample).serve()
    job = start_job(client, maxDelayMs=60_000)
    sample.play({"kind": "503", "times": -1})
    client.wait_for(job["jobId"], is_down, 30, "the job waits")
    client.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    assert client.ended(job["jobId"], 5)["status"] == "cancelled"


def test_items_with_a_permanent_error_fail_while_other_requests_succeed(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R5.4: also if only broken items are left, because an earlier successful request is then repeated as a probe."""
    sample.play({"kind": "500", "times": -1, "match": "performance~F~"})
    client = new_site(sample).serve()
    client.set_limits(maxDelayMs=500)
    job = client.start(*YEAR, cadence="month-ends", targetDistricts=["F"])
    ended = client.ended(job["jobId"], 120)
    failed = client.items(job["jobId"], outcome="failed")
    assert {(item["districtId"], item["reason"], item["attempts"]) for item in failed} == {("F", "SERVER_ERROR", 5)}
    assert len(failed) == ended["progress"]["failedItems"] == 12
    assert ended["progress"]["processedItems"] == 12


# The rate.


@pytest.mark.paced
def test_a_429_halves_the_request_rate_which_then_recovers(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R12.4"""
    client = new_site(sample).serve()
    job = start_job(client, days=YEAR)
    full = client.job(job["jobId"])["rateLimiter"]["requestsPerMinute"]
    assert full == pytest.approx(600, rel=0.01)
    sample.play({"kind": "429", "times": 1})
    slowed = client.wait_for(
        job["jobId"], lambda job: (job["rateLimiter"]["requestsPerMinute"] or full) < 0.6 * full, 10, "a lower rate"
    )["rateLimiter"]
    assert slowed["requestsPerMinute"] >= 0.5 * full
    refused_at = next(entry["ended"] for entry in sample.exports() if str(entry["status"]) == "429")
    grown = client.wait_for(
        job["jobId"],
        lambda job: job["rateLimiter"]["requestsPerMinute"] > slowed["requestsPerMinute"] + 0.01 * full,
        20,
        "the rate recovers",
    )["rateLimiter"]
    assert "because the dashboard asked for fewer than the limit of 600 requests a minute" in grown["reason"]
    assert grown["waitedSeconds"]["slowed"] >= 3
    after = [at for at in starts_of(sample.exports()) if at > refused_at + 0.2]
    assert_paced(after, 360)
    assert client.job(job["jobId"])["progress"]["failedItems"] == 0


@pytest.mark.paced
def test_the_limits_of_a_running_job_can_only_be_lowered(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R12.3"""
    client = new_site(sample).serve()
    job = start_job(client)
    path = f"/api/admin/backfill/{job['jobId']}"
    lowered = client.ask("PATCH", path, {"rateLimits": {"maxRequestsPerMinute": 240}})
    assert lowered.status_code == 200
    assert lowered.json()["config"]["rateLimits"]["maxRequestsPerMinute"] == 240
    since = time.time() + 1.5
    eventually(lambda: time.time() > since + 3, 10, "a while passes")
    after = [at for at in starts_of(sample.exports()) if at > since]
    assert_paced(after, 240)
    assert client.ask("PATCH", path, {"rateLimits": {"maxRequestsPerMinute": 241}}).status_code == 409
    assert client.get("/api/admin/backfill/config/rate-limit")["config"]["maxRequestsPerMinute"] == 600


# Pausing.


def test_a_paused_job_stays_paused_and_active_after_a_kill_of_the_server(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R3.1: the job is paused and resumed on the command line."""
    site = new_site(sample)
    client = site.serve()
    job = start_job(client, days=YEAR)
    assert "is pausing" in site.manage("backfill", "pause").stdout
    client.wait_for(job["jobId"], lambda job: job["status"] == "paused", 20, "it pauses")
    kill_group(client.process)
    client = site.serve()
    requests_before = len(sample.log())
    until = time.monotonic() + 3
    eventually(lambda: time.monotonic() > until, 5, "a while passes")
    assert client.job(job["jobId"])["status"] == "paused"
    assert len(sample.log()) == requests_before
    refused = client.ask(
        "POST", "/api/admin/backfill", {"jobType": "data-collection", "startDate": RANGE[0], "endDate": RANGE[1]}
    )
    assert (refused.status_code, refused.json()["error"]["details"]["status"]) == (409, "paused")
    assert "is pending" in site.manage("backfill", "resume").stdout
    assert_complete(client, client.ended(job["jobId"], 90))


# Allowed hours.


def test_a_job_waits_outside_the_allowed_hours_and_continues_when_they_begin(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    opens = (datetime.now(UTC) + timedelta(seconds=90)).replace(second=0, microsecond=0)
    hours = f"{opens:%H:%M}-{opens + timedelta(hours=6):%H:%M}"
    site = new_site(sample, BACKFILL_ALLOWED_HOURS=hours)
    client = site.serve()
    client.set_limits()
    job = client.start("2025-05-01", "2025-06-30", cadence="month-ends")  # the calendar is requested at any hour
    held = client.wait_for(job["jobId"], lambda job: job["rateLimiter"]["waitingUntil"], 25, "the job waits")
    assert held["rateLimiter"]["reason"] == f"Requests are sent only within the allowed hours, {hours} UTC."
    waiting_until = datetime.fromisoformat(held["rateLimiter"]["waitingUntil"])
    assert abs(waiting_until - opens) < timedelta(seconds=2)
    assert "within the allowed hours" in site.manage("backfill", "status").stdout
    ended = client.ended(job["jobId"], 120)
    assert_complete(client, ended)
    assert min(starts_of(sample.exports())) >= opens.timestamp()


def test_invalid_allowed_hours_are_reported_by_check(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    site = new_site(sample)
    for name, value in (("BACKFILL_ALLOWED_HOURS", "at night"), ("BACKFILL_TIME_ZONE", "Berlin")):
        site.more_env[name] = value
        checked = site.manage("check", check=False)
        assert checked.returncode == 1
        assert f"The allowed hours cannot be read: '{value}' is no" in checked.stderr
        del site.more_env[name]


# Crashing items.


def test_an_item_that_crashes_its_process_three_times_is_quarantined_and_the_job_completes(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    site = new_site(sample, BACKFILL_WORKER="off", **SHORT_LEASE)
    client = site.serve()
    client.set_limits()
    job = client.start("2025-04-01", "2025-06-30", cadence="month-ends")
    deaths = 0
    worker: Process | None = None

    def ended() -> Json | None:
        nonlocal worker, deaths
        if worker is None or worker.poll() is not None:
            deaths += worker is not None
            worker = site.spawn(
                sys.executable, "-m", "tests.acceptance.crashing_worker", "--at-report", "clubperformance~03~5/31/2025"
            )
        found = client.job(job["jobId"])
        return found if found["completedAt"] else None

    done = eventually(ended, 150, "the job ends")
    assert 3 <= deaths <= 4  # the item may start before it is recorded as in flight, so the first crash may not count
    assert done["status"] == "completed"
    (failed,) = client.items(job["jobId"], outcome="failed")
    assert (failed["itemId"], failed["reason"]) == ("2025-05-31/03", "QUARANTINED")
    assert failed["message"].startswith("The process died 3 times in a row while it worked on this item")
    assert done["progress"]["processedItems"] == done["progress"]["totalItems"] - 1
    requested = Counter(entry["report"] for entry in sample.exports())
    assert sum(count - 1 for count in requested.values()) <= 3 * 3 + 3
