"""Every query of the Firestore adapter has its index. The emulator answers without; the service refuses."""

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
"""Of a query: its collection, the fields that it compares for equality, and those that it orders by, with the way."""

ASCENDING, DESCENDING = "ASCENDING", "DESCENDING"


def shape_of(query: Any, summed: tuple[str, ...] = ()) -> Shape:
    """Of a query, and of a sum over it: that is taken from an index which holds the summed field too."""
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
    assert {name for name, _ in order[:1]} >= set(compared), "What is compared by < or > is what it is ordered by."
    return query.from_[0].collection_id, equal, (*order, *((name, ASCENDING) for name in summed))


def is_covered(shape: Shape) -> bool:
    """One field is indexed by itself, both ways, where it is not exempted; equality alone needs no more than that."""
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
    """A gRPC interceptor that keeps the shape of each query which passes."""

    values: set[Shape] = field(default_factory=set)

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Of queries and counts; a read of documents has none."""
        if details.method.endswith("/RunAggregationQuery"):
            asked = request.structured_aggregation_query
            summed = [each.sum.field.field_path for each in asked.aggregations if "sum" in each]
            self.values.add(shape_of(asked.structured_query, tuple(summed)))
        elif details.method.endswith("/RunQuery"):
            self.values.add(shape_of(request.structured_query))
        return go_on(details, request)


@pytest.fixture
def recorder(storage: Storage, backend: FirestoreBackend) -> tuple[Recorder, Storage]:
    recorder = Recorder()
    return recorder, backend.through(recorder)


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_every_query_has_its_index_and_every_index_its_query(recorder: tuple[Recorder, Storage]) -> None:
    """Every call of both ports is made, with every choice of filters."""
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
        storage.jobs.page(replace(wanted, created_by="ann", text="x"), limit=1, offset=0)
    storage.jobs.page(JobFilter(retry_of=frozenset({uuid4()})), limit=1, offset=0)
    job = created(storage) if storage.jobs.active() is None else storage.jobs.active()
    assert job is not None
    for first, last, district in product((None, DAY), (None, DAY), ("", SUMMARY)):
        storage.snapshots.page(SnapshotFilter(first=first, last=last, district=district), limit=1, offset=0)
    assert len(list(storage.snapshots.metadata(date.min, date.max))) == 1
    assert len(list(storage.results.metadata(date.min, date.max))) == 1
    storage.audit.page(job.id, limit=1, offset=0)
    storage.jobs.update(job.id, lambda held: held.cancel_requested(NOW))
    storage.jobs.delete_finished(NOW + timedelta(days=1))

    assert len(recorded.values) > 15
    assert [shape for shape in recorded.values if not is_covered(shape)] == []
    asked = {(collection, equal, order) for collection, equal, order in recorded.values}
    for index in FILE["indexes"]:
        fields = [(each["fieldPath"], each["order"]) for each in index["fields"]]
        values = {
            (index["collectionGroup"], frozenset(name for name, _ in fields[:equal]), tuple(fields[equal:]))
            for equal in range(len(fields))
        }
        assert values & asked, f"No query needs the index {index}."


def test_a_query_without_its_index_is_told_from_one_that_needs_none() -> None:
    assert is_covered(("jobs", frozenset(), (("created_at", DESCENDING),)))
    assert is_covered(("jobs", frozenset({"is_active"}), ()))
    assert is_covered(("audit", frozenset({"job_id"}), (("at", DESCENDING),)))
    assert not is_covered(("audit", frozenset({"job_id"}), (("at", ASCENDING),)))
    assert not is_covered(("audit", frozenset({"operator"}), (("at", DESCENDING),)))
    assert not is_covered(("snapshots", frozenset(), (("about", ASCENDING),))), "It is exempted."
    assert is_covered(("snapshots", frozenset(), (("day", ASCENDING), ("stamp", ASCENDING)))), "A sum of stamps."
    assert not is_covered(("jobs", frozenset(), (("created_at", ASCENDING), ("stamp", ASCENDING))))


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_what_belongs_to_a_job_is_left_by_the_ttl_policies_for_as_long_as_the_job(
    storage: Storage, backend: FirestoreBackend
) -> None:
    """R1.7: however long ended jobs are kept."""
    from google.cloud import firestore

    from backfill.storage.firestore import storage_over
    from backfill.storage.firestore.client import Connection

    patient = storage_over(Connection(), prefix=backend.prefix, retention=timedelta(days=1000))
    job = created(patient)
    segment = Segment(0, (OutcomeFactory.build(),))
    patient.jobs.update(job.id, lambda held: held.cancel_requested(NOW + timedelta(days=300)), segment=segment)
    root = firestore.Client().collection(backend.prefix).document("v1")
    stored = root.collection("jobs").document(str(job.id))
    plan = root.collection("plans").document(str(job.id))
    kept_until = stored.get().get("expires_at")
    for belonging in (plan, stored.collection("segments").document("0000000")):
        assert belonging.get().get("expires_at") > kept_until
