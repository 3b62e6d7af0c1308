"""A site of a campaign: a store, a dashboard, two servers, and the actions of scenarios."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from tests.acceptance.harness import Client, Dashboard, Json, Site, most_in_a_minute
from tests.chaos.consistency import ACTIVE, Findings, JobRow, StoreDown, check_consistency, reports_of
from tests.chaos.record import CLEAN_STOP_WORST, RESUME_WORST, Record
from tests.chaos.stores import Store

T = TypeVar("T")

LIMITS = {"maxRequestsPerMinute": 360, "minDelayMs": 0, "maxConcurrent": 3, "maxDelayMs": 2000}
MAX_STALL = 40.0
"""Seconds without a settled item after which an undisturbed job counts as stuck."""

CHECKER = "chaos-checker"
_FIRST_REPORT_OF_ITEM = ("clubperformance", "districtsummary")


class Violation(Exception):
    """An invariant was violated; the site cannot be used any more."""


@dataclass
class Server:
    client: Client
    clock: Path
    log: Path

    @property
    def pid(self) -> int:
        return self.client.process.pid

    @property
    def is_up(self) -> bool:
        return self.client.process.poll() is None

    def set_clock(self, ahead: float) -> None:
        new = self.clock.with_suffix(".new")
        new.write_text(str(ahead))
        new.rename(self.clock)


class ChaosSite:
    """Acts on one site and checks the effects in the store and in the dashboard's log, not through the service."""

    def __init__(self, store: Store, record: Record, rng: random.Random) -> None:
        self.store, self.record, self.rng = store, record, rng
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-site-"))
        self.dashboard = Dashboard.sample("--districts", "6", "--clubs", "12")
        self.installation = Site(self.folder, store.url, self.dashboard.url, dict(store.env))
        self.reader = store.reader
        self.servers: list[Server] = []
        self.job_id = ""
        self._log_before: list[Json] = []

    def __enter__(self) -> ChaosSite:
        try:
            self.installation.prepare()
            while len(self.servers) < 2:
                self.serve()
            self.any_client().set_limits(**LIMITS)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self.installation.stop()
        self.dashboard.stop()
        self.store.close()

    def report_violation(self, sentence: str) -> None:
        self.record.violation(f"{self.store.kind}, job {self.job_id or 'none'}: {sentence}")

    # Servers.

    def serve(self) -> Server:
        """Start a server with its own clock."""
        number = len(self.installation.processes)
        clock, log = self.folder / f"clock-{number}", self.folder / f"process-{number}.log"
        clock.write_text("0")
        self.installation.more_env["CHAOS_CLOCK"] = str(clock)
        server = Server(self.installation.serve(application="tests.chaos.clock"), clock, log)
        self.servers.append(server)
        return server

    def ensure_two_servers(self) -> None:
        """Start servers until there are two with a correct clock."""
        self.servers = [server for server in self.servers if server.is_up]
        for server in self.servers:
            server.set_clock(0)
        while len(self.servers) < 2:
            self.serve()

    def any_client(self) -> Client:
        return self.rng.choice([server for server in self.servers if server.is_up]).client

    def runner(self, within: float = 30) -> Server:
        """Return the server whose worker has the claim of the job."""

        def check() -> Server | None:
            owner = self.job().owner
            if not owner:
                return None
            try:
                group = os.getpgid(int(owner.split("-")[-2]))
            except ProcessLookupError:
                return None
            return next((server for server in self.servers if server.pid == group), None)

        return self.wait_for(check, within, "a live server has the claim of the job")

    def other_server(self, server: Server) -> Server:
        return next(found for found in self.servers if found is not server)

    # Jobs.

    def job(self) -> JobRow:
        return self.reader.job(self.job_id)

    def wait_for(self, check: Callable[[], T | None], within: float, what: str) -> T:
        """Return the first true value of `look`. Ignores outages of the store; raises Violation after `within`."""
        deadline = time.monotonic() + within
        while True:
            with suppress(StoreDown):
                if found := check():
                    return found
            if time.monotonic() > deadline:
                raise Violation(f"Not within {within:g} s: {what}.")
            time.sleep(0.05)

    def settled(self) -> int:
        counts = self.job().counts
        return int(counts["processed"] + counts["failed"] + sum(counts["skipped"].values()))

    def start(self, *, concurrent: int = 0) -> None:
        """Start a job over months without stored data; of several concurrent starts, one succeeds."""
        self.count_results()
        self.reader.delete_collected()
        first = self.rng.randrange(3)
        months = self.rng.choice((12, 18, 24))
        body = {
            "jobType": "data-collection",
            "startDate": f"{2022 + first}-07-01",
            "endDate": f"{2022 + first + months // 12}-{'06-30' if months % 12 == 0 else '12-31'}",
            "cadence": "month-ends",
        }
        if not concurrent:
            self.job_id = self.any_client().created(body)["jobId"]
        else:
            # Read the calendar first, so that the starts are concurrent.
            self.any_client().ask("POST", "/api/admin/backfill/preview", body)
            clients = [server.client for server in self.servers]
            with ThreadPoolExecutor(concurrent) as pool:
                answers = list(
                    pool.map(
                        lambda n: clients[n % len(clients)].ask("POST", "/api/admin/backfill", body), range(concurrent)
                    )
                )
            created = [answer.json()["jobId"] for answer in answers if answer.status_code == 201]
            if len(created) != 1 or {answer.status_code for answer in answers} != {201, 409}:
                self.report_violation(f"{len(created)} jobs were created by {concurrent} concurrent starts")
            self.job_id = created[0]
            self.record.concurrent_starts += 1
        self.record.jobs += 1

    def analyse(self) -> None:
        """Start an analytics job for the snapshots of the last job."""
        self.count_results()
        self.job_id = self.any_client().start_analytics()["jobId"]
        self.record.jobs += 1

    def count_results(self) -> None:
        """Count the results of the last job and reset the log except its last minute."""
        log = self.requests()
        self.record.requests += len(log)
        if self.job_id:
            found = self.findings()
            self.record.items += found.settled
            self.record.quarantined += found.failed.pop("QUARANTINED", 0)
            if found.failed:  # the faults of scenarios are too few to fail an item
                self.report_violation(f"items failed: {dict(found.failed)}")
        since = time.time() - 60
        self._log_before = [entry for entry in self._log_before + log if entry["time"] > since]
        self.dashboard.forget()

    def is_active(self) -> bool:
        return bool(self.job_id) and self.job().status in ACTIVE

    def ready(self, to_come: int = 12) -> None:
        """Ensure two servers and a running job; start a new job if the current one is about to end."""
        self.ensure_two_servers()
        if self.is_active():
            row = self.job()
            if row.status in {"pausing", "paused"}:
                self.control("resume")
            if row.counts["total"] - self.settled() >= to_come and row.status != "cancelling":
                return self.wait_for_progress()
            self.wait_for_end()
        self.start(concurrent=100 if self.rng.random() < 0.15 else 0)
        return self.wait_for_progress()

    def wait_for_progress(self, items: int = 1) -> None:
        """Wait until this number of further items is settled, or the job has ended."""
        before = self.settled()

        def check() -> bool:
            return self.settled() >= before + items or not self.is_active()

        self.wait_or_count_as_stuck(check, MAX_STALL, f"the job makes progress ({self.job().status}, {before} settled)")

    def wait_for_end(self, within: float = 240) -> JobRow:
        """Wait for the end of the job."""
        self.wait_or_count_as_stuck(lambda: not self.is_active(), within, "the job ends")
        return self.job()

    def finish(self) -> None:
        """Wait for the end of an active job and count it."""
        if self.is_active():
            if self.job().status in {"pausing", "paused"}:
                self.control("resume")
            self.wait_for_end()
            self.check()
        self.count_results()

    def wait_or_count_as_stuck(self, check: Callable[[], bool], within: float, what: str) -> None:
        try:
            self.wait_for(check, within, what)
        except Violation:
            self.record.stuck += 1
            raise

    # Actions of an operator.

    def control(self, verb: str) -> Json | None:
        """Pause, resume or cancel. Returns None if the server does not answer or the job has ended."""
        client = self.any_client()
        path = f"/api/admin/backfill/{self.job_id}"
        try:
            answer = client.ask("DELETE", path) if verb == "cancel" else client.ask("POST", f"{path}/{verb}")
        except requests.ConnectionError:
            return None
        found: Json = answer.json()
        return found if answer.ok else None

    def check_cancel(self, cancelled_at: float) -> None:
        """Check that no item started long after the cancel at that time, and that the job ends."""
        row = self.wait_for_end(30)
        if row.status not in {"cancelled", "completed"}:
            self.report_violation(f"a cancelled job ended as {row.status}")
        begun: dict[str, float] = {}
        for entry in self.exports():
            if entry["report"].startswith(_FIRST_REPORT_OF_ITEM):
                begun.setdefault(entry["report"], entry["time"])
        self.record.after_cancel.append(max(max(begun.values(), default=0.0) - cancelled_at, 0.0))

    # Kills and takeovers.

    def kill(self, server: Server, number: signal.Signals) -> float:
        """Send a signal and wait for the end of the process. Returns the time of the signal."""
        name = {signal.SIGKILL: "kill -9", signal.SIGTERM: "SIGTERM"}[number]
        since = time.monotonic()
        os.killpg(server.pid, number)
        try:
            server.client.process.wait(30)
        except subprocess.TimeoutExpired as exc:
            raise Violation(f"A server did not end within 30 s of {name}.") from exc
        self.record.kill(name, self.store.kind)
        return since

    def wait_for_takeover(self, token: int, since: float, within: float) -> float:
        """Return the seconds from that time until another runner has claimed the job."""

        def check() -> bool:
            row = self.job()
            return (row.token > token and bool(row.owner)) or row.status not in ACTIVE

        self.wait_or_count_as_stuck(check, within + MAX_STALL, "another worker takes over the job")
        took = time.monotonic() - since
        if took > within:
            self.report_violation(f"the takeover took {took:.1f} s; at most {within:g} s are allowed")
        return took

    def kill_runner(self, *, both: bool = False) -> None:
        """Kill the runner or all servers, and wait for the takeover."""
        runner = self.runner()
        token = self.job().token
        if both:
            self.kill(self.other_server(runner), signal.SIGKILL)
        since = self.kill(runner, signal.SIGKILL)
        if both:
            self.ensure_two_servers()
        self.record.after_kill.append(self.wait_for_takeover(token, since, RESUME_WORST))

    def terminate_runner(self) -> None:
        runner = self.runner()
        token = self.job().token
        with ThreadPoolExecutor(1) as pool:  # the next runner may start before the last process has ended
            since = time.monotonic()
            ended = pool.submit(self.kill, runner, signal.SIGTERM)
            self.record.after_stop.append(self.wait_for_takeover(token, since, CLEAN_STOP_WORST))
            ended.result()

    @contextmanager
    def suspended(self, server: Server) -> Iterator[bool]:
        """Suspend a server with SIGSTOP and continue it with SIGCONT.

        Returns whether it was suspended within a write transaction of SQLite. Nothing else can write then, so that no
        other worker can take the job over.
        """
        self.record.kill("SIGSTOP", self.store.kind)
        os.killpg(server.pid, signal.SIGSTOP)
        try:
            keeps_lock = self.store.is_write_locked()
            self.record.suspended_with_lock += keeps_lock
            yield keeps_lock
        finally:
            os.killpg(server.pid, signal.SIGCONT)

    def check_fenced_off(self, server: Server, log_before: int) -> None:
        """Check that a runner that has lost the job ends without writing."""
        self.record.fenced += 1

        def check() -> bool:
            return "ends without a further write" in server.log.read_text(errors="replace")[log_before:]

        self.wait_for(check, 15, "the runner without a claim ends")
        self.record.refused += 1

    # The independent checker.

    def requests(self) -> list[Json]:
        """Return the requests to the dashboard since the start of the last job."""
        return [entry for entry in self.dashboard.log() if CHECKER not in entry["user_agent"]]

    def exports(self) -> list[Json]:
        return [entry for entry in self.requests() if entry["report"]]

    def findings(self) -> Findings:
        return check_consistency(self.reader.read_job(self.job_id))

    def check(self) -> None:
        """Check that ledger, counters, stored snapshots and request log are consistent."""
        findings = self.wait_for(self.findings, 30, "the stored data can be read")
        self.record.checks += 1
        for sentence in findings.violations:
            self.report_violation(sentence)
        self.record.lost += findings.lost
        self.record.duplicated += findings.duplicated
        most = most_in_a_minute(self._log_before + self.requests())
        limit = LIMITS["maxRequestsPerMinute"]
        if most > limit:
            self.record.over_limit = max(self.record.over_limit, most - limit)
            self.report_violation(f"{most} requests in 60 s; {limit} are allowed")
        self._check_fetched_again()
        self._check_bytes()

    def _check_fetched_again(self) -> None:
        """Check the number of repeated items: at most the items in flight at each takeover."""
        whole = Counter(entry["report"] for entry in self.exports() if entry.get("status") == 200)
        again: Counter[str] = Counter()
        for report, count in whole.items():
            name, _, item = report.partition("~")
            key = report if name == "districtsummary" else item
            again[key] = max(again[key], count - 1)
        changes = max(self.job().token - 1, 0)
        allowed = LIMITS["maxConcurrent"]
        if again.total():
            self.record.max_repeated = max(self.record.max_repeated, -(-again.total() // max(changes, 1)))
        if again.total() > changes * allowed:
            self.report_violation(f"{again.total()} items were fetched again after {changes} takeovers")

    def _check_bytes(self) -> None:
        """Fetch a few reports again and compare them with the stored bytes."""
        stored = reports_of(self.reader.snapshots())
        whole = {entry["report"]: entry for entry in self.exports() if entry.get("status") == 200}
        finals = [entry for report, entry in whole.items() if report.startswith("divisionperformance")]
        settled = self.job().status == "completed"
        for entry in self.rng.sample(finals, min(3, len(finals))) if settled else ():
            answer = requests.get(
                f"{self.dashboard.url}{entry['path']}?{entry['query']}", headers={"User-Agent": CHECKER}, timeout=30
            )
            name, district = entry["report"].split("~")[:2]
            if answer.content not in stored[name, district]:
                self.report_violation(f"the stored report {entry['report']} differs from that of the dashboard")
