"""The guarantees of a job in Firestore. Kills and races are tested together with the databases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.acceptance.conftest import OwnFirestore
from tests.acceptance.harness import Client, Dashboard, Json, Site, eventually


def start_job(client: Client) -> Json:
    client.set_limits(maxRequestsPerMinute=900, maxConcurrent=3)
    job = client.start("2024-07-01", "2025-06-30", cadence="month-ends")
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 12, 30, "items settle")


def test_a_job_continues_after_the_connection_to_firestore_was_cut_and_after_firestore_restarted(
    sample: Dashboard,
    new_site: Callable[..., Site],
    own_firestore: OwnFirestore,
) -> None:
    """R10.3: the API reports the outage meanwhile; no outcome is lost or duplicated."""
    site = new_site(sample, **own_firestore.env)
    client = site.serve()
    before = start_job(client)

    own_firestore.gate.close()  # a write in flight is executed, and its answer is lost
    eventually(lambda: "does not answer" in site.logs(), 20, "the runner reports the outage")
    own_firestore.gate.open()
    settled = before["progress"]["processedItems"]
    eventually(lambda: processed(client, before["jobId"]) > settled + 3, 60, "the job continues")

    own_firestore.gate.close()
    own_firestore.emulator.stop()
    response = client.ask("GET", f"/api/admin/backfill/{before['jobId']}")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "STORAGE_UNAVAILABLE"
    assert client.ask("GET", "/healthz").status_code == 200
    own_firestore.emulator.start()
    own_firestore.gate.open()
    eventually(lambda: processed(client, before["jobId"]) > 0, 60, "the emulator answers the API again")

    ended = client.ended(before["jobId"], 120)
    assert ended["status"] == "completed"
    assert ended["startedAt"] == before["startedAt"]
    items = client.items(before["jobId"])
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"] == ended["progress"]["processedItems"]
    assert client.get("/api/snapshots?limit=1")["total"] == ended["progress"]["totalItems"]
    assert "does not answer" in site.logs()


def processed(client: Client, job_id: str) -> int:
    """Return the number of processed items, or 0 while the server has no connection to the store."""
    response = client.ask("GET", f"/api/admin/backfill/{job_id}")
    return int(response.json()["progress"]["processedItems"]) if response.ok else 0


@pytest.mark.paced
def test_a_cancel_on_another_server_reaches_the_runner_through_firestore(
    sample: Dashboard,
    new_site: Callable[..., Site],
    firestore: dict[str, str],
) -> None:
    """R7.2: no item starts more than a second after the cancel."""
    site = new_site(sample, **firestore)
    job = start_job(site.serve())
    other = site.serve()
    other.ask("DELETE", f"/api/admin/backfill/{job['jobId']}")
    cancelled_at = time.time()
    ended = other.ended(job["jobId"], 20)
    assert ended["status"] == "cancelled"
    assert 0 < ended["progress"]["processedItems"] < ended["progress"]["totalItems"]
    assert len(other.items(job["jobId"])) == ended["progress"]["processedItems"]
    first_reports = [
        entry for entry in sample.exports() if entry["report"].startswith(("clubperformance", "districtsummary"))
    ]
    assert max(float(entry["time"]) for entry in first_reports) < cancelled_at + 1


@pytest.mark.paced
def test_a_job_starts_immediately_on_its_server_and_within_seconds_on_other_servers(
    sample: Dashboard,
    new_site: Callable[..., Site],
    firestore: dict[str, str],
) -> None:
    """R1.4: an idle worker polls every five seconds; a start over the API also wakes the worker of its server."""
    site = new_site(sample, **firestore)
    client = site.serve()
    client.set_limits()
    waits = []
    for _ in range(3):
        job = client.ended(client.start("2025-05-01", "2025-05-31", cadence="month-ends")["jobId"], 30)
        waits.append(seconds_until_start(job))
    assert max(waits) < 1.5
    site.manage("backfill", "start", "--from", "2025-06-01", "--to", "2025-06-30", "--cadence", "month-ends")
    pending = client.get("/api/admin/backfill/jobs")["jobs"][0]
    job = client.wait_for(pending["jobId"], lambda job: job["startedAt"], 30, "the job starts")
    assert seconds_until_start(job) < 7


def seconds_until_start(job: Json) -> float:
    began, created = (datetime.fromisoformat(job[name]) for name in ("startedAt", "createdAt"))
    return (began - created).total_seconds()
