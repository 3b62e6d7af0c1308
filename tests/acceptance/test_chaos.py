"""Six seeded stories on the three stores, a story a test; `make chaos` tells all stories in any order.

The stories of a store share one site, as they do in a campaign, and each ends with the independent checker.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import tell
from tests.chaos.places import FirestorePlace, Place, PlaceMissing, PostgresPlace, SqlitePlace
from tests.chaos.record import Record
from tests.chaos.stories import STORIES, named
from tests.chaos.world import World

SEED = 4

# Six stories whose guarantee no other acceptance test shows, two on each store.
ON_SQLITE = [
    "the clock jumps by an hour, and kill -9",
    "a full disk",
]
ON_POSTGRESQL = [
    "PostgreSQL restarts",
    "SIGSTOP, then cancel, then SIGCONT",
]
ON_FIRESTORE = [
    "SIGSTOP for longer than the lease, then SIGCONT",
    "a stale job is displaced while its runner lives",
]
SHOWN_BY = {
    "kill -9 of the runner": "test_recovery::test_after_kill_9_the_job_resumes_from_its_checkpoint",
    "kill -9 of every server": "test_recovery::test_after_kill_9_the_job_resumes_from_its_checkpoint",
    "SIGTERM of the runner": "test_recovery::test_a_clean_stop_returns_the_lease_and_another_server_continues_the_job",
    "SIGTERM, then kill -9 of the next runner": (
        "test_worker_kills::test_no_item_is_lost_after_a_clean_stop_and_a_kill_of_the_next_runner_during_faults"
    ),
    "a server more is started, and the runner ends": (
        "test_recovery::test_a_clean_stop_returns_the_lease_and_another_server_continues_the_job"
    ),
    "kill -9 while the source makes trouble": (
        "test_worker_kills::test_no_item_is_lost_after_a_clean_stop_and_a_kill_of_the_next_runner_during_faults"
    ),
    "an outage of the source, and kill -9": (
        "test_outages_and_pauses::test_no_item_fails_in_an_outage_with_a_kill_of_the_server"
    ),
    "cancel": "test_cancelling::test_a_cancelled_job_finishes_the_items_in_flight_and_starts_no_others",
    "cancel, then kill -9": (
        "test_worker_kills::test_a_job_whose_runner_is_killed_around_a_cancel_is_cancelled_and_starts_no_item"
    ),
    "kill -9, then cancel": (
        "test_worker_kills::test_a_job_whose_runner_is_killed_around_a_cancel_is_cancelled_and_starts_no_item"
    ),
    "pause, kill -9 and resume": (
        "test_outages_and_pauses::test_a_paused_job_stays_paused_and_active_after_a_kill_of_the_server"
    ),
    "a locked SQLite file": (
        "test_lost_database::test_a_job_waits_for_a_locked_database_and_loses_and_duplicates_nothing"
    ),
    "a missing SQLite file": (
        "test_lost_database::test_a_job_waits_for_a_missing_database_and_loses_and_duplicates_nothing"
    ),
    "the Firestore emulator restarts": (
        "test_firestore::test_a_job_continues_after_the_connection_to_firestore_was_cut_and_after_firestore_restarted"
    ),
    "the way to Firestore is cut": (
        "test_firestore::test_a_job_continues_after_the_connection_to_firestore_was_cut_and_after_firestore_restarted"
    ),
    "analytics, and kill -9": (
        "test_worker_kills::test_results_that_were_stored_before_a_kill_count_once_in_the_resumed_analytics_job"
    ),
}
"""The other stories of `make chaos`, each with the test of `make test` that shows the same guarantee."""


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


def test_the_guarantee_of_every_story_is_shown_here_or_by_another_acceptance_test() -> None:
    told = {*ON_SQLITE, *ON_POSTGRESQL, *ON_FIRESTORE}
    assert len(told) == 6
    assert not told & set(SHOWN_BY)
    assert told | set(SHOWN_BY) == {story.name for story in STORIES}
    for place in SHOWN_BY.values():
        module, _, name = place.partition("::")
        if module == "test_chaos":
            assert name in told
        else:
            assert f"def {name}(" in Path(__file__).with_name(f"{module}.py").read_text()


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
