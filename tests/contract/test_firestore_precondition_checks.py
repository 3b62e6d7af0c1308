"""What is stored under a claim is held to it by the server, whether this can verify a document or not."""

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
from tests.contract.test_firestore_failures import Fault, Refusal, Trouble
from tests.contract.test_job_storage import created
from tests.factories import NOW, ResultFactory, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)


def verifies(write: types.Write) -> bool:
    return not write.update.name and not write.delete


@dataclass
class Commits(grpc.UnaryUnaryClientInterceptor):
    """Keeps what is committed, and does with verifications what a server of some kind would."""

    kind: str
    sent: list[types.Write] = field(default_factory=list)

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if not details.method.endswith("/Commit"):
            return go_on(details, request)
        self.sent += request.writes
        if any(map(verifies, request.writes)):
            if self.kind == "refuses":
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT)
            if self.kind == "overlooks":
                request.writes = [write for write in request.writes if not verifies(write)]
            if self.kind == "takes any version":
                for write in filter(verifies, request.writes):
                    write.current_document = types.Precondition(exists=True)
        return go_on(details, request)


Open = Callable[[str], tuple[Trouble, Commits, Storage]]


@pytest.fixture
def opened(storage: Storage, backend: FirestoreBackend) -> Open:
    """A storage before one of the SERVERS, over an empty store."""

    def opened(kind: str) -> tuple[Trouble, Commits, Storage]:
        trouble, commits = Trouble(), Commits(kind)
        return trouble, commits, backend.through(trouble, commits)

    return opened


def claimed(storage: Storage) -> Fence:
    job = created(storage)
    return Fence(job.id, storage.jobs.update(job.id, lambda held: held.claimed("runner", NOW)).after.token)


SERVERS = {"verifies": 1, "refuses": 2, "overlooks": 2, "takes any version": 2}
"""What a document that is stored under a claim is charged as, in writes."""

WRITES: dict[str, Callable[[Storage, Fence], object]] = {
    "snapshot": lambda storage, fence: storage.snapshots.put(SnapshotFactory.build(), fence=fence),
    "result": lambda storage, fence: storage.results.put([ResultFactory.build()], fence=fence),
}


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize(("server", "charged"), SERVERS.items())
def test_what_is_stored_under_a_claim_is_one_write_where_the_server_verifies(
    opened: Open, server: str, charged: int, kind: str
) -> None:
    _, commits, storage = opened(server)
    fence = claimed(storage)
    WRITES[kind](storage, fence)
    commits.sent.clear()
    WRITES[kind](storage, fence)  # a snapshot of the same content supersedes nothing, and is not written
    assert [*map(verifies, commits.sent)].count(False) == (0 if kind == "snapshot" else charged)
    commits.sent.clear()
    storage.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)
    assert [*map(verifies, commits.sent)].count(False) == charged
    assert [*map(verifies, commits.sent)].count(True) == (charged == 1)


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("server", SERVERS)
def test_a_writer_that_freezes_before_its_commit_keeps_nobody_from_its_job_and_is_refused(
    opened: Open, storage: Storage, server: str, kind: str
) -> None:
    """R1.3: Firestore would keep the locks of a transaction for a minute, four times as long as a lease."""
    trouble, commits, freezing = opened(server)
    fence = claimed(storage)
    freezing.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)  # the server is known from here on
    arrived, thawed = threading.Event(), threading.Event()

    def freeze(name: str) -> Fault | None:
        if name == "Commit":
            arrived.set()
            thawed.wait(30)
        return None

    trouble.choose = freeze
    with ThreadPoolExecutor(1) as frozen:
        written = frozen.submit(WRITES[kind], freezing, fence)
        try:
            assert arrived.wait(10)
            began = time.monotonic()
            taken = storage.jobs.update(
                fence.job_id, lambda held: held.claimed("the next", NOW + timedelta(minutes=1))
            ).after
            assert time.monotonic() - began < 1
        finally:
            thawed.set()
        with pytest.raises(LeaseLost):
            written.result(30)
    assert taken.token == fence.token + 1
    snapshot, result = SnapshotFactory.build(), ResultFactory.build()
    assert storage.snapshots.get(snapshot.date, snapshot.district) is None
    assert storage.results.get(result.date, result.district) is None
    assert commits.sent


def test_a_server_in_trouble_is_asked_again_whether_it_verifies(opened: Open) -> None:
    trouble, commits, storage = opened("verifies")
    fence = claimed(storage)
    trouble.first(2, Fault(grpc.StatusCode.UNAVAILABLE), "Commit")
    assert storage.snapshots.put(SnapshotFactory.build(), fence=fence)
    assert trouble.met == {"Commit": 2}
    commits.sent.clear()
    assert storage.snapshots.put(SnapshotFactory.build(district="02"), fence=fence)
    assert len([write for write in commits.sent if not verifies(write)]) == 1
