"""What is asked of Firestore at once, since each call is a way to Google and back."""

from __future__ import annotations

import pytest

from backfill.storage import Storage
from tests.contract.backends import FirestoreBackend
from tests.contract.test_firestore_failures import Trouble
from tests.factories import DAY, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ["firestore"], indirect=True)


def test_several_snapshots_of_a_date_are_one_call(storage: Storage, backend: FirestoreBackend) -> None:
    """R2.3: an analytics job asks for those of a bundle together."""
    snapshots = {district: SnapshotFactory.build(district=district) for district in ("01", "02", "F")}
    for snapshot in snapshots.values():
        storage.snapshots.put(snapshot)
    trouble, calls = Trouble(), list[str]()
    trouble.choose = calls.append
    found = backend.through(trouble).snapshots.get_several(DAY, [*snapshots, "77"])
    assert found == snapshots
    assert calls == ["BatchGetDocuments"]
