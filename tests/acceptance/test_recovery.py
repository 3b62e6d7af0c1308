"""A job continues after a kill and a clean stop, in each kind of server process."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.harness import Client, Dashboard, Json, Site, eventually, kill_group
from tests.shared import free_port

RANGE = ("2024-07-01", "2025-06-30")
LIMITS = {"maxRequestsPerMinute": 900, "maxConcurrent": 3}


def start_job(client: Client, settled: int = 12) -> Json:
    """Start a job and wait until some of its items are settled."""
    client.set_limits(**LIMITS)
    job = client.start(*RANGE, cadence="month-ends")
    return client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= settled, 30, "items settle")


def assert_complete(client: Client, dashboard: Dashboard, job: Json, *, kills: int) -> None:
    """Assert that each item was settled once and that only items in flight at the kills were fetched twice."""
    items = client.items(job["jobId"])
    assert len(items) == job["progress"]["totalItems"]
    assert max(Counter(item["itemId"] for item in items).values()) == 1
    assert {item["outcome"] for item in items} == {"processed"}
    assert job["progress"]["processedItems"] == job["progress"]["totalItems"]
    requested = Counter(entry["report"] for entry in dashboard.exports())
    assert sum(count - 1 for count in requested.values()) <= kills * 3 * LIMITS["maxConcurrent"]


def test_after_kill_9_the_job_resumes_from_its_checkpoint(
    sample: Dashboard,
    new_site: Callable[..., Site],
    store: dict[str, str],
) -> None:
    """R1.4, R10.1, R10.2, R10.3: resumed within 20 s, every item settled once, the first start kept."""
    site = new_site(sample, **store)
    client = site.serve()
    before = start_job(client)
    kill_group(client.process)

    client = site.serve()
    served_at = time.monotonic()  # on a busy machine a server may take seconds to start
    resumed = client.wait_for(before["jobId"], lambda job: job["resumedAt"], 20, "the job resumes")
    assert time.monotonic() - served_at < 18
    assert resumed["startedAt"] == before["startedAt"]
    assert resumed["resumeCount"] == 1
    assert resumed["checkpoint"]["itemsCompleted"] >= before["checkpoint"]["itemsCompleted"]
    assert resumed["checkpoint"]["lastProcessedAt"] >= before["checkpoint"]["lastProcessedAt"]

    client.set_limits()  # for the next job; this one has its own copy
    ended = client.ended(before["jobId"], 90)
    assert ended["status"] == "completed"
    assert ended["startedAt"] == before["startedAt"]
    assert_complete(client, sample, ended, kills=1)


@pytest.mark.paced
def test_a_clean_stop_returns_the_lease_and_another_server_continues_the_job(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R10.1: within 2 s of a clean stop."""
    site = new_site(sample)
    first = site.serve()
    before = start_job(first)
    second = site.serve()
    kill_group(first.process, signal.SIGTERM)
    eventually(lambda: first.process.poll() is not None, 10, "the first server ends")
    stopped_at = time.monotonic()
    resumed = second.wait_for(
        before["jobId"], lambda job: job["resumedAt"] and job["status"] == "running", 5, "the job continues"
    )
    assert time.monotonic() - stopped_at < 2.5
    assert resumed["startedAt"] == before["startedAt"]
    assert "released" in site.logs()
    assert_complete(second, sample, second.ended(before["jobId"], 90), kills=1)


@pytest.mark.parametrize("options", [["--preload", "--workers=2"], ["--workers=3"]], ids=["preload", "three workers"])
def test_the_worker_starts_in_every_gunicorn_process_with_and_without_preload(
    sample: Dashboard,
    new_site: Callable[..., Site],
    options: list[str],
) -> None:
    """R1.4: no request is needed, and one of the workers claims the job."""
    site = new_site(sample)
    site.manage("backfill", "rate-limit", "--max-requests-per-minute", "6000", "--min-delay-ms", "0")
    site.manage("backfill", "start", "--from", "2025-05-01", "--to", "2025-05-31", "--cadence", "month-ends")
    client = site.serve(*options)
    job_id = client.get("/api/admin/backfill/jobs")["jobs"][0]["jobId"]
    assert client.ended(job_id, 20)["status"] == "completed"
    workers = int(options[-1].rpartition("=")[2])
    eventually(lambda: site.logs().count("is looking for jobs") == workers, 20, "each process has one worker")


@pytest.mark.paced
def test_a_preloaded_gunicorn_releases_the_lease_on_sigterm(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """R10.1: the worker runs in the child, which stops cleanly."""
    site = new_site(sample)
    client = site.serve("--preload")
    before = start_job(client)
    kill_group(client.process, signal.SIGTERM)
    eventually(lambda: client.process.poll() is not None, 10, "the server ends")
    assert f"Job {before['jobId']}: released (pending)." in site.logs()


UWSGI = shutil.which("uwsgi", path=str(Path(sys.executable).parent))


@pytest.mark.parametrize("options", [["--enable-threads"], ["--enable-threads", "--lazy-apps"], []], ids=" ".join)
def test_a_worker_runs_under_uwsgi_or_is_reported_as_missing(
    sample: Dashboard, new_site: Callable[..., Site], options: list[str]
) -> None:
    """uWSGI does not run Python threads without --enable-threads."""
    if UWSGI is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("uWSGI is missing; `make setup` installs it.")
    site = new_site(sample)
    site.manage("backfill", "rate-limit", "--max-requests-per-minute", "6000", "--min-delay-ms", "0")
    site.manage("backfill", "start", "--from", "2025-05-01", "--to", "2025-05-31", "--cadence", "month-ends")
    port = free_port()
    process = site.spawn(
        str(UWSGI),
        f"--http-socket=127.0.0.1:{port}",
        "--module=backfill_site.wsgi",
        f"--virtualenv={sys.prefix}",
        "--master",
        "--processes=2",
        *options,
    )
    client = Client(f"http://127.0.0.1:{port}", site.token, process)
    client.wait_until_up()
    job_id = client.get("/api/admin/backfill/jobs")["jobs"][0]["jobId"]
    if options:
        assert client.ended(job_id, 30)["status"] == "completed"
        return
    command = "manage.py backfill work"
    assert command in client.get("/readyz")["message"]
    assert command in client.job(job_id)["rateLimiter"]["reason"]
    assert command in site.manage("check", "--database", "default").stderr
    assert command in site.logs()


@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["with the reloader", "without the reloader"])
def test_one_worker_starts_under_runserver(
    sample: Dashboard,
    new_site: Callable[..., Site],
    options: list[str],
) -> None:
    """R1.4: in the serving process, and not in the process of the reloader."""
    site = new_site(sample)
    client = site.runserver(*options)
    client.set_limits()
    job = client.start("2025-05-01", "2025-05-31", cadence="month-ends")
    assert client.ended(job["jobId"], 20)["status"] == "completed"
    assert site.logs().count("is looking for jobs") == 1


def test_work_runs_jobs_in_the_foreground_and_stops_cleanly(
    sample: Dashboard,
    new_site: Callable[..., Site],
) -> None:
    """R10.1: `manage.py backfill work` together with a server without a worker."""
    site = new_site(sample, BACKFILL_WORKER="off")
    client = site.serve()
    worker = site.spawn(sys.executable, "manage.py", "backfill", "work")
    before = start_job(client)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert client.job(before["jobId"])["status"] == "pending"
    site.spawn(sys.executable, "manage.py", "backfill", "work")
    client.wait_for(before["jobId"], lambda job: job["status"] == "running", 30, "the job continues")
    assert_complete(client, sample, client.ended(before["jobId"], 90), kills=1)


@pytest.mark.parametrize(
    "command",
    [["check"], ["migrate", "--plan"], ["makemigrations", "--check"], ["shell", "-c", "import time; time.sleep(2)"]],
    ids=lambda command: command[0],
)
def test_other_commands_start_no_worker(
    sample: Dashboard,
    new_site: Callable[..., Site],
    command: list[str],
) -> None:
    """A pending job stays pending while other commands run."""
    site = new_site(sample)
    site.manage("backfill", "start", "--from", "2025-05-01", "--to", "2025-05-31", "--cadence", "month-ends")
    done = site.manage(*command, check=False)
    assert "is looking for jobs" not in done.stderr
    status = site.manage("backfill", "list", "--json").stdout
    assert '"pending"' in status
