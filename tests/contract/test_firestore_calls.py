"""The number of calls to Firestore. Each call is a round trip to Google."""

from __future__ import annotations

import pytest

from backfill.storage import Storage
from tests.contract.backends import FirestoreBackend
from tests.contract.test_firestore_failures import FaultInjector
from tests.factories import DAY, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)


def test_several_snapshots_of_a_date_are_read_in_one_call(storage: Storage, backend: FirestoreBackend) -> None:
    """R2.3: an analytics job reads the snapshots of a bundle together."""
    snapshots = {district: SnapshotFactory.build(district=district) for district in ("01", "02", "F")}
    for snapshot in snapshots.values():
        storage.snapshots.put(snapshot)
    injector, calls = FaultInjector(), list[str]()
    injector.choose = calls.append
    found = backend.through(injector).snapshots.get_several(DAY, [*snapshots, "77"])
    assert found == snapshots
    assert calls == ["BatchGetDocuments"]
