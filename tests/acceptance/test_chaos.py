"""A short campaign on each store, a story a test; `make chaos` tells them all, in any order, for as long as wanted.

The stories of a store share one site, as they do in a campaign, and each ends with the independent checker.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.chaos.campaign import tell
from tests.chaos.places import FirestorePlace, Place, PlaceMissing, PostgresPlace, SqlitePlace
from tests.chaos.record import Record
from tests.chaos.stories import STORIES, named
from tests.chaos.world import World

SEED = 4

ON_SQLITE = [
    "SIGSTOP for longer than the lease, then SIGCONT",
    "the clock jumps by an hour, and kill -9",
    "a locked SQLite file",
    "a missing SQLite file",
    "a full disk",
    "a server more is started, and the runner ends",
    "a stale job is displaced while its runner lives",
    "cancel",
    "cancel, then kill -9",
]
ON_POSTGRESQL = [
    "kill -9 of the runner",
    "kill -9 of every server",
    "SIGTERM of the runner",
    "PostgreSQL restarts",
    "an outage of the source, and kill -9",
    "pause, kill -9 and resume",
    "kill -9, then cancel",
    "SIGSTOP, then cancel, then SIGCONT",
]
ON_FIRESTORE = [
    "SIGTERM, then kill -9 of the next runner",
    "SIGSTOP for longer than the lease, then SIGCONT",
    "the Firestore emulator restarts",
    "the way to Firestore is cut",
    "kill -9 while the source makes trouble",
    "a stale job is displaced while its runner lives",
    "analytics, and kill -9",
]


def missing_here(sentence: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def world_over(place_type: type[Place]) -> Iterator[World]:
    try:
        place = place_type()
    except PlaceMissing as exc:
        missing_here(str(exc))
    with World(place, Record(), random.Random(SEED)) as world:
        yield world


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[World]:
    yield from world_over(SqlitePlace)


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[World]:
    yield from world_over(PostgresPlace)


@pytest.fixture(scope="module")
def on_firestore() -> Iterator[World]:
    yield from world_over(FirestorePlace)


def assert_told(world: World, name: str) -> None:
    before = len(world.record.wrong)
    tell(world, named(name))
    assert not world.record.wrong[before:]


def test_every_story_of_the_campaign_is_told_somewhere() -> None:
    assert {*ON_SQLITE, *ON_POSTGRESQL, *ON_FIRESTORE} == {story.name for story in STORIES}


@pytest.mark.parametrize("name", ON_SQLITE)
def test_nothing_is_lost_doubled_or_stuck_on_sqlite_after(name: str, on_sqlite: World) -> None:
    """R1.3, R1.4, R3.4, R7.2, R10.1, R10.3, R12.4"""
    if named(name).needs_disk and not on_sqlite.place.has_own_disk:  # type: ignore[attr-defined]
        missing_here("A small disk of its own cannot be mounted here; that takes root.")
    assert_told(on_sqlite, name)


@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_nothing_is_lost_doubled_or_stuck_on_postgresql_after(name: str, on_postgresql: World) -> None:
    """R1.3, R1.4, R7.2, R10.1, R10.3, R12.4"""
    assert_told(on_postgresql, name)


@pytest.mark.parametrize("name", ON_FIRESTORE)
def test_nothing_is_lost_doubled_or_stuck_on_firestore_after(name: str, on_firestore: World) -> None:
    """R1.3, R1.4, R3.4, R10.1, R10.3, R12.4"""
    assert_told(on_firestore, name)
