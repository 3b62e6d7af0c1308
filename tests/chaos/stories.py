"""The stories of a campaign. Each begins with a job that runs on two servers, which it does not end."""

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
from tests.chaos.books import ACTIVE
from tests.chaos.places import FirestorePlace, Place, PostgresPlace, SqlitePlace
from tests.chaos.record import RESUME_WORST
from tests.chaos.world import World

LEASE = 15.0
HOUR = 3600.0

Telling = Callable[[World], None]


@dataclass(frozen=True)
class Story:
    name: str
    tell: Telling
    kind: type[Place]
    weight: int
    needs_disk: bool


STORIES: list[Story] = []


def story(
    name: str, *, on: type[Place] = Place, weight: int = 2, needs_disk: bool = False
) -> Callable[[Telling], Telling]:
    def register(tell: Telling) -> Telling:
        STORIES.append(Story(name, tell, on, weight, needs_disk))
        return tell

    return register


def named(name: str) -> Story:
    return next(found for found in STORIES if found.name == name)


def a_moment(world: World, longest: float = 1.5) -> float:
    """Wait for a random time."""
    seconds = world.rng.uniform(0, longest)
    time.sleep(seconds)
    return seconds


# Kills.


@story("kill -9 of the runner", weight=6)
def the_runner_is_killed(world: World) -> None:
    a_moment(world)
    world.kill_9()


@story("kill -9 of every server", weight=3)
def every_server_is_killed(world: World) -> None:
    a_moment(world)
    world.kill_9(both=True)


@story("SIGTERM of the runner", weight=4)
def the_runner_is_asked_to_end(world: World) -> None:
    a_moment(world)
    world.sigterm()


@story("SIGTERM, then kill -9 of the next runner", weight=2)
def one_after_the_other(world: World) -> None:
    a_moment(world)
    world.sigterm()
    world.raise_the_dead()
    world.moves()
    world.kill_9()


@story("SIGSTOP for longer than the lease, then SIGCONT", weight=3)
def a_runner_comes_back_from_the_dead(world: World) -> None:
    a_moment(world)
    runner = world.runner()
    token, before = world.job().token, len(runner.log.read_text(errors="replace"))
    since = time.monotonic()
    with world.stopped(runner):
        world.taken_over(token, since, RESUME_WORST)
        world.moves()
        a_moment(world)
    world.is_refused(runner, before)


@story("kill -9 while the source makes trouble", weight=3)
def killed_in_trouble(world: World) -> None:
    world.dashboard.play(*some_faults(world))
    world.moves()
    world.kill_9()


def some_faults(world: World) -> list[Json]:
    """Return faults: fewer than fail a single item, and none that the dashboard logs as a good response."""
    kinds: list[Json] = [
        {"kind": "500"},
        {"kind": "reset"},
        {"kind": "truncate"},
        {"kind": "latency", "seconds": 1.5},
        {"kind": "429", "retry_after": "2"},
    ]
    return [{**fault, "times": 1} for fault in world.rng.sample(kinds, 4)]


# The operator.


@story("cancel")
def cancelled(world: World) -> None:
    a_moment(world)
    world.steer("cancel")
    world.after_cancel(time.time())


@story("cancel, then kill -9")
def cancelled_and_killed(world: World) -> None:
    a_moment(world)
    runner = world.runner()
    world.steer("cancel")
    cancelled_at = time.time()
    a_moment(world, 0.3)
    world.kill(runner, signal.SIGKILL)
    world.after_cancel(cancelled_at)


@story("kill -9, then cancel")
def killed_and_cancelled(world: World) -> None:
    a_moment(world)
    runner = world.runner()
    other = world.other_than(runner)
    world.kill(runner, signal.SIGKILL)
    a_moment(world, 16)
    world.servers = [other]
    world.steer("cancel")
    world.after_cancel(time.time())


@story("SIGSTOP, then cancel, then SIGCONT")
def cancelled_behind_a_stopped_runner(world: World) -> None:
    a_moment(world)
    runner = world.runner()
    other = world.other_than(runner)
    with world.stopped(runner):
        world.servers = [other]
        world.steer("cancel")
        cancelled_at = time.time()
        world.ends(LEASE + 10)
    world.servers.append(runner)
    world.after_cancel(cancelled_at)


@story("pause, kill -9 and resume")
def paused_and_killed(world: World) -> None:
    a_moment(world)
    runner = world.runner()
    other = world.other_than(runner)
    world.steer("pause")
    a_moment(world, 0.5)
    world.kill(runner, signal.SIGKILL)
    world.servers = [other]
    world.soon(lambda: world.job().status not in {"running", "pausing"}, LEASE + 10, "the job is paused")
    if world.job().status not in ACTIVE:
        return
    asked = len(world.requests())
    time.sleep(1.5)
    if len(world.requests()) > asked:
        world.wrong("a paused job asked the dashboard")
    world.steer("resume")


@story("a server more is started, and the runner ends", weight=2)
def deployed(world: World) -> None:
    """Start a new server, then stop the runner, as a deployment does."""
    world.serve()
    a_moment(world)
    world.sigterm()


# The store.


def away(world: World, store: AbstractContextManager[None], seconds: float, *, is_killing: bool = False) -> None:
    """Make the store unavailable for a while, with or without a kill of the runner."""
    with ExitStack() as stack:
        runner = world.runner()
        stack.enter_context(store)
        if is_killing:
            a_moment(world)
            world.kill(runner, signal.SIGKILL)
        time.sleep(seconds)


@story("a locked SQLite file", on=SqlitePlace, weight=2)
def locked(world: World) -> None:
    assert isinstance(world.place, SqlitePlace)
    away(world, world.place.locked(), world.rng.choice((3.0, 10.0, 22.0)), is_killing=world.rng.random() < 0.5)


@story("a missing SQLite file", on=SqlitePlace, weight=2)
def missing(world: World) -> None:
    assert isinstance(world.place, SqlitePlace)
    away(world, world.place.missing(), world.rng.choice((2.0, 6.0, 18.0)), is_killing=world.rng.random() < 0.5)


@story("a full disk", on=SqlitePlace, weight=2, needs_disk=True)
def full(world: World) -> None:
    assert isinstance(world.place, SqlitePlace)
    away(world, world.place.full(), world.rng.choice((4.0, 12.0)), is_killing=world.rng.random() < 0.5)


@story("PostgreSQL restarts", on=PostgresPlace, weight=3)
def restarted(world: World) -> None:
    assert isinstance(world.place, PostgresPlace)
    mode = world.rng.choice(("fast", "immediate"))
    away(world, world.place.stopped(mode), world.rng.choice((0.0, 4.0, 18.0)), is_killing=world.rng.random() < 0.5)


@story("the Firestore emulator restarts", on=FirestorePlace, weight=3)
def firestore_restarted(world: World) -> None:
    assert isinstance(world.place, FirestorePlace)
    away(world, world.place.stopped(), world.rng.choice((0.0, 4.0, 18.0)), is_killing=world.rng.random() < 0.5)


@story("the way to Firestore is cut", on=FirestorePlace, weight=2)
def cut_off(world: World) -> None:
    assert isinstance(world.place, FirestorePlace)
    away(world, world.place.cut_off(), world.rng.choice((0.0, 2.0, 6.0)), is_killing=world.rng.random() < 0.5)


# Clocks, the source, and what else there is.


@story("the clock jumps by an hour, and kill -9", weight=3)
def the_clock_jumps(world: World) -> None:
    runner = world.runner()
    jumping = world.rng.choice(([runner], [world.other_than(runner)], list(world.servers)))
    ahead = world.rng.choice((HOUR, -HOUR))
    for server in jumping:
        server.set_clock(ahead)
    time.sleep(2)
    world.moves()
    if world.rng.random() < 0.5:
        for server in jumping:
            server.set_clock(0)
    world.kill_9()


@story("an outage of the source, and kill -9", weight=2)
def the_source_is_down(world: World) -> None:
    world.dashboard.play({"kind": "500", "times": -1})
    world.soon(lambda: world.job().counts["limiter"]["state"] == "backing-off", 40, "the job says that it backs off")
    a_moment(world, 4)
    world.kill_9()
    world.dashboard.play()
    world.moves()


@story("a stale job is displaced while its runner lives")
def displaced(world: World) -> None:
    """Run the operator's command on a machine whose clock is twelve minutes ahead."""
    runner = world.runner()
    before = len(runner.log.read_text(errors="replace"))
    clock = world.folder / "clock-of-the-operator"
    clock.write_text("720")
    command = ["backfill", "start", "--from", "2023-07-01", "--to", "2024-06-30", "--cadence", "month-ends", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.clock", *command],
        cwd=ROOT,
        env={**world.site.env, "CHAOS_CLOCK": str(clock)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        world.wrong(f"a stale job was not displaced: {done.stderr[-300:]}")
        return
    world.is_refused(runner, before)
    if (was := world.job().status) != "failed":
        world.wrong(f"the displaced job is {was}")
    world.check()
    world.take_stock()
    world.job_id = json.loads(done.stdout)["jobId"]  # where all of it is stored already, it has ended by now
    world.record.jobs += 1


@story("analytics, and kill -9")
def the_computing_is_killed(world: World) -> None:
    world.ends()
    world.check()
    world.analyse()
    world.soon(lambda: bool(world.job().owner) or not world.is_active(), 10, "the analytics job is claimed")
    a_moment(world, 0.5)
    if world.is_active() and world.job().owner:
        world.kill_9()
    world.raise_the_dead()
    world.ends()
