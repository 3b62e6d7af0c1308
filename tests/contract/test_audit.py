"""The contract of every job storage for the audit log and the worker heartbeat."""

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

ENTRY_WITH_ALL_FIELDS = AuditEntryFactory.build(
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


def audit_log(storage: Storage, job_id: UUID | None = None) -> list[AuditEntry]:
    return list(storage.audit.page(job_id, limit=100, offset=0).rows)


def test_an_entry_is_read_with_all_its_fields(storage: Storage) -> None:
    created(storage, ENTRY_WITH_ALL_FIELDS)
    assert audit_log(storage) == [ENTRY_WITH_ALL_FIELDS]


def test_a_job_and_its_audit_entries_are_created_together_or_not_at_all(storage: Storage) -> None:
    entry = AuditEntryFactory.build()
    created(storage, entry)
    with pytest.raises(JobConflict):
        created(storage, AuditEntryFactory.build())
    assert audit_log(storage) == [entry]


def test_the_audit_function_receives_the_displaced_job(storage: Storage) -> None:
    stale = created(storage)
    received: list[Job | None] = []

    def audit(displaced: Job | None) -> list[AuditEntry]:
        received.append(displaced)
        return [AuditEntryFactory.build(action=AuditAction.DISPLACED, job_id=displaced.id if displaced else None)]

    later = NOW + timedelta(hours=1)
    storage.jobs.create(
        JobFactory.build(), PlanFactory.build(), displace=lambda active: active.displaced(later), audit=audit
    )
    ended = received[-1]
    assert ended is not None
    assert (ended.id, ended.status) == (stale.id, Status.FAILED)
    assert [entry.job_id for entry in audit_log(storage)] == [stale.id]


def test_an_error_of_the_audit_function_leaves_no_job_no_plan_and_no_entry(storage: Storage) -> None:
    """The transaction is rolled back."""

    def audit(_: Job | None) -> list[AuditEntry]:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.create(JobFactory.build(), Plan(()), displace=lambda _: None, audit=audit)
    assert (audit_log(storage), storage.jobs.active()) == ([], None)


def test_a_change_is_written_with_an_entry_built_from_the_job_before_and_after(storage: Storage) -> None:
    job = created(storage)
    entry = AuditEntryFactory.build(job_id=job.id)
    storage.jobs.update(
        job.id,
        lambda job: replace(job, status=Status.PAUSED),
        audit=lambda before, after: replace(entry, changes={"status": (str(before.status), str(after.status))}),
    )
    assert audit_log(storage) == [replace(entry, changes={"status": ("pending", "paused")})]


def test_a_change_that_is_empty_or_refused_writes_no_entry(storage: Storage) -> None:
    job = created(storage)
    storage.jobs.update(job.id, lambda job: job, audit=lambda *_: AuditEntryFactory.build())

    def refused(job: Job) -> Job:
        raise InvalidJobState(f"Job {job.id} stays.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, refused, audit=lambda *_: AuditEntryFactory.build())
    with pytest.raises(JobNotFound):
        storage.jobs.update(uuid4(), lambda job: job, audit=lambda *_: AuditEntryFactory.build())
    assert audit_log(storage) == []


def test_an_error_of_the_audit_function_prevents_the_change(storage: Storage) -> None:
    job = created(storage)

    def audit(*_: object) -> AuditEntry:
        raise InvalidJobState("It was not to be.")

    with pytest.raises(InvalidJobState):
        storage.jobs.update(job.id, lambda job: replace(job, status=Status.PAUSED), audit=audit)
    with pytest.raises(InvalidJobState):
        storage.control.update_rate_limits(lambda limits: replace(limits, updated_by="somebody"), audit=audit)
    assert (audit_log(storage), storage.jobs.get(job.id)) == ([], job)
    assert storage.control.rate_limits() == StoredLimits()


def test_a_change_of_the_stored_limits_writes_an_entry(storage: Storage) -> None:
    entry = AuditEntryFactory.build(job_id=None, action=AuditAction.CHANGED_LIMITS)
    received: list[tuple[str, str]] = []

    def audit(before: StoredLimits, after: StoredLimits) -> AuditEntry:
        received.append((before.updated_by, after.updated_by))
        return entry

    storage.control.update_rate_limits(lambda limits: replace(limits, updated_by="somebody"), audit=audit)
    assert (audit_log(storage), received[-1]) == ([entry], ("", "somebody"))
    storage.control.update_rate_limits(lambda limits: limits, audit=lambda *_: AuditEntryFactory.build())
    assert audit_log(storage) == [entry]


def test_the_audit_log_is_paged_newest_first_and_can_be_filtered_by_job(storage: Storage) -> None:
    mine, other = uuid4(), uuid4()
    entries = [
        AuditEntryFactory.build(at=NOW + timedelta(seconds=n), job_id=(mine, other, None)[n % 3]) for n in range(9)
    ]
    created(storage, *entries)
    newest_first = entries[::-1]
    assert audit_log(storage) == newest_first
    page = storage.audit.page(None, limit=4, offset=3)
    assert (list(page.rows), page.total) == (newest_first[3:7], 9)
    page = storage.audit.page(mine, limit=2, offset=1)
    assert (list(page.rows), page.total) == ([entries[3], entries[0]], 3)
    assert storage.audit.page(uuid4(), limit=5, offset=0).total == 0
    assert list(storage.audit.page(None, limit=5, offset=9).rows) == []


def test_entries_of_the_same_instant_have_the_same_order_on_all_pages(storage: Storage) -> None:
    entries = AuditEntryFactory.build_batch(7)
    created(storage, *entries)
    entries_of_pages = [storage.audit.page(None, limit=1, offset=n).rows[0] for n in range(7)]
    assert entries_of_pages == audit_log(storage)
    assert {entry.id for entry in entries_of_pages} == {entry.id for entry in entries}


def test_entries_of_another_store_are_added_once_and_unchanged(storage: Storage) -> None:
    """This includes entries for limits, and entries for jobs that have been deleted."""
    entries = [
        AuditEntryFactory.build(job_id=job_id, at=NOW + timedelta(n)) for n, job_id in enumerate((None, uuid4()))
    ]
    created(storage, entries[0])
    storage.audit.add(entries)
    storage.audit.add(entries)
    assert audit_log(storage) == entries[::-1]


def test_entries_outlive_their_job_and_are_deleted_by_their_own_age(storage: Storage) -> None:
    job = JobFactory.build(status=Status.COMPLETED, ended_at=NOW)
    old, young = AuditEntryFactory.build(job_id=job.id), AuditEntryFactory.build(job_id=job.id, at=NOW + timedelta(1))
    created(storage, old, young, job=job)
    assert storage.jobs.delete_finished(NOW + timedelta(days=1)) == 1
    assert audit_log(storage, job.id) == [young, old]
    assert storage.audit.delete_before(NOW + timedelta(microseconds=1)) == 1
    assert audit_log(storage, job.id) == [young]
    assert storage.audit.delete_before(young.at) == 0


def test_the_latest_worker_heartbeat_is_kept(storage: Storage) -> None:
    assert storage.control.worker_seen_at() is None
    storage.control.report_worker(NOW)
    storage.control.report_worker(NOW - timedelta(seconds=1))
    assert storage.control.worker_seen_at() == NOW
    storage.control.report_worker(NOW + timedelta(microseconds=1))
    assert storage.control.worker_seen_at() == NOW + timedelta(microseconds=1)


def test_concurrent_worker_heartbeats_all_succeed(storage: Storage) -> None:
    errors: list[Exception] = []

    def report(seconds: int) -> None:
        try:
            storage.control.report_worker(NOW + timedelta(seconds=seconds))
        except Exception as exc:  # noqa: BLE001 - the main thread asserts that there is none
            errors.append(exc)
        finally:
            storage.control.disconnect()

    threads = [Thread(target=report, args=(seconds,)) for seconds in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert storage.control.worker_seen_at() == NOW + timedelta(seconds=3)


def test_entries_of_accounts_are_stored_without_a_change_of_a_job(storage: Storage) -> None:
    entries = [
        AuditEntryFactory.build(job_id=None, action=action, changes={"address": (None, "203.0.113.9")})
        for action in AuditAction
        if action.is_of_account
    ]
    for entry in entries:
        storage.audit.add([entry])
    assert sorted(audit_log(storage), key=lambda entry: entry.id) == sorted(entries, key=lambda entry: entry.id)
