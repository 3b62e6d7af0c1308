"""A rolling deployment: two versions use one database."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.acceptance.harness import ROOT, SHORT_LEASE, Client, Dashboard, Site, eventually, kill_group

PREVIOUS = "1a570790eecf7dcee603171a23d828b97e17460c"
"""The commit of the previous version. Its schema lacks the notes of jobs and the claim of the calendar."""

SCHEMA = "does not have the schema of this version of the service"


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The folder of the previous version."""
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"The previous version is missing: the clone does not contain the commit {PREVIOUS[:10]}.")
    folder = tmp_path / "previous"
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def previous_process(folder: Path, site: Site, *command: str) -> subprocess.Popen[bytes]:
    with (site.folder / f"process-previous-{len(site.processes)}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=folder,
            env={**site.env, "DJANGO_SETTINGS_MODULE": "backfill_site.settings"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    site.processes.append(process)
    return process


def assert_settled_once(client: Client, job_id: str) -> None:
    ended = client.ended(job_id, 90)
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job_id)
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"]


def test_the_previous_version_runs_a_job_on_the_new_schema_and_the_new_version_continues_it(
    sample: Dashboard, new_site: Callable[..., Site], previous: Path, database_url: str
) -> None:
    """R10.1: `migrate` runs first; then servers are replaced one by one."""
    site = new_site(sample, database_url)  # migrated by this version
    client = site.serve("--env", "BACKFILL_WORKER=off")
    client.set_limits(maxRequestsPerMinute=600)
    dates = ("--from", "2024-11-01", "--to", "2025-06-30", "--cadence", "month-ends")
    process = previous_process(previous, site, "backfill", "start", *dates, "--wait")

    def settled() -> int:
        jobs = client.get("/api/admin/backfill/jobs")["jobs"]
        return int(jobs[0]["progress"]["processedItems"]) if jobs else 0

    eventually(lambda: settled() >= 3, 60, "the previous version settles items")
    (job,) = client.get("/api/admin/backfill/jobs")["jobs"]
    kill_group(process, signal.SIGTERM)
    process.wait(60)
    kill_group(client.process)

    client = site.serve()
    assert_settled_once(client, job["jobId"])


def test_the_previous_version_runs_a_job_that_the_new_version_started(
    sample: Dashboard, new_site: Callable[..., Site], previous: Path
) -> None:
    """While servers are replaced, any worker may claim the job."""
    site = new_site(sample)
    client = site.serve("--env", "BACKFILL_WORKER=off")
    client.set_limits(maxRequestsPerMinute=900)
    job = client.start("2025-05-31", "2025-06-30", cadence="month-ends", note="started by the new version")
    previous_process(previous, site, "backfill", "work")
    assert_settled_once(client, job["jobId"])
    assert client.job(job["jobId"])["notes"][0]["text"] == "started by the new version"


def test_a_database_that_is_not_migrated_is_reported_by_every_part_and_migrate_ends_it(
    sample: Dashboard, new_site: Callable[..., Site], database_url: str
) -> None:
    """Servers of the new version that start before `migrate` are not ready, and need no restart after it."""
    site = new_site(sample, database_url, **SHORT_LEASE)
    site.manage("migrate", "backfill", "0008", "--verbosity", "0")
    client = site.serve()

    ready = client.ask("GET", "/readyz")
    assert ready.status_code == 503
    assert SCHEMA in ready.text
    listed = client.ask("GET", "/api/admin/backfill/jobs")
    assert (listed.status_code, listed.json()["error"]["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert SCHEMA in listed.json()["error"]["message"]
    assert SCHEMA in admin_page(client)
    assert SCHEMA in site.manage("backfill", "status", check=False).stderr
    eventually(lambda: SCHEMA in site.logs(), 20, "the worker names the cause")
    assert "does not answer" not in site.logs()

    site.manage("migrate", "--verbosity", "0")
    eventually(lambda: client.ask("GET", "/readyz").status_code == 200, 20, "the server is ready")
    client.set_limits()
    assert_settled_once(client, client.start("2025-05-31", "2025-06-30", cadence="month-ends")["jobId"])


def admin_page(client: Client) -> str:
    """Return the text of the admin's page for an operator who signs in."""
    with requests.Session() as browser:
        login = f"{client.url}/admin/login/"
        browser.get(login, timeout=30)
        form = {"username": "operator", "password": "operator", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        browser.post(login, form, headers={"Referer": login}, timeout=30, allow_redirects=False)
        return browser.get(f"{client.url}/admin/backfill/", timeout=30).text
