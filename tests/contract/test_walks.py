"""Walks over long lists by key, on every storage adapter, while rows are stored and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import count
from random import Random
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from backfill.domain import SUMMARY, AuditEntry, Job, JobFilter, JobOutcome, JobType, Snapshot, SnapshotFilter, Status
from backfill.storage import Page, Storage
from tests.contract.test_job_storage import created
from tests.factories import DAY, NOW, AuditEntryFactory, JobFactory, SnapshotFactory

T = TypeVar("T")
DISTRICTS = ("01", "02", "117", "F", SUMMARY)


def snapshot_key(snapshot: Snapshot) -> tuple[date, str]:
    return snapshot.date, snapshot.district


def job_key(job: Job) -> tuple[Any, UUID]:
    return job.created_at, job.id


def entry_key(entry: AuditEntry) -> tuple[Any, UUID]:
    return entry.at, entry.id


def walk(
    page: Callable[..., Page[T]], key_of: Callable[[T], Any], *, limit: int, between: Callable[[], object]
) -> list[T]:
    """Read all pages, each behind the key of the last row before; call `between` after each page."""
    rows: list[T] = []
    after = None
    for _ in count():
        found = page(limit=limit, offset=0, after=after).rows
        rows += found
        if len(found) < limit:
            return rows
        after = key_of(found[-1])
        between()
    raise AssertionError


def put(storage: Storage, *keys: tuple[date, str]) -> None:
    for day, district in keys:
        storage.snapshots.put(SnapshotFactory.build(date=day, district=district))


@pytest.mark.parametrize("limit", [1, 4])
def test_a_walk_over_snapshots_has_each_key_once_while_others_are_stored(storage: Storage, limit: int) -> None:
    """Pages by offset repeat a key for each snapshot that is stored before it."""
    random = Random(7)
    free = [(DAY - timedelta(days=n), district) for n in range(6) for district in DISTRICTS]
    random.shuffle(free)
    stored, free = free[:12], free[12:]
    put(storage, *stored)
    whole = [snapshot_key(s) for s in storage.snapshots.page(SnapshotFilter(), limit=100, offset=0).rows]

    def store_another() -> None:
        if free:
            put(storage, free.pop())

    rows = walk(
        lambda **paging: storage.snapshots.page(SnapshotFilter(), **paging),
        snapshot_key,
        limit=limit,
        between=store_another,
    )
    keys = [snapshot_key(row) for row in rows]
    assert [key for key in keys if key in whole] == whole
    assert len(set(keys)) == len(keys)
    everything = [snapshot_key(s) for s in storage.snapshots.page(SnapshotFilter(), limit=100, offset=0).rows]
    assert keys == [key for key in everything if key in keys], "The order is that of the list."


def test_a_walk_over_filtered_snapshots_has_the_matching_keys(storage: Storage) -> None:
    days = [DAY - timedelta(days=n) for n in range(4)]
    put(storage, *((day, district) for day in days for district in ("01", "F", SUMMARY)))
    for wanted in (
        SnapshotFilter(district="F"),
        SnapshotFilter(first=days[2], last=days[1]),
        SnapshotFilter(first=days[2], district=SUMMARY),
        SnapshotFilter(last=days[2], district="01"),
    ):
        whole = storage.snapshots.page(wanted, limit=100, offset=0).rows
        assert whole
        rows = walk(
            lambda wanted=wanted, **paging: storage.snapshots.page(wanted, **paging),
            snapshot_key,
            limit=2,
            between=lambda: None,
        )
        assert rows == list(whole)


def test_a_page_behind_a_key_that_is_not_stored_begins_at_the_next_one(storage: Storage) -> None:
    put(storage, (DAY - timedelta(days=1), "02"), (DAY, "02"), (DAY, "03"))

    def behind(*after: Any, offset: int = 0) -> tuple[list[tuple[date, str]], int]:
        page = storage.snapshots.page(SnapshotFilter(), limit=5, offset=offset, after=after)
        return [snapshot_key(row) for row in page.rows], page.total

    assert behind(DAY, "01") == ([(DAY, "02"), (DAY, "03")], 3)
    assert behind(DAY, "01", offset=1) == ([(DAY, "03")], 3)
    assert behind(date.min, "01")[0] == [(DAY - timedelta(days=1), "02"), (DAY, "02"), (DAY, "03")]
    assert behind(DAY, "03") == ([], 3)
    assert behind(date.max, "01") == ([], 3)


def put_jobs(storage: Storage, hours: Sequence[int], **fields: Any) -> list[Job]:
    jobs = [
        JobFactory.build(
            **{"status": Status.COMPLETED, "ended_at": NOW, "created_at": NOW + timedelta(hours=n), **fields}
        )
        for n in hours
    ]
    for job in jobs:
        created(storage, job)
    return jobs


@pytest.mark.parametrize("limit", [1, 3])
def test_a_walk_over_jobs_has_each_job_once_while_others_are_created(storage: Storage, limit: int) -> None:
    """Jobs of the same instant are distinguished by their ids."""
    jobs = put_jobs(storage, [0, 0, 0, 0, 1, 2, 2])
    newest_first = [job.id for job in sorted(jobs, key=job_key, reverse=True)]
    hours = iter(range(3, 100))
    rows = walk(
        lambda **paging: storage.jobs.page(JobFilter(), **paging),
        job_key,
        limit=limit,
        between=lambda: put_jobs(storage, [next(hours)]),
    )
    assert [row.id for row in rows] == newest_first


def test_a_walk_over_jobs_continues_behind_a_job_that_was_removed(storage: Storage) -> None:
    kept, removed = put_jobs(storage, [0, 1]), put_jobs(storage, [2], ended_at=NOW - timedelta(days=60))
    last = storage.jobs.page(JobFilter(), limit=1, offset=0).rows[-1]
    assert last.id == removed[0].id
    storage.jobs.delete_finished(NOW - timedelta(days=30))
    page = storage.jobs.page(JobFilter(), limit=5, offset=0, after=job_key(last))
    assert ([row.id for row in page.rows], page.total) == ([kept[1].id, kept[0].id], 2)


def test_a_walk_over_filtered_jobs_has_the_matching_jobs(storage: Storage) -> None:
    parent = uuid4()
    put_jobs(storage, range(3), created_by="ann", retry_of=parent)
    put_jobs(storage, range(3), status=Status.FAILED)
    put_jobs(storage, range(2), job_type=JobType.ANALYTICS_GENERATION)
    for wanted, total in (
        (JobFilter(statuses=frozenset({Status.FAILED, Status.CANCELLED})), 3),
        (JobFilter(job_types=frozenset({JobType.ANALYTICS_GENERATION})), 2),
        (JobFilter(created_from=NOW + timedelta(hours=1)), 5),
        (JobFilter(created_to=NOW + timedelta(hours=1)), 3),
        (JobFilter(created_by="ann"), 3),
        (JobFilter(outcomes=frozenset({JobOutcome.SUCCEEDED})), 5),
        (JobFilter(retry_of=frozenset({parent})), 3),
    ):
        whole = [job.id for job in storage.jobs.page(wanted, limit=100, offset=0).rows]
        assert len(whole) == total, wanted
        rows = walk(
            lambda wanted=wanted, **paging: storage.jobs.page(wanted, **paging),
            job_key,
            limit=2,
            between=lambda: None,
        )
        assert [row.id for row in rows] == whole, wanted
        behind = storage.jobs.page(wanted, limit=2, offset=1, after=job_key(rows[0]))
        assert ([row.id for row in behind.rows], behind.total) == (whole[2:4], total), wanted


@pytest.mark.parametrize("limit", [1, 3])
def test_a_walk_over_the_audit_log_has_each_entry_once_while_others_are_appended(storage: Storage, limit: int) -> None:
    mine = uuid4()
    entries = [
        AuditEntryFactory.build(at=NOW + timedelta(seconds=n // 3), job_id=(mine, None)[n % 2]) for n in range(8)
    ]
    storage.audit.add(entries)
    seconds = iter(range(10, 100))
    newest_first = sorted(entries, key=entry_key, reverse=True)
    for job_id, expected in ((None, newest_first), (mine, [entry for entry in newest_first if entry.job_id == mine])):
        rows = walk(
            lambda job_id=job_id, **paging: storage.audit.page(job_id, **paging),
            entry_key,
            limit=limit,
            between=lambda: storage.audit.add(
                [AuditEntryFactory.build(at=NOW + timedelta(seconds=next(seconds)), job_id=uuid4())]
            ),
        )
        assert [row for row in rows if row in entries] == expected
        assert len({row.id for row in rows}) == len(rows)
