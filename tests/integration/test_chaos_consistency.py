"""The checker of the chaos campaign reports each kind of damage, and nothing for an undamaged job."""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from google.cloud import firestore

from backfill.domain import Job, LimiterReport, Outcome, OutcomeKind
from backfill.engine.job_manager import JobManager
from backfill.models import BackfillJob, Checkpoint, StoredSnapshot
from backfill.storage import Storage
from tests.chaos.consistency import Findings, Reader, check_consistency
from tests.chaos.firestore_reader import FirestoreReader
from tests.chaos.sql_reader import SqlReader
from tests.contract.backends import Backend, FirestoreBackend, OrmBackend, SqliteBackend
from tests.factories import NOW, JobFactory, PlanFactory, ProgressFactory, SnapshotFactory

PLAN = PlanFactory.build()


class Damage(ABC):
    """Damages the stored data of a job, in one kind of store."""

    reader: Reader

    def __init__(self, job: Job) -> None:
        self.job = job

    def found(self) -> Findings:
        return check_consistency(self.reader.read_job(str(self.job.id)))

    @abstractmethod
    def delete_a_segment(self) -> None: ...

    @abstractmethod
    def duplicate_a_segment(self) -> None: ...

    @abstractmethod
    def miscount_the_job(self) -> None: ...

    @abstractmethod
    def miscount_a_district(self) -> None: ...

    @abstractmethod
    def miscount_a_segment(self) -> None: ...

    @abstractmethod
    def delete_a_snapshot(self) -> None: ...


class SqlDamage(Damage):
    def __init__(self, job: Job, backend: OrmBackend) -> None:
        super().__init__(job)
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format_map({"PASSWORD": "", **backend.database})
        self.reader = SqlReader(
            f"sqlite:///{backend.database['NAME']}" if isinstance(backend, SqliteBackend) else url,
        )

    def delete_a_segment(self) -> None:
        Checkpoint.objects.filter(job_id=self.job.id, number=1).delete()

    def duplicate_a_segment(self) -> None:
        row = Checkpoint.objects.get(job_id=self.job.id, number=0)
        row.pk, row.number = None, 2
        row.save()

    def miscount_the_job(self) -> None:
        row = BackfillJob.objects.get(pk=self.job.id)
        row.progress["processed"] += 1
        row.save()

    def miscount_a_district(self) -> None:
        row = BackfillJob.objects.get(pk=self.job.id)
        row.detail["districts"]["F"][1] += 1
        row.save()

    def miscount_a_segment(self) -> None:
        Checkpoint.objects.filter(job_id=self.job.id, number=1).update(failed=1)

    def delete_a_snapshot(self) -> None:
        StoredSnapshot.objects.filter(district="F").first().delete()  # type: ignore[union-attr]


class FirestoreDamage(Damage):
    def __init__(self, job: Job, backend: FirestoreBackend) -> None:
        super().__init__(job)
        self.reader = FirestoreReader(backend.host, backend.project, backend.prefix)
        self._root = firestore.Client().collection(backend.prefix).document("v1")
        self._job = self._root.collection("jobs").document(str(job.id))

    def _segment(self, number: int) -> Any:
        return self._job.collection("segments").document(f"{number:07d}")

    def _repack(self, field: str, change: Callable[[Any], None]) -> None:
        value = json.loads(zlib.decompress(self._job.get().get(field)))
        change(value)
        self._job.update({field: zlib.compress(json.dumps(value).encode())})

    def delete_a_segment(self) -> None:
        self._segment(1).delete()

    def duplicate_a_segment(self) -> None:
        self._segment(2).set({**(self._segment(0).get().to_dict() or {}), "number": 2})

    def miscount_the_job(self) -> None:
        self._repack("body", lambda body: body["progress"].update(processed=PLAN.total_items + 1))

    def miscount_a_district(self) -> None:
        def change(detail: Any) -> None:
            detail["districts"]["F"][1] += 1

        self._repack("detail", change)

    def miscount_a_segment(self) -> None:
        self._segment(1).update({"failed": 1})

    def delete_a_snapshot(self) -> None:
        day = PLAN.days[0].date
        self._root.collection("snapshots").document(f"{day}_F").delete()

    # Data that only Firestore stores twice.

    def leave_the_slot_claimed(self) -> None:
        claim = {"job_id": str(self.job.id), "token": self.job.token, "is_held": True}
        self._root.collection("state").document("slot").set(claim)

    def leave_the_request_schedule_claimed(self) -> None:
        claim = {"job_id": str(self.job.id), "token": self.job.token, "is_held": True}
        self._root.collection("state").document("timeline").set(claim, merge=True)

    def set_the_query_field_to_running(self) -> None:
        self._job.update({"status": "running", "is_active": True})

    def remove_the_end(self) -> None:
        self._job.update({"ended_at": None})


@pytest.fixture
def damage(backend: Backend, storage: Storage) -> Damage:
    """Return the damage of a completed job with two segments."""
    new = JobFactory.build(progress=ProgressFactory.build(total_items=PLAN.total_items))
    storage.jobs.create(new, PLAN, displace=lambda _: None)
    for half, day in enumerate(PLAN.days):
        claim = JobManager(storage).claim(f"runner-{half}", NOW)
        assert claim is not None
        for item in day.items():
            storage.snapshots.put(SnapshotFactory.build(date=item.date, district=item.district), fence=claim.fence)
            claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])
        claim.record((), LimiterReport(), NOW)
        ended = claim.finish(NOW + timedelta(seconds=1))
    if isinstance(backend, FirestoreBackend):
        return FirestoreDamage(ended, backend)
    assert isinstance(backend, OrmBackend)
    return SqlDamage(ended, backend)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "firestore"], indirect=True)
def test_an_undamaged_job_has_no_violations(damage: Damage) -> None:
    found = damage.found()
    assert (found.settled, found.lost, found.duplicated, found.violations) == (PLAN.total_items, 0, 0, [])


@dataclass(frozen=True)
class ExpectedViolation:
    method: Callable[[Any], None]
    text: str
    lost: int = 0
    duplicated: int = 0


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "firestore"], indirect=True)
@pytest.mark.parametrize(
    "expected",
    [
        ExpectedViolation(Damage.delete_a_segment, "3 items of a completed job are not settled", lost=3),
        ExpectedViolation(Damage.duplicate_a_segment, "3 items are settled twice", duplicated=3),
        ExpectedViolation(Damage.miscount_the_job, "the counters of the job have 7 processed"),
        ExpectedViolation(Damage.miscount_a_district, "the counters of district F"),
        ExpectedViolation(Damage.miscount_a_segment, "the counts of segment 1"),
        ExpectedViolation(Damage.delete_a_snapshot, "1 items are settled as processed but not stored", lost=1),
    ],
    ids=lambda expected: expected.method.__name__,
)
def test_each_damage_is_reported(damage: Damage, expected: ExpectedViolation) -> None:
    getattr(damage, expected.method.__name__)()
    assert_reported(damage.found(), expected)


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
@pytest.mark.parametrize(
    "expected",
    [
        ExpectedViolation(FirestoreDamage.leave_the_slot_claimed, "the slot has the claim"),
        ExpectedViolation(FirestoreDamage.leave_the_request_schedule_claimed, "the request schedule has the claim"),
        ExpectedViolation(
            FirestoreDamage.set_the_query_field_to_running, "job {id} is completed, but its query field is running"
        ),
        ExpectedViolation(
            FirestoreDamage.remove_the_end, "job {id} is completed, which contradicts its end and expiry"
        ),
    ],
    ids=lambda expected: expected.method.__name__,
)
def test_contradicting_copies_in_firestore_are_reported(damage: Damage, expected: ExpectedViolation) -> None:
    expected.method(damage)
    assert_reported(damage.found(), expected, id=damage.job.id.hex)


def assert_reported(found: Findings, expected: ExpectedViolation, **names: str) -> None:
    assert (found.lost, found.duplicated) == (expected.lost, expected.duplicated)
    assert any(text.startswith(expected.text.format(**names)) for text in found.violations), found.violations
