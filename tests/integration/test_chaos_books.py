"""The campaign's checker finds what it is there to find: each damage is told by name, and a whole job gets no word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from backfill.domain import Job, LimiterReport, Outcome, OutcomeKind
from backfill.manager import Manager
from backfill.models import BackfillJob, Checkpoint, StoredSnapshot
from backfill.storage import Storage
from tests.chaos.books import Books
from tests.contract.backends import ORM_BACKENDS, Backend, OrmBackend, SqliteBackend
from tests.factories import NOW, JobFactory, PlanFactory, ProgressFactory, SnapshotFactory

pytestmark = pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)

PLAN = PlanFactory.build()


@pytest.fixture
def books(backend: Backend) -> Books:
    assert isinstance(backend, OrmBackend)
    database = backend.database
    if isinstance(backend, SqliteBackend):
        return Books(f"sqlite:///{database['NAME']}")
    return Books("postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database))


@pytest.fixture
def job(storage: Storage) -> Job:
    """A completed job, in two segments."""
    new = JobFactory.build(progress=ProgressFactory.build(total_items=PLAN.total_items))
    storage.jobs.create(new, PLAN, displace=lambda _: None)
    for half, day in enumerate(PLAN.days):
        claim = Manager(storage.jobs).claim(f"runner-{half}", NOW)
        assert claim is not None
        for item in day.items():
            storage.snapshots.put(SnapshotFactory.build(date=item.date, district=item.district), fence=claim.fence)
            claim.note([Outcome(item, OutcomeKind.PROCESSED, NOW, attempts=1)])
        claim.record((), LimiterReport(), NOW)
        ended = claim.finish(NOW + timedelta(seconds=1))
    return ended


def test_a_whole_job_gets_no_word(job: Job, books: Books) -> None:
    found = books.examined(str(job.id))
    assert (found.settled, found.lost, found.doubled, found.wrong) == (PLAN.total_items, 0, 0, [])


def lose_a_segment(job: Job) -> None:
    Checkpoint.objects.filter(job_id=job.id, number=1).delete()


def double_a_segment(job: Job) -> None:
    row = Checkpoint.objects.get(job_id=job.id, number=0)
    row.pk, row.number = None, 2
    row.save()


def miscount_the_job(job: Job) -> None:
    row = BackfillJob.objects.get(pk=job.id)
    row.progress["processed"] += 1
    row.save()


def miscount_a_district(job: Job) -> None:
    row = BackfillJob.objects.get(pk=job.id)
    row.detail["districts"]["F"][1] += 1
    row.save()


def miscount_a_segment(job: Job) -> None:
    Checkpoint.objects.filter(job_id=job.id, number=1).update(failed=1)


def lose_a_snapshot(job: Job) -> None:
    StoredSnapshot.objects.filter(district="F").first().delete()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("damage", "lost", "doubled", "word"),
    [
        (lose_a_segment, 3, 0, "3 items of a completed job are not settled"),
        (double_a_segment, 0, 3, "3 items are settled twice"),
        (miscount_the_job, 0, 0, "the counters of the job say 7 processed"),
        (miscount_a_district, 0, 0, "the counters of district F"),
        (miscount_a_segment, 0, 0, "the counts of segment 1"),
        (lose_a_snapshot, 1, 0, "1 items are settled as processed, and of them nothing is stored"),
    ],
)
def test_each_damage_is_told(
    job: Job, books: Books, damage: Callable[[Job], None], lost: int, doubled: int, word: str
) -> None:
    damage(job)
    found = books.examined(str(job.id))
    assert (found.lost, found.doubled) == (lost, doubled)
    assert any(sentence.startswith(word) for sentence in found.wrong), found.wrong
