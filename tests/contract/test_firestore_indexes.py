"""Every query of the Firestore adapter has its index. The emulator does not require indexes; Firestore does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from backfill.domain import SUMMARY, JobFilter, JobType, Segment, SnapshotFilter, Status
from backfill.storage import Storage
from tests.contract.backends import FirestoreBackend
from tests.contract.test_job_storage import CALLS, created
from tests.factories import DAY, NOW, OutcomeFactory

FILE = json.loads((Path(__file__).resolve().parents[2] / "firestore.indexes.json").read_text())

Shape = tuple[str, frozenset[str], tuple[tuple[str, str], ...]]
"""The collection of a query, the fields that it compares for equality, and its order (field, direction)."""

ASCENDING, DESCENDING = "ASCENDING", "DESCENDING"


def shape_of(query: Any, summed: tuple[str, ...] = ()) -> Shape:
    """Return the shape of a query. A sum over it needs an index that also contains the summed field."""
    from google.cloud.firestore_v1.types import StructuredQuery as Q

    where = query.where
    filters = (
        [each.field_filter for each in where.composite_filter.filters]
        if "composite_filter" in where
        else [where.field_filter]
        if "field_filter" in where
        else []
    )
    of_equality = {Q.FieldFilter.Operator.EQUAL, Q.FieldFilter.Operator.IN}
    equal = frozenset(each.field.field_path for each in filters if each.op in of_equality)
    compared = [each.field.field_path for each in filters if each.op not in of_equality]
    order = tuple(
        (each.field.field_path, Q.Direction(each.direction).name)
        for each in query.order_by
        if each.field.field_path != "__name__"  # the last field of every index
    )
    assert {name for name, _ in order[:1]} >= set(compared), "A range filter needs an order by the same field."
    return query.from_[0].collection_id, equal, (*order, *((name, ASCENDING) for name in summed))


def is_covered(shape: Shape) -> bool:
    """Say whether an index serves the query.

    Firestore indexes each single field in both directions unless it is exempted. Equality alone needs no other index.
    """
    collection, equal, order = shape
    exempted = {each["fieldPath"] for each in FILE["fieldOverrides"] if each["collectionGroup"] == collection}
    if (equal | {name for name, _ in order}) & exempted:
        return False
    if not order or (not equal and len(order) == 1):
        return True
    for index in FILE["indexes"]:
        fields = [(each["fieldPath"], each["order"]) for each in index["fields"]]
        first, rest = fields[: len(equal)], fields[len(equal) :]
        if index["collectionGroup"] == collection and {name for name, _ in first} == equal and tuple(rest) == order:
            return True
    return False


@dataclass
class Recorder(grpc.UnaryStreamClientInterceptor):
    """A gRPC interceptor that records the shape of each query."""

    shapes: set[Shape] = field(default_factory=set)

    def intercept_unary_stream(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Record queries and aggregations. Reads of documents by name need no index."""
        if details.method.endswith("/RunAggregationQuery"):
            aggregation_query = request.structured_aggregation_query
            summed = [each.sum.field.field_path for each in aggregation_query.aggregations if "sum" in each]
            self.shapes.add(shape_of(aggregation_query.structured_query, tuple(summed)))
        elif details.method.endswith("/RunQuery"):
            self.shapes.add(shape_of(request.structured_query))
        return continuation(details, request)


@pytest.fixture
def recorder(storage: Storage, backend: FirestoreBackend) -> tuple[Recorder, Storage]:
    recorder = Recorder()
    return recorder, backend.through(recorder)


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_every_query_has_an_index_and_every_index_has_a_query(recorder: tuple[Recorder, Storage]) -> None:
    """Every method of the ports is called, with every combination of filters."""
    recorded, storage = recorder
    for name, call in CALLS.items():
        if name not in {"jobs.update", "jobs.plan"}:  # there is no such job
            call(storage)
    for statuses, types, since, until in product(
        ([], [Status.FAILED]), ([], [JobType.DATA_COLLECTION]), (None, NOW), (None, NOW + timedelta(days=1))
    ):
        wanted = JobFilter(
            statuses=frozenset(statuses), job_types=frozenset(types), created_from=since, created_to=until
        )
        storage.jobs.page(wanted, limit=1, offset=0)
        storage.jobs.page(wanted, limit=1, offset=0, after=(NOW, uuid4()))
        storage.jobs.page(replace(wanted, created_by="ann", text="x"), limit=1, offset=0)
    storage.jobs.page(JobFilter(retry_of=frozenset({uuid4()})), limit=1, offset=0)
    job = created(storage) if storage.jobs.active() is None else storage.jobs.active()
    assert job is not None
    for first, last, district in product((None, DAY), (None, DAY), ("", SUMMARY)):
        of_range = SnapshotFilter(first=first, last=last, district=district)
        storage.snapshots.page(of_range, limit=1, offset=0)
        storage.snapshots.page(of_range, limit=1, offset=0, after=(DAY, "01"))
    assert len(list(storage.snapshots.metadata(date.min, date.max))) == 1
    assert len(list(storage.results.metadata(date.min, date.max))) == 1
    storage.audit.page(job.id, limit=1, offset=0)
    storage.audit.page(None, limit=1, offset=0, after=(NOW, uuid4()))
    storage.audit.page(job.id, limit=1, offset=0, after=(NOW, uuid4()))
    storage.jobs.update(job.id, lambda held: held.cancel_requested(NOW))
    storage.jobs.delete_finished(NOW + timedelta(days=1))

    assert len(recorded.shapes) > 15
    assert [shape for shape in recorded.shapes if not is_covered(shape)] == []
    queries = {(collection, equal, order) for collection, equal, order in recorded.shapes}
    for index in FILE["indexes"]:
        fields = [(each["fieldPath"], each["order"]) for each in index["fields"]]
        values = {
            (index["collectionGroup"], frozenset(name for name, _ in fields[:equal]), tuple(fields[equal:]))
            for equal in range(len(fields))
        }
        assert values & queries, f"No query needs the index {index}."


def test_a_query_without_its_index_is_distinguished_from_a_query_that_needs_none() -> None:
    assert is_covered(("jobs", frozenset(), (("created_at", DESCENDING),)))
    assert is_covered(("jobs", frozenset({"is_active"}), ()))
    assert is_covered(("audit", frozenset({"job_id"}), (("at", DESCENDING),)))
    assert not is_covered(("audit", frozenset({"job_id"}), (("at", ASCENDING),)))
    assert not is_covered(("audit", frozenset({"operator"}), (("at", DESCENDING),)))
    assert not is_covered(("snapshots", frozenset(), (("about", ASCENDING),))), "The field is exempted."
    assert is_covered(("snapshots", frozenset(), (("day", ASCENDING), ("stamp", ASCENDING)))), "A sum of stamps."
    assert not is_covered(("jobs", frozenset(), (("created_at", ASCENDING), ("stamp", ASCENDING))))


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_the_ttl_policies_keep_plan_and_segments_for_as_long_as_their_job(
    storage: Storage, backend: FirestoreBackend
) -> None:
    """R1.7: for any retention of ended jobs."""
    from google.cloud import firestore

    from backfill.storage.firestore import storage_over
    from backfill.storage.firestore.client import Connection

    storage_with_long_retention = storage_over(Connection(), prefix=backend.prefix, retention=timedelta(days=1000))
    job = created(storage_with_long_retention)
    segment = Segment(0, (OutcomeFactory.build(),))
    storage_with_long_retention.jobs.update(
        job.id, lambda held: held.cancel_requested(NOW + timedelta(days=300)), segment=segment
    )
    root = firestore.Client().collection(backend.prefix).document("v1")
    stored = root.collection("jobs").document(str(job.id))
    plan = root.collection("plans").document(str(job.id))
    kept_until = stored.get().get("expires_at")
    for part in (plan, stored.collection("segments").document("0000000")):
        assert part.get().get("expires_at") > kept_until
