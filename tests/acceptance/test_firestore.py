"""The guarantees of a job in Firestore. Kills and races are tested together with the databases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.acceptance.conftest import OwnFirestore
from tests.acceptance.harness import Client, Dashboard, Json, Site


def started(client: Client) -> Json:
    client.set_limits(maxRequestsPerMinute=900, maxConcurrent=3)
    job = client.start("2024-07-01", "2025-06-30", cadence="month-ends")
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 12, 30, "items settle")


def test_firestore_stops_in_the_middle_of_a_job_and_the_job_goes_on(
    sample: Dashboard,
    new_site: Callable[..., Site],
    own_firestore: OwnFirestore,
) -> None:
    """R10.3: a clear answer meanwhile; nothing that was settled is lost, and nothing is settled twice."""
    site = new_site(sample, **own_firestore.env)
    client = site.serve()
    before = started(client)

    own_firestore.gate.close()
    own_firestore.emulator.stop()
    answer = client.ask("GET", f"/api/admin/backfill/{before['jobId']}")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "STORAGE_UNAVAILABLE"
    assert client.ask("GET", "/healthz").status_code == 200
    own_firestore.emulator.start()
    own_firestore.gate.open()

    ended = client.ended(before["jobId"], 120)
    assert ended["status"] == "completed"
    assert ended["startedAt"] == before["startedAt"]
    items = client.items(before["jobId"])
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"] == ended["progress"]["processedItems"]
    assert client.get("/api/snapshots?limit=1")["total"] == ended["progress"]["totalItems"]
    assert "does not answer" in site.logs()


@pytest.mark.paced
def test_a_cancel_reaches_the_runner_by_way_of_firestore(
    sample: Dashboard,
    new_site: Callable[..., Site],
    firestore: dict[str, str],
) -> None:
    """R7.2: by way of a server that does not run the job, and nothing begins a second later."""
    site = new_site(sample, **firestore)
    job = started(site.serve())
    other = site.serve()
    other.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    cancelled_at = time.time()
    ended = other.ended(job["jobId"], 20)
    assert ended["status"] == "cancelled"
    assert 0 < ended["progress"]["processedItems"] < ended["progress"]["totalItems"]
    assert len(other.items(job["jobId"])) == ended["progress"]["processedItems"]
    begun = [entry for entry in sample.exports() if entry["report"].startswith(("clubperformance", "districtsummary"))]
    assert max(float(entry["time"]) for entry in begun) < cancelled_at + 1


@pytest.mark.paced
def test_a_job_begins_at_once_where_it_is_started_and_soon_where_no_worker_was_told(
    sample: Dashboard,
    new_site: Callable[..., Site],
    firestore: dict[str, str],
) -> None:
    """R1.4: an idle worker polls every five seconds, but a job that a server starts does not wait for that."""
    site = new_site(sample, **firestore)
    client = site.serve()
    client.set_limits()
    waits = []
    for _ in range(3):
        job = client.ended(client.start("2025-05-01", "2025-05-31", cadence="month-ends")["jobId"], 30)
        waits.append(seconds_until_start(job))
    assert max(waits) < 1.5
    site.manage("backfill", "start", "--from", "2025-06-01", "--to", "2025-06-30", "--cadence", "month-ends")
    started = client.get("/api/admin/backfill/jobs")["jobs"][0]
    job = client.wait_for(started["jobId"], lambda job: job["startedAt"], 30, "the job begins")
    assert seconds_until_start(job) < 7


def seconds_until_start(job: Json) -> float:
    began, created = (datetime.fromisoformat(job[name]) for name in ("startedAt", "createdAt"))
    return (began - created).total_seconds()
