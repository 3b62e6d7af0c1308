"""Nights that pass quickly: the sample dashboard, and servers whose clock shows the same date.

The servers run `tests.acceptance.night_server`. The product reads the date as always. A night begins when the dashboard
publishes one more day and the clock of all servers shows the time of the daily check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from tests.acceptance.harness import Client, Dashboard, Json, Site, eventually, kill_group

DAY = timedelta(days=1)
TARGETS = "/api/admin/backfill/targets"
SETTLED = {"HTML_PAGE", "not-published"}
"""The reasons for which an item is still missing when the work of a night is done."""


@dataclass(frozen=True)
class Server:
    client: Client
    log: Path
    """The output of its processes."""

    @property
    def is_up(self) -> bool:
        return self.client.process.poll() is None

    def kill(self) -> None:
        kill_group(self.client.process)


@dataclass(frozen=True)
class Night:
    """What the dashboard saw in one night."""

    day: date
    requests: list[Json]

    @property
    def reports(self) -> list[Json]:
        return [entry for entry in self.requests if entry["report"]]

    @property
    def served(self) -> list[str]:
        """The report strings of the correct responses, with the path of the archive."""
        return [entry["path"] + " " + entry["report"] for entry in self.reports if not entry.get("fault")]


@dataclass
class Nights:
    """Two servers over one store, and the dashboard."""

    dashboard: Dashboard
    site: Site
    check_at: time
    servers: list[Server] = field(default_factory=list)
    past: list[Night] = field(default_factory=list)
    today: date = date.min

    @property
    def _clock(self) -> Path:
        return self.site.folder / "clock"

    @property
    def client(self) -> Client:
        return next(server.client for server in self.servers if server.is_up)

    def begin(self, day: date, *faults: Json, at: time | None = None) -> None:
        """Let it be that day for all processes, at the time of the daily check or at `at`, with these faults."""
        self.today = day
        self.dashboard.forget()
        self.dashboard.play(*faults)
        self.dashboard.set_today(day)
        wanted = datetime.combine(day, at or self.check_at, UTC)
        temporary = self._clock.with_suffix(".new")
        temporary.write_text(str((wanted - datetime.now(UTC)).total_seconds()))
        temporary.replace(self._clock)

    def end(self) -> Night:
        """Record what the dashboard saw since the night began."""
        night = Night(self.today, self.dashboard.log())
        self.past.append(night)
        return night

    def start_servers(self) -> None:
        """Start servers until there are two."""
        self.servers = [server for server in self.servers if server.is_up]
        self.site.more_env["CHAOS_CLOCK"] = str(self._clock)
        while len(self.servers) < 2:
            log = self.site.folder / f"process-{len(self.site.processes)}.log"
            self.servers.append(Server(self.site.serve(application="tests.acceptance.night_server"), log))

    def kill_servers(self) -> None:
        for server in self.servers:
            server.kill()

    def target(self) -> Json:
        target: Json = self.client.get(TARGETS)["target"]
        return target

    def active_job(self) -> Json | None:
        active = "pending,running,pausing,paused,cancelling"
        jobs: list[Json] = self.client.get(f"/api/admin/backfill/jobs?status={active}")["jobs"]
        assert len(jobs) <= 1, "two jobs are active"
        return jobs[0] if jobs else None

    def runner_of(self, job: Json) -> Server:
        """The server that runs a job, according to its log."""
        starts = f"Job {job['jobId']}: runner starts"
        return eventually(
            lambda: next((server for server in self.servers if starts in server.log.read_text()), None),
            20,
            "a server runs the job",
        )

    def wait_until_done(self, within: float = 60) -> Json:
        """Wait until the check of this night has taken place and everything that it started has ended."""

        def look() -> Json | None:
            target = self.target()
            is_checked = (target["lastCheckAt"] or "").startswith(str(self.today))
            is_done = is_checked and target["status"] != "collecting" and set(target["missing"]) <= SETTLED
            return target if is_done and not self.active_job() else None

        try:
            return eventually(look, within, f"the night of {self.today} is done")
        except AssertionError as exc:
            exc.add_note(f"{self.target()}\n{self.active_job()}\n{self.site.logs()[-4000:]}")
            raise

    def jobs(self) -> list[Json]:
        """All jobs, oldest first."""
        return list(reversed(list(self._all("/api/admin/backfill/jobs", "jobs"))))

    def checks(self) -> list[date]:
        """The dates on which a check took place, according to the audit log, without duplicates."""
        entries = self._all("/api/admin/backfill/audit", "entries")
        return sorted({date.fromisoformat(entry["at"][:10]) for entry in entries if entry["action"] == "checked"})

    def _all(self, path: str, name: str) -> Iterator[Json]:
        offset = 0
        while True:
            page = self.client.get(f"{path}?limit=100&offset={offset}")
            yield from page[name]
            offset += len(page[name])
            if offset >= page["total"]:
                return


_SLOTS = re.compile(r"(\w+)~(?:(\w+)~)?(\d+/\d+/\d+)~([\d/]*)~(\d{4}-\d{4})$")


def district_of(served: str) -> str:
    """The district of a served report; `all` for the summary."""
    found = _SLOTS.search(served)
    assert found, served
    return found[2] or "all"


@dataclass(frozen=True)
class Repetitions:
    """Reports that were served more than once, by the reason."""

    of_failed_items: int
    """Other reports of their item failed, and an item is stored completely or not at all."""
    of_a_close: int
    """A close is collected again when the month has closed, because only then it is final."""
    after_a_kill: int
    """In flight, or not yet recorded, when the process was killed."""
    as_probes: int
    """After failures of the same kind of report, to decide whether the dashboard or only the items are at fault."""
    without_need: list[str]


def repetitions(nights: list[Night], *, failing: str, broken: set[date], killed: date, closed: set[str]) -> Repetitions:
    """Classify each repeated report.

    `failing`: the report and district, such as `clubperformance~02~`, that fail on the dates `broken`. `closed`: the
    reports of a close, each of which may be served once more when it is final.
    """
    report, district = failing.strip("~").split("~")
    seen: dict[str, list[date]] = {}
    for night in nights:
        for served in night.served:
            seen.setdefault(served, []).append(night.day)
    failed = close = kill = probes = 0
    needless: list[str] = []
    for served, days in seen.items():
        left = len(days) - 1
        if not left:
            continue
        if district_of(served) == district:
            of_failures = min(left, sum(day in broken for day in days))
            failed, left = failed + of_failures, left - of_failures
        of_kill = min(left, max(days.count(killed) - 1, 0))
        kill, left = kill + of_kill, left - of_kill
        of_close = min(left, served in closed)
        close, left = close + of_close, left - of_close
        if f" {report}~" in served:
            of_probes = min(left, sum(max(days.count(day) - 1, 0) for day in broken))
            probes, left = probes + of_probes, left - of_probes
        needless += [f"{served} on {', '.join(map(str, days))}"] * bool(left)
    return Repetitions(failed, close, kill, probes, needless)
