"""Kills of workers together with clean stops, faults, cancels and analytics.

The server has no worker, so that a test kills and starts only worker processes.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.acceptance.harness import SHORT_LEASE, Client, Dashboard, Json, Process, Site, eventually, kill_group

RANGE = ("2025-01-01", "2025-06-30")
ANALYTICS_RANGE = ("2025-05-01", "2025-06-30")


@pytest.fixture
def site(sample: Dashboard, new_site: Callable[..., Site]) -> Site:
    return new_site(sample, BACKFILL_WORKER="off", **SHORT_LEASE)


@pytest.fixture
def client(site: Site) -> Client:
    return site.serve()


def start_worker(site: Site) -> Process:
    return site.spawn(sys.executable, "manage.py", "backfill", "work")


def wait_for_items(client: Client, job_id: str, settled: int) -> Json:
    return client.wait_for(
        job_id, lambda job: job["progress"]["processedItems"] >= settled, 30, f"{settled} items are processed"
    )


def assert_each_settled_once(client: Client, job: Json) -> list[Json]:
    """Assert that no item is in the ledger twice and that the counters match the ledger. Return the items."""
    items = client.items(job["jobId"])
    assert max(Counter(item["itemId"] for item in items).values(), default=1) == 1
    outcomes = Counter(item["outcome"] for item in items)
    assert outcomes["processed"] == job["progress"]["processedItems"]
    assert outcomes["failed"] == job["progress"]["failedItems"]
    return items


def test_no_item_is_lost_after_a_clean_stop_and_a_kill_of_the_next_runner_during_faults(
    sample: Dashboard, site: Site, client: Client
) -> None:
    """R10.1, R10.3"""
    client.set_limits(maxRequestsPerMinute=900, maxDelayMs=1000)
    first = start_worker(site)
    job_id = client.start(*RANGE, cadence="month-ends")["jobId"]
    wait_for_items(client, job_id, 6)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0

    kinds: list[Json] = [
        {"kind": "500"},
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "latency", "seconds": 1.0},
        {"kind": "429", "retry_after": "1"},
    ]
    sample.play(*({**kind, "times": 1} for kind in kinds))
    second = start_worker(site)
    resumed = client.wait_for(job_id, lambda job: job["resumeCount"] == 1, 20, "the second worker resumes the job")
    wait_for_items(client, job_id, resumed["progress"]["processedItems"] + 3)
    kill_group(second)

    start_worker(site)
    ended = client.ended(job_id, 90)
    assert (ended["status"], ended["progress"]["failedItems"], ended["resumeCount"]) == ("completed", 0, 2)
    assert len(assert_each_settled_once(client, ended)) == ended["progress"]["totalItems"]


@pytest.mark.parametrize("is_killed_first", [False, True], ids=["cancel, then kill -9", "kill -9, then cancel"])
def test_a_job_whose_runner_is_killed_around_a_cancel_is_cancelled_and_starts_no_item(
    sample: Dashboard, site: Site, client: Client, *, is_killed_first: bool
) -> None:
    """R7.2, R7.3, R10.1: the next worker ends the job after the lease has expired."""
    client.set_limits(maxRequestsPerMinute=900)
    runner = start_worker(site)
    job_id = client.start(*RANGE, cadence="month-ends")["jobId"]
    wait_for_items(client, job_id, 6)
    sample.play({"kind": "latency", "times": -1, "seconds": 1.0})
    slow_from = time.time()
    eventually(
        lambda: [entry for entry in sample.exports() if entry["time"] > slow_from and "ended" not in entry],
        10,
        "a slow request is in flight",
    )

    if is_killed_first:
        kill_group(runner)
    cancelled = client.ask("DELETE", f"/api/admin/backfill/{job_id}").json()
    kill_group(runner)
    killed_at = time.time()
    assert (cancelled["previousStatus"], cancelled["status"]) == ("running", "cancelling")
    assert client.job(job_id)["status"] == "cancelling"

    start_worker(site)
    ended = client.ended(job_id, 20)
    assert ended["status"] == "cancelled"
    assert 6 <= ended["progress"]["processedItems"] < ended["progress"]["totalItems"]
    assert len(assert_each_settled_once(client, ended)) == ended["progress"]["processedItems"]
    assert [entry for entry in sample.exports() if entry["time"] > killed_at + 0.2] == []


def test_results_that_were_stored_before_a_kill_count_once_in_the_resumed_analytics_job(
    site: Site, client: Client
) -> None:
    """R10.1, R10.3: the worker is killed after it has stored results and before it records them."""
    client.set_limits()
    worker = start_worker(site)
    client.ended(client.start(*ANALYTICS_RANGE, cadence="month-ends")["jobId"])
    uninterrupted = client.ended(client.start_analytics()["jobId"])
    path = "/api/analytics/2025-06-30/01"
    result = client.ask("GET", path).content
    kill_group(worker)

    crashing = site.spawn(sys.executable, "-m", "tests.acceptance.crashing_worker", "--after-results")
    job_id = client.start_analytics(skipExisting=False)["jobId"]
    assert crashing.wait(30) == -signal.SIGKILL
    assert client.job(job_id)["progress"]["processedItems"] == 0
    start_worker(site)
    ended = client.ended(job_id, 30)
    assert (ended["status"], ended["resumeCount"]) == ("completed", 1)
    items = assert_each_settled_once(client, ended)
    assert len(items) == ended["progress"]["totalItems"] == uninterrupted["progress"]["processedItems"] == 14
    assert {item["outcome"] for item in items} == {"processed"}
    assert ended["result"]["quality"] == uninterrupted["result"]["quality"]
    assert client.ask("GET", path).content == result
