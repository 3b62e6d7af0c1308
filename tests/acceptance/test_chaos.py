"""Six scenarios of `make chaos` with a fixed seed, two on each store, and the independent checker after each.

The scenarios of a store share one site, as in a campaign.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import run_scenario
from tests.chaos.chaos_site import ChaosSite
from tests.chaos.record import Record
from tests.chaos.scenarios import SCENARIOS, find_scenario
from tests.chaos.stores import FirestoreStore, PostgresStore, SqliteStore, Store, StoreMissing

SEED = 4

# Scenarios whose guarantees no other acceptance test shows.
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
    "a new server starts, and the runner stops": (
        "test_recovery::test_a_clean_stop_returns_the_lease_and_another_server_continues_the_job"
    ),
    "kill -9 during dashboard faults": (
        "test_worker_kills::test_no_item_is_lost_after_a_clean_stop_and_a_kill_of_the_next_runner_during_faults"
    ),
    "a dashboard outage, and kill -9": (
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
    "the connection to Firestore is cut": (
        "test_firestore::test_a_job_continues_after_the_connection_to_firestore_was_cut_and_after_firestore_restarted"
    ),
    "analytics, and kill -9": (
        "test_worker_kills::test_results_that_were_stored_before_a_kill_count_once_in_the_resumed_analytics_job"
    ),
}
"""The other scenarios, each with the test of `make test` that shows the same guarantee."""


def skip_or_fail(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def site_over(store_type: type[Store]) -> Iterator[ChaosSite]:
    try:
        store = store_type()
    except StoreMissing as exc:
        skip_or_fail(str(exc))
    with ChaosSite(store, Record(), random.Random(SEED)) as site:
        yield site


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[ChaosSite]:
    yield from site_over(SqliteStore)


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[ChaosSite]:
    yield from site_over(PostgresStore)


@pytest.fixture(scope="module")
def on_firestore() -> Iterator[ChaosSite]:
    yield from site_over(FirestoreStore)


def assert_scenario_passes(site: ChaosSite, name: str) -> None:
    before = len(site.record.violations)
    run_scenario(site, find_scenario(name))
    assert not site.record.violations[before:]


def test_the_guarantee_of_every_scenario_is_shown_here_or_by_another_acceptance_test() -> None:
    run_here = {*ON_SQLITE, *ON_POSTGRESQL, *ON_FIRESTORE}
    assert len(run_here) == 6
    assert not run_here & set(SHOWN_BY)
    assert run_here | set(SHOWN_BY) == {scenario.name for scenario in SCENARIOS}
    for test in SHOWN_BY.values():
        module, _, name = test.partition("::")
        if module == "test_chaos":
            assert name in run_here
        else:
            assert f"def {name}(" in Path(__file__).with_name(f"{module}.py").read_text()


@pytest.mark.parametrize("name", ON_SQLITE)
def test_no_item_is_lost_or_duplicated_and_no_job_is_stuck_on_sqlite_after(name: str, on_sqlite: ChaosSite) -> None:
    """R1.3, R1.4, R3.4, R7.2, R10.1, R10.3, R12.4"""
    if find_scenario(name).needs_disk and not on_sqlite.store.has_own_disk:  # type: ignore[attr-defined]
        skip_or_fail("This machine cannot mount a small disk; root is required.")
    assert_scenario_passes(on_sqlite, name)


@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_no_item_is_lost_or_duplicated_and_no_job_is_stuck_on_postgresql_after(
    name: str, on_postgresql: ChaosSite
) -> None:
    """R1.3, R1.4, R7.2, R10.1, R10.3, R12.4"""
    assert_scenario_passes(on_postgresql, name)


@pytest.mark.parametrize("name", ON_FIRESTORE)
def test_no_item_is_lost_or_duplicated_and_no_job_is_stuck_on_firestore_after(
    name: str, on_firestore: ChaosSite
) -> None:
    """R1.3, R1.4, R3.4, R10.1, R10.3, R12.4"""
    assert_scenario_passes(on_firestore, name)
