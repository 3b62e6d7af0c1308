"""The tested web servers: a worker runs the job and returns its lease on SIGTERM, or the status says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.acceptance.harness import FAST, Client, Dashboard, Site, eventually
from tests.shared import free_port

FOLDERS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('BACKFILL_TEST_SERVERS', '')}"
"""Servers that are not part of the requirements can be in a virtual environment of their own."""

WSGI, ASGI = "backfill_site.wsgi:application", "backfill_site.asgi:application"
GUNICORN = ("gunicorn", "backfill_site.wsgi", "--bind=127.0.0.1:{port}", "--workers=2")
UWSGI = (
    "uwsgi",
    "--http-socket=127.0.0.1:{port}",
    "--module=backfill_site.wsgi",
    f"--virtualenv={sys.prefix}",
    "--die-on-term",
)
GRANIAN = ("granian", "--host=127.0.0.1", "--port={port}")
UVICORN = ("uvicorn", "--host=127.0.0.1", "--port={port}")

SERVERS = {
    "gunicorn with threads": GUNICORN,
    "gunicorn sync": (*GUNICORN, "--worker-class=sync", "--threads=1"),
    "gunicorn gevent": (*GUNICORN, "--worker-class=gevent"),
    "gunicorn preload": (*GUNICORN, "--preload"),
    "waitress": ("waitress-serve", "--listen=127.0.0.1:{port}", "--threads=8", WSGI),
    "uvicorn ASGI": (*UVICORN, ASGI),
    "uvicorn WSGI": (*UVICORN, "--interface=wsgi", WSGI),
    "granian ASGI": (*GRANIAN, "--interface=asgi", ASGI),
    "granian WSGI": (*GRANIAN, "--interface=wsgi", "--blocking-threads=8", WSGI),
    "uWSGI with threads": (*UWSGI, "--enable-threads", "--threads=8"),
    "uWSGI with a master": (*UWSGI, "--master", "--processes=2", "--enable-threads", "--threads=4"),
    "uWSGI with lazy applications": (*UWSGI, "--master", "--processes=2", "--enable-threads", "--lazy-apps"),
}


def serve(site: Site, command: Sequence[str]) -> Client:
    """Start the server, or skip the test if it is not installed."""
    if "--worker-class=gevent" in command and find_spec("gevent") is None:
        pytest.skip("gevent is not installed.")
    program = shutil.which(command[0], path=FOLDERS)
    if program is None:
        pytest.skip(f"{command[0]} is not installed; install it and set BACKFILL_TEST_SERVERS to its folder.")
    port = free_port()
    process = site.spawn(program, *(word.format(port=port) for word in command[1:]))
    client = Client(f"http://127.0.0.1:{port}", site.token, process)
    client.wait_until_up()
    return client


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_runs_the_job_and_releases_it_on_sigterm(
    sample: Dashboard, new_site: Callable[..., Site], name: str
) -> None:
    """R10.1"""
    site = new_site(sample)
    client = serve(site, SERVERS[name])
    client.set_limits(**{**FAST, "maxRequestsPerMinute": 60, "maxConcurrent": 1})
    job = client.start("2020-07-01", "2021-06-30", cadence="month-ends")
    client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] > 0, 30, "the job makes progress")
    time.sleep(1)  # uWSGI runs no exit hooks while a request is being answered, such as the last one above
    client.process.send_signal(signal.SIGTERM)
    eventually(lambda: client.process.poll() is not None, 40, "the server ends")
    assert f"Job {job['jobId']}: released (pending)." in site.logs()


def test_a_recycled_gunicorn_process_passes_the_job_on(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    """`--max-requests` ends a process after so many requests."""
    site = new_site(sample)
    client = serve(site, (*GUNICORN, "--max-requests=60"))
    client.set_limits()
    job = client.start("2020-07-01", "2021-06-30", cadence="month-ends")
    for _ in range(130):  # more than both processes serve
        assert client.ask("GET", "/healthz").status_code == 200
    assert client.ended(job["jobId"], 60)["status"] == "completed"
    assert "Autorestarting worker" in site.logs()


WRONG = {
    "DJANGO_HTTPS": ("ture", "DJANGO_HTTPS is 'ture'; set it to true or false."),
    "BACKFILL_ALLOWED_HOURS": ("at night", "'at night' is not a period of a day"),
}


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["without preload", "preload"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_under_gunicorn_prints_one_sentence(
    sample: Dashboard, new_site: Callable[..., Site], name: str, options: list[str]
) -> None:
    """Not a traceback for each process."""
    value, sentence = WRONG[name]
    site = new_site(sample, **{name: value})
    command = [word.format(port=free_port()) for word in GUNICORN[1:]]
    process = site.spawn(str(shutil.which("gunicorn", path=FOLDERS)), *command, *options)
    assert process.wait(60) == 3
    assert site.logs().count(f"The service cannot start: {sentence}") == 1
    assert "Traceback" not in site.logs()


def test_the_start_prints_no_warning(sample: Dashboard, new_site: Callable[..., Site], tmp_path: Path) -> None:
    """Without a folder for static files and without a home directory."""
    site = new_site(sample, HOME="/nonexistent", PYTHONWARNINGS="default::UserWarning")
    serve(site, GUNICORN)
    assert "arning" not in site.logs()
