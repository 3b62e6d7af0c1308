"""Real processes for the acceptance tests: dashboards, servers, and a client of the API."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests import fork_server, template_site
from tests.shared import free_port

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".." / "shared" / "dashboard" / "dashboard_peer.py"

T = TypeVar("T")
Json = dict[str, Any]
Process = subprocess.Popen[bytes] | fork_server.ForkedProcess

SHORT_LEASE = {"DJANGO_SETTINGS_MODULE": "tests.short_lease_settings"}
"""The environment of a site whose test only waits for a takeover; other sites have the real lease."""

FAST = {"maxRequestsPerMinute": 6000, "minDelayMs": 0, "maxConcurrent": 3}


def eventually(look: Callable[[], T | None], within: float, what: str) -> T:
    """Return the first true value of `look`; the AssertionError after the deadline contains `what`."""
    deadline, pause = time.monotonic() + within, 0.05
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(pause)
        pause = min(1.2 * pause, 0.25)  # many tests look at the same time, and the servers compute the answers
    raise AssertionError(f"Not within {within:g} s: {what}.")


class Dashboard:
    """A dashboard in its own process: the sample dashboard, or the stand-in of the shared folder."""

    def __init__(self, command: Sequence[str]) -> None:
        read_end, write_end = os.pipe()
        self._output = os.fdopen(read_end)
        self._process = fork_server.start(
            [sys.executable, *command],
            env={**os.environ, "DJANGO_DEBUG": "true", "BACKFILL_ENV_FILE": os.devnull},
            stdout=write_end,
            stderr=2,
        )
        os.close(write_end)
        self.url = self._output.readline().split()[-1]
        self._command = list(command)

    def restart(self, *options: str) -> None:
        """Restart it on the same port with additional options and an empty log."""
        self.stop()
        port = self.url.rpartition(":")[2]
        Dashboard.__init__(self, [*self._command, "--port", port, *options])

    @classmethod
    def sample(cls, *options: str) -> Dashboard:
        return cls(["manage.py", "sample_dashboard", "--port", "0", *options])

    @classmethod
    def peer(cls, *options: str) -> Dashboard:
        return cls([str(PEER), "--port", "0", *options])

    def play(self, *faults: Json) -> None:
        requests.post(f"{self.url}/__control", json={"faults": list(faults)}, timeout=30).raise_for_status()

    def set_today(self, day: date) -> None:
        """Let the sample dashboard publish what it publishes on that day."""
        requests.post(f"{self.url}/__today", json={"today": f"{day}"}, timeout=30).raise_for_status()

    def forget(self) -> None:
        requests.post(f"{self.url}/__reset", timeout=30).raise_for_status()

    def log(self) -> list[Json]:
        entries: list[Json] = requests.get(f"{self.url}/__log", timeout=30).json()
        return entries

    def exports(self) -> list[Json]:
        return [entry for entry in self.log() if entry["report"]]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


@dataclass
class Site:
    """A database, an operator, and the processes that a test starts."""

    folder: Path
    database_url: str
    dashboard_url: str
    more_env: dict[str, str] = field(default_factory=dict)
    token: str = ""
    processes: list[Process] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "BACKFILL_"))},
            "DJANGO_SETTINGS_MODULE": "backfill_site.settings",
            "BACKFILL_ENV_FILE": os.devnull,
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": self.database_url,
            "BACKFILL_DASHBOARD_URL": self.dashboard_url,
            **self.more_env,
        }

    def manage(self, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return fork_server.run([sys.executable, "manage.py", *arguments], env=self.env, check=check, timeout=timeout)

    def prepare(self) -> None:
        """Create the database and an operator, whose token the clients of the site send."""
        template_site.create(self.env["DATABASE_URL"])
        self.token = template_site.TOKEN

    def spawn(self, *command: str) -> Process:
        """Start a process group, which can be killed as a whole. Its output goes to a file."""
        process: Process
        with (self.folder / f"process-{len(self.processes)}.log").open("wb") as log:
            if command[0] == sys.executable:
                process = fork_server.start(
                    command, env=self.env, stdout=log.fileno(), stderr=log.fileno(), start_new_session=True
                )
            else:
                process = subprocess.Popen(
                    command, cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
                )
        self.processes.append(process)
        return process

    def serve(self, *options: str, workers: int = 1, application: str = "backfill_site.wsgi") -> Client:
        """Start a gunicorn server and wait until it answers."""
        port = free_port()
        process = self.spawn(
            sys.executable,
            "-m",
            "gunicorn",
            application,
            "--bind",
            f"127.0.0.1:{port}",
            "--workers",
            str(workers),
            "--threads",
            "8",
            *options,
        )
        client = Client(f"http://127.0.0.1:{port}", self.token, process)
        client.wait_until_up(self.logs)
        return client

    def runserver(self, *options: str) -> Client:
        port = free_port()
        process = self.spawn(sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", *options)
        client = Client(f"http://127.0.0.1:{port}", self.token, process)
        client.wait_until_up()
        return client

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("process-*.log")))

    def stop(self) -> None:
        for process in self.processes:
            kill_group(process)


def kill_group(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process group; after SIGKILL, wait for its end."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    if number is signal.SIGKILL:
        process.wait()


@dataclass
class Client:
    """A client of the API of one server."""

    url: str
    token: str
    process: Process

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        return requests.request(
            method,
            f"{self.url}{path}",
            json=body,
            timeout=60,
            headers={"Authorization": f"Token {self.token}", **headers},
        )

    def get(self, path: str) -> Json:
        response = self.ask("GET", path)
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    def start(self, first: str, last: str, **fields: object) -> Json:
        return self.created({"jobType": "data-collection", "startDate": first, "endDate": last, **fields})

    def start_analytics(self, **fields: object) -> Json:
        return self.created({"jobType": "analytics-generation", **fields})

    def created(self, body: Json) -> Json:
        response = self.ask("POST", "/api/admin/backfill", body)
        assert response.status_code == 201, response.text
        job: Json = response.json()
        return job

    def set_limits(self, **limits: int) -> None:
        response = self.ask("PUT", "/api/admin/backfill/config/rate-limit", {**FAST, **limits})
        assert response.status_code == 200, response.text

    def job(self, job_id: str) -> Json:
        return self.get(f"/api/admin/backfill/{job_id}")

    def items(self, job_id: str, **filters: str) -> list[Json]:
        found: list[Json] = []
        query = "".join(f"&{name}={value}" for name, value in filters.items())
        while True:
            page = self.get(f"/api/admin/backfill/{job_id}/items?limit=100&offset={len(found)}{query}")
            found += page["items"]
            if len(found) >= page["total"]:
                return found

    def wait_for(self, job_id: str, test: Callable[[Json], object], within: float, what: str) -> Json:
        def look() -> Json | None:
            job = self.job(job_id)
            return job if test(job) else None

        return eventually(look, within, what)

    def ended(self, job_id: str, within: float = 60) -> Json:
        return self.wait_for(job_id, lambda job: job["completedAt"], within, "the job ends")

    def wait_until_up(self, logs: Callable[[], str] = str) -> None:
        """Wait until the server answers. `logs` are part of the AssertionError if it ends instead."""

        def look() -> bool:
            assert self.process.poll() is None, f"The server has ended. {logs()[-2000:]}"
            try:
                return requests.get(f"{self.url}/healthz", timeout=2).status_code == 200
            except (requests.ConnectionError, requests.Timeout):
                return False

        eventually(look, 60, f"{self.url} answers")


def starts_of(entries: Sequence[Json]) -> list[float]:
    return sorted(float(entry["time"]) for entry in entries)


def most_in_a_minute(entries: Sequence[Json]) -> int:
    """Return the maximum number of requests in any 60 seconds."""
    times = starts_of(entries)
    most = first = 0
    for last, time_of_last in enumerate(times):
        while time_of_last - times[first] >= 60:
            first += 1
        most = max(most, last - first + 1)
    return most


def assert_paced(times: Sequence[float], per_minute: float) -> None:
    """Assert that there are no bursts, and no more requests in any period than the rate allows.

    A busy dashboard may log a request late, and the next one then seems to follow too early.
    """
    interval = 60 / per_minute
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    short = [gap for gap in gaps if gap < 0.8 * interval]
    assert gaps
    assert len(short) <= max(1, len(gaps) // 5), f"{len(short)} of {len(gaps)} starts are too close: {short[:9]}"
    slack = [at - number * interval for number, at in enumerate(times)]
    ahead = max(most - now for most, now in zip(itertools.accumulate(slack, max), slack, strict=True))
    assert ahead < 0.5, f"a request started {ahead:.2f} s too early"


def as_json(text: str) -> Json:
    value: Json = json.loads(text)
    return value
