"""The server rejects writes of a lost claim, whether it supports verification of a document or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.cloud.firestore_v1 import types

from backfill.errors import LeaseLost
from backfill.storage import Fence, Storage
from tests.contract.backends import FirestoreBackend
from tests.contract.test_firestore_failures import Fault, FaultInjector, RpcFailure
from tests.contract.test_job_storage import created
from tests.factories import NOW, ResultFactory, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)


def is_verification(write: types.Write) -> bool:
    return not write.update.name and not write.delete


@dataclass
class Commits(grpc.UnaryUnaryClientInterceptor):
    """Records what is committed, and handles verifications like a server of the given kind."""

    kind: str
    sent: list[types.Write] = field(default_factory=list)

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if not details.method.endswith("/Commit"):
            return continuation(details, request)
        self.sent += request.writes
        if any(map(is_verification, request.writes)):
            if self.kind == "refuses":
                raise RpcFailure(grpc.StatusCode.INVALID_ARGUMENT)
            if self.kind == "overlooks":
                request.writes = [write for write in request.writes if not is_verification(write)]
            if self.kind == "takes any version":
                for write in filter(is_verification, request.writes):
                    write.current_document = types.Precondition(exists=True)
        return continuation(details, request)


OpenStorage = Callable[[str], tuple[FaultInjector, Commits, Storage]]


@pytest.fixture
def opened(storage: Storage, backend: FirestoreBackend) -> OpenStorage:
    """Return a function that opens an empty storage on one of the SERVERS."""

    def opened(kind: str) -> tuple[FaultInjector, Commits, Storage]:
        injector, commits = FaultInjector(), Commits(kind)
        return injector, commits, backend.through(injector, commits)

    return opened


def claimed(storage: Storage) -> Fence:
    job = created(storage)
    return Fence(job.id, storage.jobs.update(job.id, lambda held: held.claimed("runner", NOW)).after.token)


SERVERS = {"verifies": 1, "refuses": 2, "overlooks": 2, "takes any version": 2}
"""How many writes are charged for a document that is stored under a claim."""

WRITES: dict[str, Callable[[Storage, Fence], object]] = {
    "snapshot": lambda storage, fence: storage.snapshots.put(SnapshotFactory.build(), fence=fence),
    "result": lambda storage, fence: storage.results.put([ResultFactory.build()], fence=fence),
}


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize(("server", "charged"), SERVERS.items())
def test_a_document_stored_under_a_claim_is_charged_once_if_the_server_verifies(
    opened: OpenStorage, server: str, charged: int, kind: str
) -> None:
    _, commits, storage = opened(server)
    fence = claimed(storage)
    WRITES[kind](storage, fence)
    commits.sent.clear()
    WRITES[kind](storage, fence)  # a snapshot with the same content is not written again
    assert [*map(is_verification, commits.sent)].count(False) == (0 if kind == "snapshot" else charged)
    commits.sent.clear()
    storage.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)
    assert [*map(is_verification, commits.sent)].count(False) == charged
    assert [*map(is_verification, commits.sent)].count(True) == (charged == 1)


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("server", SERVERS)
def test_a_writer_that_freezes_before_its_commit_does_not_block_a_takeover_and_is_refused(
    opened: OpenStorage, storage: Storage, server: str, kind: str
) -> None:
    """R1.3: Firestore keeps the locks of a transaction for a minute, which is four times as long as a lease."""
    injector, commits, freezing = opened(server)
    fence = claimed(storage)
    freezing.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)  # detects whether the server verifies
    arrived, thawed = threading.Event(), threading.Event()

    def freeze(name: str) -> Fault | None:
        if name == "Commit":
            arrived.set()
            thawed.wait(30)
        return None

    injector.choose = freeze
    with ThreadPoolExecutor(1) as frozen:
        written = frozen.submit(WRITES[kind], freezing, fence)
        try:
            assert arrived.wait(10)
            began = time.monotonic()
            successor = storage.jobs.update(
                fence.job_id, lambda held: held.claimed("the next", NOW + timedelta(minutes=1))
            ).after
            assert time.monotonic() - began < 1
        finally:
            thawed.set()
        with pytest.raises(LeaseLost):
            written.result(30)
    assert successor.token == fence.token + 1
    snapshot, result = SnapshotFactory.build(), ResultFactory.build()
    assert storage.snapshots.get(snapshot.date, snapshot.district) is None
    assert storage.results.get(result.date, result.district) is None
    assert commits.sent


def test_the_check_whether_a_server_verifies_is_repeated_after_a_failure(opened: OpenStorage) -> None:
    injector, commits, storage = opened("verifies")
    fence = claimed(storage)
    injector.fail_first(2, Fault(grpc.StatusCode.UNAVAILABLE), "Commit")
    assert storage.snapshots.put(SnapshotFactory.build(), fence=fence)
    assert injector.injected == {"Commit": 2}
    commits.sent.clear()
    assert storage.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)
    assert len([write for write in commits.sent if not is_verification(write)]) == 1
