"""The scenarios of a campaign. Each begins with a running job and two servers, and leaves the job active or ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from tests.acceptance.harness import ROOT, Json
from tests.chaos.chaos_site import ChaosSite
from tests.chaos.consistency import ACTIVE
from tests.chaos.record import RESUME_WORST
from tests.chaos.stores import FirestoreStore, PostgresStore, SqliteStore, Store

LEASE = 15.0
HOUR = 3600.0

Action = Callable[[ChaosSite], None]


@dataclass(frozen=True)
class Scenario:
    name: str
    run: Action
    kind: type[Store]
    weight: int
    needs_disk: bool


SCENARIOS: list[Scenario] = []


def scenario(
    name: str, *, on: type[Store] = Store, weight: int = 2, needs_disk: bool = False
) -> Callable[[Action], Action]:
    def register(run_scenario: Action) -> Action:
        SCENARIOS.append(Scenario(name, run_scenario, on, weight, needs_disk))
        return run_scenario

    return register


def find_scenario(name: str) -> Scenario:
    return next(found for found in SCENARIOS if found.name == name)


def random_pause(site: ChaosSite, longest: float = 1.5) -> float:
    """Wait for a random time."""
    seconds = site.rng.uniform(0, longest)
    time.sleep(seconds)
    return seconds


# Kills.


@scenario("kill -9 of the runner", weight=6)
def the_runner_is_killed(site: ChaosSite) -> None:
    random_pause(site)
    site.kill_runner()


@scenario("kill -9 of every server", weight=3)
def every_server_is_killed(site: ChaosSite) -> None:
    random_pause(site)
    site.kill_runner(both=True)


@scenario("SIGTERM of the runner", weight=4)
def the_runner_is_terminated(site: ChaosSite) -> None:
    random_pause(site)
    site.terminate_runner()


@scenario("SIGTERM, then kill -9 of the next runner", weight=2)
def the_next_runner_is_killed_too(site: ChaosSite) -> None:
    random_pause(site)
    site.terminate_runner()
    site.ensure_two_servers()
    site.wait_for_progress()
    site.kill_runner()


@scenario("SIGSTOP for longer than the lease, then SIGCONT", weight=3)
def a_runner_continues_after_a_takeover(site: ChaosSite) -> None:
    random_pause(site)
    runner = site.runner()
    token, before = site.job().token, len(runner.log.read_text(errors="replace"))
    since = time.monotonic()
    with site.suspended(runner) as keeps_lock:
        if not keeps_lock:
            site.wait_for_takeover(token, since, RESUME_WORST)
            site.wait_for_progress()
            random_pause(site)
    if keeps_lock:
        site.wait_for_progress()
    else:
        site.check_fenced_off(runner, before)


@scenario("kill -9 during dashboard faults", weight=3)
def killed_during_dashboard_faults(site: ChaosSite) -> None:
    site.dashboard.play(*some_faults(site))
    site.wait_for_progress()
    site.kill_runner()


def some_faults(site: ChaosSite) -> list[Json]:
    """Return fewer faults than fail an item, and no fault that the dashboard logs as a correct response."""
    kinds: list[Json] = [
        {"kind": "500"},
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "latency", "seconds": 1.5},
        {"kind": "429", "retry_after": "2"},
    ]
    return [{**fault, "times": 1} for fault in site.rng.sample(kinds, 4)]


# The operator.


@scenario("cancel")
def cancelled(site: ChaosSite) -> None:
    random_pause(site)
    site.control("cancel")
    site.check_cancel(time.time())


@scenario("cancel, then kill -9")
def cancelled_and_killed(site: ChaosSite) -> None:
    random_pause(site)
    runner = site.runner()
    site.control("cancel")
    cancelled_at = time.time()
    random_pause(site, 0.3)
    site.kill(runner, signal.SIGKILL)
    site.check_cancel(cancelled_at)


@scenario("kill -9, then cancel")
def killed_and_cancelled(site: ChaosSite) -> None:
    random_pause(site)
    runner = site.runner()
    other = site.other_server(runner)
    site.kill(runner, signal.SIGKILL)
    random_pause(site, 16)
    site.servers = [other]
    site.control("cancel")
    site.check_cancel(time.time())


@scenario("SIGSTOP, then cancel, then SIGCONT")
def cancelled_behind_a_stopped_runner(site: ChaosSite) -> None:
    random_pause(site)
    runner = site.runner()
    other = site.other_server(runner)
    with site.suspended(runner) as keeps_lock:
        if not keeps_lock:
            site.servers = [other]
            site.control("cancel")
            cancelled_at = time.time()
            site.wait_for_end(LEASE + 10)
    if keeps_lock:
        site.wait_for_progress()
    else:
        site.servers.append(runner)
        site.check_cancel(cancelled_at)


@scenario("pause, kill -9 and resume")
def paused_and_killed(site: ChaosSite) -> None:
    random_pause(site)
    runner = site.runner()
    other = site.other_server(runner)
    site.control("pause")
    random_pause(site, 0.5)
    site.kill(runner, signal.SIGKILL)
    site.servers = [other]
    site.wait_for(lambda: site.job().status not in {"running", "pausing"}, LEASE + 10, "the job is paused")
    if site.job().status not in ACTIVE:
        return
    asked = len(site.requests())
    time.sleep(1.5)
    if len(site.requests()) > asked:
        site.report_violation("a paused job sent requests")
    site.control("resume")


@scenario("a new server starts, and the runner stops", weight=2)
def deployed(site: ChaosSite) -> None:
    """Start a new server, then stop the runner, as a deployment does."""
    site.serve()
    random_pause(site)
    site.terminate_runner()


# The store.


def with_outage(
    site: ChaosSite, outage: AbstractContextManager[None], seconds: float, *, is_killing: bool = False
) -> None:
    """Make the store unavailable for a while, with or without a kill of the runner."""
    with ExitStack() as stack:
        runner = site.runner()
        stack.enter_context(outage)
        if is_killing:
            random_pause(site)
            site.kill(runner, signal.SIGKILL)
        time.sleep(seconds)


@scenario("a locked SQLite file", on=SqliteStore, weight=2)
def locked(site: ChaosSite) -> None:
    assert isinstance(site.store, SqliteStore)
    with_outage(site, site.store.locked(), site.rng.choice((3.0, 10.0, 22.0)), is_killing=site.rng.random() < 0.5)


@scenario("a missing SQLite file", on=SqliteStore, weight=2)
def missing(site: ChaosSite) -> None:
    assert isinstance(site.store, SqliteStore)
    with_outage(site, site.store.missing(), site.rng.choice((2.0, 6.0, 18.0)), is_killing=site.rng.random() < 0.5)


@scenario("a full disk", on=SqliteStore, weight=2, needs_disk=True)
def full(site: ChaosSite) -> None:
    assert isinstance(site.store, SqliteStore)
    with_outage(site, site.store.full(), site.rng.choice((4.0, 12.0)), is_killing=site.rng.random() < 0.5)


@scenario("PostgreSQL restarts", on=PostgresStore, weight=3)
def restarted(site: ChaosSite) -> None:
    assert isinstance(site.store, PostgresStore)
    mode = site.rng.choice(("fast", "immediate"))
    with_outage(site, site.store.stopped(mode), site.rng.choice((0.0, 4.0, 18.0)), is_killing=site.rng.random() < 0.5)


@scenario("the Firestore emulator restarts", on=FirestoreStore, weight=3)
def firestore_restarted(site: ChaosSite) -> None:
    assert isinstance(site.store, FirestoreStore)
    with_outage(site, site.store.stopped(), site.rng.choice((0.0, 4.0, 18.0)), is_killing=site.rng.random() < 0.5)


@scenario("the connection to Firestore is cut", on=FirestoreStore, weight=2)
def cut_off(site: ChaosSite) -> None:
    assert isinstance(site.store, FirestoreStore)
    with_outage(site, site.store.cut_off(), site.rng.choice((0.0, 2.0, 6.0)), is_killing=site.rng.random() < 0.5)


# Clocks, the dashboard, stale jobs and analytics.


@scenario("the clock jumps by an hour, and kill -9", weight=3)
def the_clock_jumps(site: ChaosSite) -> None:
    runner = site.runner()
    jumping = site.rng.choice(([runner], [site.other_server(runner)], list(site.servers)))
    ahead = site.rng.choice((HOUR, -HOUR))
    for server in jumping:
        server.set_clock(ahead)
    time.sleep(2)
    site.wait_for_progress()
    if site.rng.random() < 0.5:
        for server in jumping:
            server.set_clock(0)
    site.kill_runner()


@scenario("a dashboard outage, and kill -9", weight=2)
def the_dashboard_is_down(site: ChaosSite) -> None:
    site.dashboard.play({"kind": "500", "times": -1})
    site.wait_for(lambda: site.job().counts["limiter"]["state"] == "backing-off", 40, "the job is backing off")
    random_pause(site, 4)
    site.kill_runner()
    site.dashboard.play()
    site.wait_for_progress()


@scenario("a stale job is displaced while its runner lives")
def displaced(site: ChaosSite) -> None:
    """Run the operator's command on a machine whose clock is twelve minutes ahead."""
    runner = site.runner()
    before = len(runner.log.read_text(errors="replace"))
    clock = site.folder / "clock-of-the-operator"
    clock.write_text("720")
    command = ["backfill", "start", "--from", "2023-07-01", "--to", "2024-06-30", "--cadence", "month-ends", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.clock", *command],
        cwd=ROOT,
        env={**site.installation.env, "CHAOS_CLOCK": str(clock)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        site.report_violation(f"a stale job was not displaced: {done.stderr[-300:]}")
        return
    site.check_fenced_off(runner, before)
    if (was := site.job().status) != "failed":
        site.report_violation(f"the displaced job is {was}")
    site.check()
    site.count_results()
    site.job_id = json.loads(done.stdout)["jobId"]  # it may have ended already, if all its items are stored
    site.record.jobs += 1


@scenario("analytics, and kill -9")
def analytics_is_killed(site: ChaosSite) -> None:
    site.wait_for_end()
    site.check()
    site.analyse()
    site.wait_for(lambda: bool(site.job().owner) or not site.is_active(), 10, "the analytics job is claimed")
    random_pause(site, 0.5)
    if site.is_active() and site.job().owner:
        site.kill_runner()
    site.ensure_two_servers()
    site.wait_for_end()
