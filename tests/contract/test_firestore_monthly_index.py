"""The monthly indexes of Firestore: they save reads, and an index that does not match the documents is not used."""

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
from benchmarks.sections.firestore import Charges
from tests.contract.backends import Backend, FirestoreBackend
from tests.contract.test_firestore_failures import Fault, FaultInjector
from tests.contract.test_snapshot_metadata import (
    DAYS,
    DISTRICTS,
    EVERYTHING,
    Snapshots,
    facts_of,
    fill_all,
    snapshot_of,
)
from tests.factories import NOW

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)

MONTHS = {(day.year, day.month) for day in DAYS}


class Killed(BaseException):
    """Stands for the end of the process, without any cleanup."""


@dataclass
class CallInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Runs an action before or after one of the calls to the emulator."""

    action: Callable[[], None] = lambda: None
    call: int = -1
    is_after: bool = False
    calls: int = 0

    def at(self, call: int, action: Callable[[], None], *, is_after: bool = False) -> None:
        self.call, self.action, self.is_after, self.calls = call, action, is_after, 0

    @property
    def was_reached(self) -> bool:
        return self.calls > self.call

    def _count(self) -> bool:
        self.calls += 1
        return self.calls == self.call + 1

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        is_chosen = self._count()
        if is_chosen and not self.is_after:
            self.action()
        answer = continuation(details, request)
        if is_chosen and self.is_after:
            answer.result()
            self.action()
        return answer

    def intercept_unary_stream(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        is_chosen = self._count()
        if is_chosen and not self.is_after:
            self.action()
        answers = list(continuation(details, request))
        if is_chosen and self.is_after:
            self.action()
        return iter(answers)


def collection(backend: Backend, name: str) -> Any:
    from google.cloud import firestore

    assert isinstance(backend, FirestoreBackend)
    return firestore.Client().collection(backend.prefix, "v1", name)


@pytest.fixture
def intercepted(storage: Storage, backend: Backend) -> tuple[CallInterceptor, Storage]:
    assert isinstance(backend, FirestoreBackend)
    interceptor = CallInterceptor()
    return interceptor, backend.through(interceptor)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split the indexes into several documents, like those of thousands of districts."""
    monkeypatch.setattr(chunked_blobs, "_MAX_PART_BYTES", 100)


def metadata(storage: Storage) -> list[Any]:
    return list(storage.snapshots.metadata(*EVERYTHING))


def newer(snapshot: Snapshot) -> Snapshot:
    later = snapshot.fetched_at + timedelta(hours=1)
    return snapshot_of(snapshot.date, snapshot.district, f"{later}", fetched_at=later)


# Cost


def test_a_repeated_read_costs_one_index_per_month_and_one_read_per_thousand_documents(
    storage: Storage, backend: FirestoreBackend
) -> None:
    charges = Charges()
    charged = backend.through(charges)
    snapshots, _ = fill_all(storage)
    years = len({day.year for day in DAYS})
    expected = facts_of(snapshots)
    assert metadata(charged) == expected
    assert charges.reads["snapshots"] >= len(snapshots)
    assert charges.writes == {"registers": len(MONTHS)}
    charges.reset()
    assert metadata(charged) == expected
    assert charges.reads["snapshots"] == 2 + 2 * years  # first and last; stamps and count of each year
    assert charges.reads["registers"] == 21  # the months from the first to the last
    assert not charges.writes

    replaced = newer(snapshots[DAYS[2], "F"])
    charges.reset()
    assert charged.snapshots.put(replaced)
    assert charges.writes == {"snapshots": 1}, "A write does not write an index."
    charges.reset()
    assert metadata(charged) == facts_of({**snapshots, (DAYS[2], "F"): replaced})
    months_of_2023 = 12
    assert charges.reads["snapshots"] == 2 + 2 * years + 2 * months_of_2023 + 2 * len(DISTRICTS)
    assert charges.writes == {"registers": 1}


# Correctness


def test_an_index_that_is_missing_damaged_old_or_of_another_month_is_replaced(
    storage: Storage, backend: Backend
) -> None:
    snapshots, _ = fill_all(storage)
    assert metadata(storage) == facts_of(snapshots)
    stored = {document.id: document.to_dict() for document in collection(backend, "registers").get()}
    old = stored["snapshots_2023-02"]
    replaced = newer(snapshots[DAYS[2], "F"])
    storage.snapshots.put(replaced)
    expected = facts_of({**snapshots, (DAYS[2], "F"): replaced})
    assert metadata(storage) == expected

    index = collection(backend, "registers").document("snapshots_2023-02")
    correct = index.get().to_dict()
    of_other_documents = {name: stored[name] for name in ("snapshots_2023-01", "results_2023-02") if name in stored}
    for other in [
        old,
        *of_other_documents.values(),
        {**correct, "body": b"damaged"},
        {**correct, "body": correct["body"][:-5]},
    ]:
        index.set(other)
        assert metadata(storage) == expected
        assert index.get().to_dict() == correct, "The index is replaced."
    index.delete()
    assert metadata(storage) == expected
    assert index.get().to_dict() == correct


def test_documents_that_another_program_deletes_disappear_from_the_metadata(storage: Storage, backend: Backend) -> None:
    snapshots, _ = fill_all(storage)
    assert metadata(storage) == facts_of(snapshots)
    collection(backend, "snapshots").document(f"{DAYS[2]}_F").delete()
    del snapshots[DAYS[2], "F"]
    assert metadata(storage) == facts_of(snapshots)
    for key in [key for key in snapshots if key[0] in DAYS[1:4]]:
        collection(backend, "snapshots").document(f"{key[0]}_{key[1]}").delete()
        del snapshots[key]
    for _ in range(2):
        assert metadata(storage) == facts_of(snapshots)


def test_documents_without_a_stamp_are_read_and_their_month_gets_no_index(storage: Storage, backend: Backend) -> None:
    """An older version of the service writes them, earlier or at the same time."""
    from google.cloud.firestore import DELETE_FIELD

    snapshots, _ = fill_all(storage)
    stamped = {key: snapshot for key, snapshot in snapshots.items() if key[0] != DAYS[2]}
    for day, district in snapshots.keys() - stamped.keys():
        collection(backend, "snapshots").document(f"{day}_{district}").update({"stamp": DELETE_FIELD})
    for _ in range(2):
        assert metadata(storage) == facts_of(snapshots)
    assert not collection(backend, "registers").document("snapshots_2023-02").get().exists
    for snapshot in snapshots.values():
        if snapshot.date == DAYS[2]:
            storage.snapshots.put(newer(snapshot))
    now = {key: newer(snapshot) if key[0] == DAYS[2] else snapshot for key, snapshot in snapshots.items()}
    assert metadata(storage) == facts_of(now)
    assert collection(backend, "registers").document("snapshots_2023-02").get().exists

    collection(backend, "snapshots").document(f"{DAYS[0]}_F").update({"stamp": DELETE_FIELD, "about.is_final": True})
    found = [facts.is_final for facts in metadata(storage) if (facts.date, facts.district) == (DAYS[0], "F")]
    assert found == [True]


# Events between two calls


def each_call(interceptor: CallInterceptor, action: Callable[[], None], *, is_after: bool) -> Iterator[int]:
    """Yield once for each call of the body of the loop: the action runs at the first call, then at the second."""
    call = 0
    while True:
        interceptor.at(call, action, is_after=is_after)
        yield call
        if not interceptor.was_reached:
            return
        call += 1


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_a_reader_that_is_killed_between_any_two_calls_leaves_no_wrong_index(
    storage: Storage, intercepted: tuple[CallInterceptor, Storage], is_after: bool
) -> None:
    interceptor, reader = intercepted
    snapshots, _ = fill_all(storage)

    def kill() -> None:
        raise Killed

    deaths = 0
    for _ in each_call(interceptor, kill, is_after=is_after):
        changed = newer(snapshots[DAYS[deaths % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        try:
            found = metadata(reader)
        except Killed:
            deaths += 1
        else:
            assert found == facts_of(snapshots)
        assert metadata(storage) == facts_of(snapshots)
    assert deaths > 15


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_a_write_between_any_two_calls_of_a_reader_is_seen_by_the_next_reader(
    storage: Storage, intercepted: tuple[CallInterceptor, Storage], is_after: bool
) -> None:
    """The interrupted reader returns the state before or after the write."""
    interceptor, reader = intercepted
    snapshots, _ = fill_all(storage)
    written: list[Snapshots] = []

    def write() -> None:
        day, district = DAYS[len(written) % len(DAYS)], DISTRICTS[len(written) % len(DISTRICTS)]
        changed = newer(snapshots[day, district])
        assert storage.snapshots.put(changed)
        written.append(dict(snapshots))
        snapshots[day, district] = changed

    for call in each_call(interceptor, write, is_after=is_after):
        changed = newer(snapshots[DAYS[call % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        before = dict(snapshots)
        assert metadata(reader) in (facts_of(before), facts_of(snapshots))
        assert metadata(storage) == facts_of(snapshots)
    assert len(written) > 15


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_after", [False, True], ids=["before a call", "after a call"])
def test_two_concurrent_readers_both_return_the_stored_state(
    storage: Storage, intercepted: tuple[CallInterceptor, Storage], is_after: bool
) -> None:
    """Both find that a month has changed, and both write its index."""
    interceptor, reader = intercepted
    snapshots, _ = fill_all(storage)
    reads = 0

    def read() -> None:
        nonlocal reads
        reads += 1
        assert metadata(storage) == facts_of(snapshots)

    for call in each_call(interceptor, read, is_after=is_after):
        changed = newer(snapshots[DAYS[call % len(DAYS)], "01"])
        assert storage.snapshots.put(changed)
        snapshots[changed.date, "01"] = changed
        assert metadata(reader) == facts_of(snapshots)
        assert metadata(storage) == facts_of(snapshots)
    assert reads > 15


def test_a_reader_does_not_retry_the_write_of_an_index(storage: Storage, backend: FirestoreBackend) -> None:
    snapshots, _ = fill_all(storage)
    injector = FaultInjector()
    injector.fail_first(-1, Fault(grpc.StatusCode.UNAVAILABLE), "Commit")
    assert metadata(backend.through(injector)) == facts_of(snapshots)
    assert injector.injected == {"Commit": len(MONTHS)}, "Each index is written once."
    assert not collection(backend, "registers").get()
    assert metadata(storage) == facts_of(snapshots)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("seed", range(4))
def test_the_metadata_equals_the_stored_documents_after_any_sequence_of_events(
    storage: Storage, backend: Backend, intercepted: tuple[CallInterceptor, Storage], seed: int
) -> None:
    interceptor, reader = intercepted
    rng = random.Random(seed)
    snapshots: Snapshots = {}
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

    def keep_indexes() -> None:
        kept.extend((document.id, document.to_dict()) for document in collection(backend, "registers").get())

    def restore_an_old_index() -> None:
        if kept:
            name, value = rng.choice(kept)
            collection(backend, "registers").document(name).set(value)

    def delete_an_index() -> None:
        if kept:
            collection(backend, "registers").document(rng.choice(kept)[0]).delete()

    def kill_a_reader() -> None:
        def kill() -> None:
            raise Killed

        interceptor.at(rng.randrange(30), kill, is_after=rng.random() < 0.5)
        try:
            metadata(reader)
        except Killed:
            pass
        finally:
            interceptor.at(-1, lambda: None)

    events = [put, put, put, remove, keep_indexes, restore_an_old_index, delete_an_index, kill_a_reader]
    steps: list[str] = []
    for _ in range(60):
        action = rng.choice(events)
        action()
        steps.append(action.__name__)
        if rng.random() < 0.4:
            assert metadata(reader) == facts_of(snapshots), steps
    assert metadata(reader) == facts_of(snapshots), steps
