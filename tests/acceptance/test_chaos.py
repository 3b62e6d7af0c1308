"""A short campaign on each database, a story a test; `make chaos` tells them all, in any order, for as long as wanted.

The stories of a database share one site, as they do in a campaign, and each ends with the independent checker.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.chaos.campaign import tell
from tests.chaos.places import PlaceMissing, PostgresPlace, SqlitePlace
from tests.chaos.record import Record
from tests.chaos.stories import named
from tests.chaos.world import World

pytestmark = pytest.mark.acceptance

SEED = 4


def missing_here(sentence: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[World]:
    with World(SqlitePlace(), Record(), random.Random(SEED)) as world:
        yield world


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[World]:
    try:
        place = PostgresPlace()
    except PlaceMissing as exc:
        missing_here(str(exc))
    with World(place, Record(), random.Random(SEED)) as world:
        yield world


def assert_told(world: World, name: str) -> None:
    before = len(world.record.wrong)
    tell(world, named(name))
    assert not world.record.wrong[before:]


@pytest.mark.xdist_group("chaos on SQLite")
@pytest.mark.parametrize(
    "name",
    [
        "SIGSTOP for longer than the lease, then SIGCONT",
        "the clock jumps by an hour, and kill -9",
        "a missing SQLite file",
        "a full disk",
        "a stale job is displaced while its runner lives",
        "cancel, then kill -9",
    ],
)
def test_nothing_is_lost_doubled_or_stuck_on_sqlite_after(name: str, on_sqlite: World) -> None:
    """R1.3, R1.4, R3.4, R7.2, R10.1, R10.3, R12.4"""
    if named(name).needs_disk and not on_sqlite.place.has_own_disk:  # type: ignore[attr-defined]
        missing_here("A small disk of its own cannot be mounted here; that takes root.")
    assert_told(on_sqlite, name)


@pytest.mark.xdist_group("chaos on PostgreSQL")
@pytest.mark.parametrize(
    "name",
    [
        "kill -9 of every server",
        "PostgreSQL restarts",
        "an outage of the source, and kill -9",
        "pause, kill -9 and resume",
        "SIGSTOP, then cancel, then SIGCONT",
    ],
)
def test_nothing_is_lost_doubled_or_stuck_on_postgresql_after(name: str, on_postgresql: World) -> None:
    """R1.3, R1.4, R7.2, R10.1, R10.3, R12.4"""
    assert_told(on_postgresql, name)
