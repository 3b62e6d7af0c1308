"""A campaign: parallel sites that run random scenarios, and the checker after each scenario."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.chaos_site import ChaosSite
from tests.chaos.record import Record
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.stores import FirestoreStore, PostgresStore, SqliteStore, Store, StoreMissing

STORES: tuple[type[Store], ...] = (SqliteStore, PostgresStore, FirestoreStore)


@dataclass(frozen=True)
class Campaign:
    seed: int
    minutes: float
    sites: int = len(STORES)
    kills: int | None = None
    """Maximum number of kills."""
    stores: tuple[type[Store], ...] = STORES
    """The stores of the sites, in turn."""
    is_strict: bool = os.environ.get("CI") == "true"
    """Whether a scenario that this machine cannot run is a violation."""

    def run(self) -> Record:
        record, interrupted = Record(), threading.Event()
        deadline = time.monotonic() + self.minutes * 60

        def is_over() -> bool:
            is_enough = self.kills is not None and record.killed >= self.kills
            return is_enough or time.monotonic() > deadline or interrupted.is_set()

        threads = [
            threading.Thread(target=self._site, args=(number, record, is_over), name=f"site-{number}")
            for number in range(self.sites)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            print("Each site stops after its current scenario.", flush=True)
            interrupted.set()
            for thread in threads:
                thread.join()
        if self.is_strict:
            for name, reason in record.skipped.items():
                record.violation(f"{name}: {reason}")
        return record

    def _site(self, number: int, record: Record, is_over: Callable[[], bool]) -> None:
        """Run scenarios on a site. If the site fails, continue with a new one."""
        rng = random.Random(f"{self.seed}-{number}")
        store_type = self.stores[number % len(self.stores)]
        while not is_over():
            site: ChaosSite | None = None
            try:
                store = store_type()
            except StoreMissing as exc:
                record.skipped[store_type.kind] = str(exc)
                return
            except Exception as exc:  # noqa: BLE001 - any error is a violation
                record.violation(f"{store_type.kind}: the store cannot be started: {exc!r}")
                return
            try:
                site = ChaosSite(store, record, rng)
                with site:
                    run_scenarios(site, is_over)
                shutil.rmtree(site.folder)
            except Exception as exc:  # noqa: BLE001 - any error is a violation
                record.violation(f"{store_type.kind}: the site failed: {exc!r}")
                if site is not None:
                    print(f"  The logs of its servers are in {site.folder}.", flush=True)
                if len(record.violations) > 20:
                    return


def available_scenarios(store: Store, record: Record) -> Sequence[Scenario]:
    """Return the scenarios of a store that this machine can run."""
    found = [scenario for scenario in SCENARIOS if isinstance(store, scenario.kind)]
    if isinstance(store, SqliteStore) and not store.has_own_disk:
        for scenario in found:
            if scenario.needs_disk:
                record.skipped[scenario.name] = "This machine cannot mount a small disk; root is required."
        found = [scenario for scenario in found if not scenario.needs_disk]
    return found


def run_scenarios(site: ChaosSite, is_over: Callable[[], bool]) -> None:
    scenarios = available_scenarios(site.store, site.record)
    queue: list[Scenario] = []
    while not is_over():
        if not queue:  # each scenario runs as often as its weight, in random order
            queue = [scenario for scenario in scenarios for _ in range(scenario.weight)]
            site.rng.shuffle(queue)
        run_scenario(site, queue.pop())
    site.ensure_two_servers()
    site.finish()


def run_scenario(site: ChaosSite, scenario: Scenario) -> None:
    """Run a scenario, then check that the job continues and that the stored data is consistent."""
    began = time.monotonic()
    site.ready()
    scenario.run(site)
    site.ensure_two_servers()
    if site.is_active() and site.job().status not in {"paused", "cancelling"}:
        site.wait_for_progress()
    site.check()
    site.record.scenarios[scenario.name] += 1
    seconds, kills = time.monotonic() - began, site.record.killed
    print(f"  {site.store.kind:<10} {scenario.name:<52} {seconds:5.1f} s, {kills:,} kills so far", flush=True)
