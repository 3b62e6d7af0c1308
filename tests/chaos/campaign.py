"""A campaign: parallel sites that run random stories and the checker after each of them."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.places import FirestorePlace, Place, PlaceMissing, PostgresPlace, SqlitePlace
from tests.chaos.record import Record
from tests.chaos.stories import STORIES, Story
from tests.chaos.world import World

PLACES: tuple[type[Place], ...] = (SqlitePlace, PostgresPlace, FirestorePlace)


@dataclass(frozen=True)
class Campaign:
    seed: int
    minutes: float
    sites: int = len(PLACES)
    kills: int | None = None
    """Maximum number of kills."""
    places: tuple[type[Place], ...] = PLACES
    """The stores of the sites, in turn."""
    is_strict: bool = os.environ.get("CI") == "true"
    """Whether a story that this machine cannot run is a violation."""

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
            print("Every site ends after its story.", flush=True)
            interrupted.set()
            for thread in threads:
                thread.join()
        if self.is_strict:
            for name, reason in record.skipped.items():
                record.violation(f"{name}: {reason}")
        return record

    def _site(self, number: int, record: Record, is_over: Callable[[], bool]) -> None:
        """Run sites one after the other; a new site replaces one with a violation."""
        rng = random.Random(f"{self.seed}-{number}")
        place_type = self.places[number % len(self.places)]
        while not is_over():
            world: World | None = None
            try:
                place = place_type()
            except PlaceMissing as exc:
                record.skipped[place_type.kind] = str(exc)
                return
            except Exception as exc:  # noqa: BLE001 - as below
                record.violation(f"{place_type.kind}: there is no place for a site: {exc!r}")
                return
            try:
                world = World(place, record, rng)
                with world:
                    tell_all(world, is_over)
                shutil.rmtree(world.folder)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the campaign must not call it a success
                record.violation(f"{place_type.kind}: the site broke: {exc!r}")
                if world is not None:
                    print(f"  What its servers logged is kept in {world.folder}.", flush=True)
                if len(record.wrong) > 20:
                    return


def told_here(place: Place, record: Record) -> Sequence[Story]:
    """Return the stories of a store that this machine can run."""
    found = [story for story in STORIES if isinstance(place, story.kind)]
    if isinstance(place, SqlitePlace) and not place.has_own_disk:
        for story in found:
            if story.needs_disk:
                record.skipped[story.name] = "A small disk of its own cannot be mounted here; that takes root."
        found = [story for story in found if not story.needs_disk]
    return found


def tell_all(world: World, is_over: Callable[[], bool]) -> None:
    stories = told_here(world.place, world.record)
    hand: list[Story] = []
    while not is_over():
        if not hand:  # like a hand of cards: each comes as often as its weight, in any order
            hand = [story for story in stories for _ in range(story.weight)]
            world.rng.shuffle(hand)
        tell(world, hand.pop())
    world.raise_the_dead()
    world.ends_all()


def tell(world: World, story: Story) -> None:
    """Run a story, then check that the job continues and that the stored data is consistent."""
    began = time.monotonic()
    world.ready()
    story.tell(world)
    world.raise_the_dead()
    if world.is_active() and world.job().status not in {"paused", "cancelling"}:
        world.moves()
    world.check()
    world.record.stories[story.name] += 1
    print(f"  {world.place.kind:<10} {story.name:<52} {time.monotonic() - began:5.1f} s", flush=True)
