"""The registers of Firestore: cheap where they are true, and never believed where they are not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import grpc
import pytest

from backfill.domain import Snapshot
from backfill.storage import Storage
from backfill.storage.firestore import chunked_blobs
from benchmarks.firestore import Charges
from tests.contract.backends import Backend, FirestoreBackend
from tests.contract.test_firestore_failures import Fault, Trouble
from tests.contract.test_snapshot_metadata import (
    DAYS,
    DISTRICTS,
    EVERYTHING,
    Stored,
    facts_of,
    snapshot_of,
    stored_everywhere,
)
from tests.factories import NOW

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

MONTHS = {(day.year, day.month) for day in DAYS}


class Killed(BaseException):
    """The process ends here, without a word."""


@dataclass
class Between(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Does something before one of the calls to the emulator, or after it."""

    action: Callable[[], None] = lambda: None
    call: int = -1
    is_after: bool = False
    calls: int = 0

    def at(self, call: int, action: Callable[[], None], *, is_after: bool = False) -> None:
        self.call, self.action, self.is_after, self.calls = call, action, is_after, 0

    @property
    def was_met(self) -> bool:
        return self.calls > self.call

    def _passed(self) -> bool:
        self.calls += 1
        return self.calls == self.call + 1

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        is_it = self._passed()
        if is_it and not self.is_after:
            self.action()
        answer = go_on(details, request)
        if is_it and self.is_after:
            answer.result()
            self.action()
        return answer

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        is_it = self._passed()
        if is_it and not self.is_after:
            self.action()
        answers = list(go_on(details, request))
        if is_it and self.is_after:
            self.action()
        return iter(answers)


def collection(backend: Backend, name: str) -> Any:
    from google.cloud import firestore

    assert isinstance(backend, FirestoreBackend)
    return firestore.Client().collection(backend.prefix, "v1", name)


@pytest.fixture
def between(storage: Storage, backend: Backend) -> tuple[Between, Storage]:
    assert isinstance(backend, FirestoreBackend)
    between = Between()
    return between, backend.through(between)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """MonthlyIndex lie in several documents, as those of thousands of districts would."""
    monkeypatch.setattr(chunked_blobs, "_MAX_PART_BYTES", 100)


def known(storage: Storage) -> list[Any]:
    return list(storage.snapshots.metadata(*EVERYTHING))


def newer(snapshot: Snapshot) -> Snapshot:
    later = snapshot.fetched_at + timedelta(hours=1)
    return snapshot_of(snapshot.date, snapshot.district, f"{later}", fetched_at=later)


# Cheap


def test_what_was_read_once_costs_a_register_a_month_and_one_read_a_thousand_documents(
    storage: Storage, backend: FirestoreBackend
) -> None:
    charges = Charges()
    charged = backend.through(charges)
    snapshots, _ = stored_everywhere(storage)
    years = len({day.year for day in DAYS})
    expected = facts_of(snapshots)
    assert known(charged) == expected
    assert charges.reads["snapshots"] >= len(snapshots)
    assert charges.writes == {"registers": len(MONTHS)}
    charges.reset()
    assert known(charged) == expected
    assert charges.reads["snapshots"] == 2 + 2 * years  # where it begins and ends; stamps and number of each year
    assert charges.reads["registers"] == 21  # the months from the first to the last
    assert not charges.writes

    replaced = newer(snapshots[DAYS[2], "F"])
    charges.reset()
    assert charged.snapshots.put(replaced)
    assert charges.writes == {"snapshots": 1}, "A writer pays nothing for registers."
    charges.reset()
    assert known(charged) == facts_of({**snapshots, (DAYS[2], "F"): replaced})
    months_of_2023 = 12
    assert charges.reads["snapshots"] == 2 + 2 * years + 2 * months_of_2023 + 2 * len(DISTRICTS)
    assert charges.writes == {"registers": 1}


# True


def test_a_register_that_is_missing_damaged_old_or_of_another_month_is_not_believed(
    storage: Storage, backend: Backend
) -> None:
    snapshots, _ = stored_everywhere(storage)
    assert known(storage) == facts_of(snapshots)
    stored = {document.id: document.to_dict() for document in collection(backend, "registers").get()}
    old = stored["snapshots_2023-02"]
    replaced = newer(snapshots[DAYS[2], "F"])
    storage.snapshots.put(replaced)
    expected = facts_of({**snapshots, (DAYS[2], "F"): replaced})
    assert known(storage) == expected

    register = collection(backend, "registers").document("snapshots_2023-02")
    true = register.get().to_dict()
    others = {name: stored[name] for name in ("snapshots_2023-01", "results_2023-02") if name in stored}
    for other in [old, *others.values(), {**true, "body": b"damaged"}, {**true, "body": true["body"][:-5]}]:
        register.set(other)
        assert known(storage) == expected
        assert register.get().to_dict() == true, "It was made anew."
    register.delete()
    assert known(storage) == expected
    assert register.get().to_dict() == true


def test_what_is_removed_behind_the_service_is_not_known_any_more(storage: Storage, backend: Backend) -> None:
    snapshots, _ = stored_everywhere(storage)
    assert known(storage) == facts_of(snapshots)
    collection(backend, "snapshots").document(f"{DAYS[2]}_F").delete()
    del snapshots[DAYS[2], "F"]
    assert known(storage) == facts_of(snapshots)
    for key in [key for key in snapshots if key[0] in DAYS[1:4]]:
        collection(backend, "snapshots").document(f"{key[0]}_{key[1]}").delete()
        del snapshots[key]
    for _ in range(2):
        assert known(storage) == facts_of(snapshots)


def test_documents_without_a_stamp_are_read_and_no_register_is_made_of_their_month(
    storage: Storage, backend: Backend
) -> None:
    """An older version of the service writes them, before this one or beside it."""
    from google.cloud.firestore import DELETE_FIELD

    snapshots, _ = stored_everywhere(storage)
    stamped = {key: snapshot for key, snapshot in snapshots.items() if key[0] != DAYS[2]}
    for day, district in snapshots.keys() - stamped.keys():
        collection(backend, "snapshots").document(f"{day}_{district}").update({"stamp": DELETE_FIELD})
    for _ in range(2):
        assert known(storage) == facts_of(snapshots)
    assert not collection(backend, "registers").document("snapshots_2023-02").get().exists
    for snapshot in snapshots.values():
        if snapshot.date == DAYS[2]:
            storage.snapshots.put(newer(snapshot))
    now = {key: newer(snapshot) if key[0] == DAYS[2] else snapshot for key, snapshot in snapshots.items()}
    assert known(storage) == facts_of(now)
    assert collection(backend, "registers").document("snapshots_2023-02").get().exists

    collection(backend, "snapshots").document(f"{DAYS[0]}_F").update({"stamp": DELETE_FIELD, "about.is_final": True})
    told = [facts.is_final for facts in known(storage) if (facts.date, facts.district) == (DAYS[0], "F")]
    assert told == [True]


# Between any two calls


def each_call(between: Between, action: Callable[[], None], *, is_after: bool) -> Iterator[int]:
    """The deed is done at the first call of what follows, then at the second, until there are no more calls."""
    call = 0
    while True:
        between.at(call, action, is_after=is_after)
        yield call
        if not between.was_met:
            return
        call += 1


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_a_reader_that_is_killed_between_any_two_calls_leaves_nothing_that_is_wrong(
    storage: Storage, between: tuple[Between, Storage], is_after: bool
) -> None:
    line, reader = between
    snapshots, _ = stored_everywhere(storage)

    def die() -> None:
        raise Killed

    deaths = 0
    for _ in each_call(line, die, is_after=is_after):
        changed = newer(snapshots[DAYS[deaths % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        try:
            told = known(reader)
        except Killed:
            deaths += 1
        else:
            assert told == facts_of(snapshots)
        assert known(storage) == facts_of(snapshots)
    assert deaths > 15


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_a_write_between_any_two_calls_of_a_reader_is_seen_by_the_next(
    storage: Storage, between: tuple[Between, Storage], is_after: bool
) -> None:
    """The reader itself may have been before it or after it, and tells one or the other."""
    line, reader = between
    snapshots, _ = stored_everywhere(storage)
    written: list[Stored] = []

    def write() -> None:
        day, district = DAYS[len(written) % len(DAYS)], DISTRICTS[len(written) % len(DISTRICTS)]
        changed = newer(snapshots[day, district])
        assert storage.snapshots.put(changed)
        written.append(dict(snapshots))
        snapshots[day, district] = changed

    for call in each_call(line, write, is_after=is_after):
        changed = newer(snapshots[DAYS[call % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        before = dict(snapshots)
        assert known(reader) in (facts_of(before), facts_of(snapshots))
        assert known(storage) == facts_of(snapshots)
    assert len(written) > 15


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_two_readers_at_once_are_both_right(storage: Storage, between: tuple[Between, Storage], is_after: bool) -> None:
    """Both find a month changed, and both would make its register."""
    line, reader = between
    snapshots, _ = stored_everywhere(storage)
    met = 0

    def read() -> None:
        nonlocal met
        met += 1
        assert known(storage) == facts_of(snapshots)

    for call in each_call(line, read, is_after=is_after):
        changed = newer(snapshots[DAYS[call % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        assert known(reader) == facts_of(snapshots)
        assert known(storage) == facts_of(snapshots)
    assert met > 15


def test_a_reader_does_not_wait_for_a_register_that_cannot_be_written(
    storage: Storage, backend: FirestoreBackend
) -> None:
    snapshots, _ = stored_everywhere(storage)
    trouble = Trouble()
    trouble.first(-1, Fault(grpc.StatusCode.UNAVAILABLE), "Commit")
    assert known(backend.through(trouble)) == facts_of(snapshots)
    assert trouble.met == {"Commit": len(MONTHS)}, "Each was tried once."
    assert not collection(backend, "registers").get()
    assert known(storage) == facts_of(snapshots)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_befalls_documents_and_registers_what_is_told_is_what_is_stored(
    storage: Storage, backend: Backend, between: tuple[Between, Storage], seed: int
) -> None:
    line, reader = between
    rng = random.Random(seed)
    snapshots: Stored = {}
    kept: list[tuple[str, dict[str, Any]]] = []

    def any_key() -> tuple[date, str]:
        return rng.choice(DAYS) + timedelta(days=rng.randrange(3)), rng.choice(DISTRICTS)

    def put() -> None:
        key = any_key()
        fetched_at = NOW + timedelta(seconds=len(steps))
        snapshot = snapshot_of(*key, f"{fetched_at}", fetched_at=fetched_at)
        assert storage.snapshots.put(snapshot)
        snapshots[key] = snapshot

    def remove() -> None:
        key = any_key()
        collection(backend, "snapshots").document(f"{key[0]}_{key[1]}").delete()
        snapshots.pop(key, None)

    def keep_registers() -> None:
        kept.extend((document.id, document.to_dict()) for document in collection(backend, "registers").get())

    def bring_back_an_old_register() -> None:
        if kept:
            name, value = rng.choice(kept)
            collection(backend, "registers").document(name).set(value)

    def lose_a_register() -> None:
        if kept:
            collection(backend, "registers").document(rng.choice(kept)[0]).delete()

    def die_reading() -> None:
        def die() -> None:
            raise Killed

        line.at(rng.randrange(30), die, is_after=rng.random() < 0.5)
        try:
            known(reader)
        except Killed:
            pass
        finally:
            line.at(-1, lambda: None)

    audit_log = [put, put, put, remove, keep_registers, bring_back_an_old_register, lose_a_register, die_reading]
    steps: list[str] = []
    for _ in range(60):
        action = rng.choice(audit_log)
        action()
        steps.append(action.__name__)
        if rng.random() < 0.4:
            assert known(reader) == facts_of(snapshots), steps
    assert known(reader) == facts_of(snapshots), steps
