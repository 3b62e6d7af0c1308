"""An outage of the job store: clear responses meanwhile, and a job that continues."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.harness import Client, Dashboard, Site, eventually


def test_a_job_waits_for_a_locked_database_and_loses_and_duplicates_nothing(
    sample: Dashboard,
    new_site: Callable[..., Site],
    tmp_path: Path,
) -> None:
    """R1.3, R10.3: another program holds the write lock for longer than a write waits."""
    site = new_site(sample)
    client = site.serve()
    client.set_limits(maxRequestsPerMinute=600)
    job = client.start("2024-07-01", "2025-06-30", cadence="month-ends")
    client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 3, 30, "items settle")
    lock = sqlite3.connect(tmp_path / "site.sqlite3", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    locked_until = time.monotonic() + 23
    response = client.ask("PUT", "/api/admin/backfill/config/rate-limit", {"maxConcurrent": 4})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "STORAGE_UNAVAILABLE"
    eventually(lambda: time.monotonic() > locked_until, 30, "the lock is held for the given time")
    lock.execute("ROLLBACK")
    lock.close()
    assert_completes(client, job["jobId"])
    assert "does not answer" in site.logs()


def test_a_job_waits_for_a_missing_database_and_loses_and_duplicates_nothing(
    sample: Dashboard,
    new_site: Callable[..., Site],
    tmp_path: Path,
) -> None:
    """R1.3, R10.3: the folder of the database is moved away for some seconds."""
    folder = tmp_path / "database"
    folder.mkdir()
    site = new_site(sample, f"sqlite:///{folder}/site.sqlite3")
    client = site.serve()
    client.set_limits(maxRequestsPerMinute=600)
    job = client.start("2025-01-01", "2025-06-30", cadence="month-ends")
    client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 3, 30, "items are processed")
    away = folder.rename(tmp_path / "away")
    assert client.ask("GET", "/readyz").status_code == 503
    eventually(lambda: "does not answer" in site.logs(), 20, "the runner reports the outage")
    away.rename(folder)
    assert_completes(client, job["jobId"])


def assert_completes(client: Client, job_id: str) -> None:
    """Wait for the end of a job, and assert that every item is in the ledger once and processed."""
    ended = client.ended(job_id, 90)
    assert ended["status"] == "completed"
    items = client.items(job_id)
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"] == ended["progress"]["processedItems"]


def test_a_missing_database_is_a_503_with_a_sentence(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    site = new_site(sample)
    client = site.serve()
    for path in site.folder.glob("site.sqlite3*"):
        path.unlink()
    (site.folder / "site.sqlite3").mkdir()

    def is_unavailable() -> bool:
        response = client.ask("GET", "/readyz")
        return response.status_code == 503 and response.json()["error"]["code"] == "STORAGE_UNAVAILABLE"

    eventually(is_unavailable, 30, "readyz reports that the store does not respond")
    assert client.ask("GET", "/healthz").status_code == 200
    response = client.ask("GET", "/api/admin/backfill/jobs")
    assert response.status_code == 503
    assert "does not respond" in response.json()["error"]["message"]
