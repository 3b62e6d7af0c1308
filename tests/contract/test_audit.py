"""The audit trail, and the sign that a worker is there: what every job storage promises of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from threading import Thread
from uuid import UUID, uuid4

import pytest

from backfill.domain import Actor, AuditAction, AuditEntry, Channel, Job, Plan, Status, StoredLimits
from backfill.errors import InvalidJobState, JobConflict, JobNotFound
from backfill.storage import Storage
from tests.factories import NOW, AuditEntryFactory, JobFactory, PlanFactory

FULL_ENTRY = AuditEntryFactory.build(
    at=NOW + timedelta(microseconds=1),
    actor=Actor("operator \u00e9", Channel.ADMIN),
    action=AuditAction.LOWERED_LIMITS,
    changes={
        "maxRequestsPerMinute": (60, 20),
        "backoffMultiplier": (2.5, 3),
        "targetDistricts": (None, ["01", "F"]),
        "skipExisting": (None, True),
    },
)


def created(storage: Storage, *entries: AuditEntry, job: Job | None = None) -> Job:
    return storage.jobs.create(
        job or JobFactory.build(), PlanFactory.build(), displace=lambda _: None, audit=lambda _: entries
    ).job


def trail(storage: Storage, job_id: UUID | None = None) -> list[AuditEntry]:
    return list(storage.audit.page(job_id, limit=100, offset=0).rows)


def test_an_entry_is_read_as_it_was_written(storage: Storage) -> None:
    created(storage, FULL_ENTRY)
    assert trail(storage) == [FULL_ENTRY]


def test_a_job_is_created_with_its_entries_or_not_at_all(storage: Storage) -> None:
    entry = AuditEntryFactory.build()
    created(storage, entry)
    with pytest.raises(JobConflict):
        created(storage, AuditEntryFactory.build())
    assert trail(storage) == [entry]


def test_who_displaces_a_job_is_told_which(storage: Storage) -> None:
    stale = created(storage)
    seen: list[Job | None] = []

    def audit(displaced: Job | None) -> list[AuditEntry]:
        seen.append(displaced)
        return [AuditEntryFactory.build(action=AuditAction.DISPLACED, job_id=displaced.id if displaced else None)]

    later = NOW + timedelta(hours=1)
    storage.jobs.create(
        JobFactory.build(), PlanFactory.build(), displace=lambda active: active.displaced(later), audit=audit
    )
    ended = seen[-1]
    assert ended is not None
    assert (ended.id, ended.status) == (stale.id, Status.FAILED)
    assert [entry.job_id for entry in trail(storage)] == [stale.id]


def test_no_plan_no_job_no_entry(storage: Storage) -> None:
    """What fails before the end of the transaction leaves nothing of it."""

    def audit(_: Job | None) -> list[AuditEntry]:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.create(JobFactory.build(), Plan(()), displace=lambda _: None, audit=audit)
    assert (trail(storage), storage.jobs.active()) == ([], None)


def test_a_change_is_written_with_its_entry_which_knows_before_and_after(storage: Storage) -> None:
    job = created(storage)
    entry = AuditEntryFactory.build(job_id=job.id)
    storage.jobs.update(
        job.id,
        lambda job: replace(job, status=Status.PAUSED),
        audit=lambda before, after: replace(entry, changes={"status": (str(before.status), str(after.status))}),
    )
    assert trail(storage) == [replace(entry, changes={"status": ("pending", "paused")})]


def test_what_changes_nothing_leaves_no_entry(storage: Storage) -> None:
    job = created(storage)
    storage.jobs.update(job.id, lambda job: job, audit=lambda *_: AuditEntryFactory.build())

    def refused(job: Job) -> Job:
        raise InvalidJobState(f"Job {job.id} stays.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, refused, audit=lambda *_: AuditEntryFactory.build())
    with pytest.raises(JobNotFound):
        storage.jobs.update(uuid4(), lambda job: job, audit=lambda *_: AuditEntryFactory.build())
    assert trail(storage) == []


def test_where_no_entry_can_be_made_nothing_changes(storage: Storage) -> None:
    job = created(storage)

    def audit(*_: object) -> AuditEntry:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, lambda job: replace(job, status=Status.PAUSED), audit=audit)
    with pytest.raises(InvalidJobState):
        storage.control.update_rate_limits(lambda limits: replace(limits, updated_by="somebody"), audit=audit)
    assert (trail(storage), storage.jobs.get(job.id)) == ([], job)
    assert storage.control.rate_limits() == StoredLimits()


def test_a_change_of_the_stored_limits_has_its_entry(storage: Storage) -> None:
    entry = AuditEntryFactory.build(job_id=None, action=AuditAction.CHANGED_LIMITS)
    seen: list[tuple[str, str]] = []

    def audit(before: StoredLimits, after: StoredLimits) -> AuditEntry:
        seen.append((before.updated_by, after.updated_by))
        return entry

    storage.control.update_rate_limits(lambda limits: replace(limits, updated_by="somebody"), audit=audit)
    assert (trail(storage), seen[-1]) == ([entry], ("", "somebody"))
    storage.control.update_rate_limits(lambda limits: limits, audit=lambda *_: AuditEntryFactory.build())
    assert trail(storage) == [entry]


def test_the_trail_comes_newest_first_in_pages_and_by_job(storage: Storage) -> None:
    mine, other = uuid4(), uuid4()
    entries = [
        AuditEntryFactory.build(at=NOW + timedelta(seconds=n), job_id=(mine, other, None)[n % 3]) for n in range(9)
    ]
    created(storage, *entries)
    newest_first = entries[::-1]
    assert trail(storage) == newest_first
    page = storage.audit.page(None, limit=4, offset=3)
    assert (list(page.rows), page.total) == (newest_first[3:7], 9)
    page = storage.audit.page(mine, limit=2, offset=1)
    assert (list(page.rows), page.total) == ([entries[3], entries[0]], 3)
    assert storage.audit.page(uuid4(), limit=5, offset=0).total == 0
    assert list(storage.audit.page(None, limit=5, offset=9).rows) == []


def test_entries_of_one_moment_keep_one_order_over_pages(storage: Storage) -> None:
    entries = AuditEntryFactory.build_batch(7)
    created(storage, *entries)
    paged = [storage.audit.page(None, limit=1, offset=n).rows[0] for n in range(7)]
    assert paged == trail(storage)
    assert {entry.id for entry in paged} == {entry.id for entry in entries}


def test_entries_of_another_store_are_added_once_and_as_they_are(storage: Storage) -> None:
    """Also those of limits, and of jobs that are not stored any more."""
    entries = [
        AuditEntryFactory.build(job_id=job_id, at=NOW + timedelta(n)) for n, job_id in enumerate((None, uuid4()))
    ]
    created(storage, entries[0])
    storage.audit.add(entries)
    storage.audit.add(entries)
    assert trail(storage) == entries[::-1]


def test_the_trail_outlives_the_job_and_goes_by_its_own_age(storage: Storage) -> None:
    job = JobFactory.build(status=Status.COMPLETED, ended_at=NOW)
    old, young = AuditEntryFactory.build(job_id=job.id), AuditEntryFactory.build(job_id=job.id, at=NOW + timedelta(1))
    created(storage, old, young, job=job)
    assert storage.jobs.delete_finished(NOW + timedelta(days=1)) == 1
    assert trail(storage, job.id) == [young, old]
    assert storage.audit.delete_before(NOW + timedelta(microseconds=1)) == 1
    assert trail(storage, job.id) == [young]
    assert storage.audit.delete_before(young.at) == 0


def test_the_latest_sign_of_a_worker_counts(storage: Storage) -> None:
    assert storage.control.worker_seen_at() is None
    storage.control.report_worker(NOW)
    storage.control.report_worker(NOW - timedelta(seconds=1))
    assert storage.control.worker_seen_at() == NOW
    storage.control.report_worker(NOW + timedelta(microseconds=1))
    assert storage.control.worker_seen_at() == NOW + timedelta(microseconds=1)


def test_workers_that_report_at_once_do_not_hinder_each_other(storage: Storage) -> None:
    trouble: list[Exception] = []

    def report(seconds: int) -> None:
        try:
            storage.control.report_worker(NOW + timedelta(seconds=seconds))
        except Exception as exc:  # noqa: BLE001 - told below, by the thread that tests
            trouble.append(exc)
        finally:
            storage.control.disconnect()

    threads = [Thread(target=report, args=(seconds,)) for seconds in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert storage.control.worker_seen_at() == NOW + timedelta(seconds=3)


def test_entries_of_accounts_are_stored_without_a_change_of_a_job(storage: Storage) -> None:
    entries = [
        AuditEntryFactory.build(job_id=None, action=action, changes={"address": (None, "203.0.113.9")})
        for action in AuditAction
        if action.is_of_account
    ]
    for entry in entries:
        storage.audit.add([entry])
    assert sorted(trail(storage), key=lambda entry: entry.id) == sorted(entries, key=lambda entry: entry.id)
