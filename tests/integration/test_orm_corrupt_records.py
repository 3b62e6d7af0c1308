"""Rows that are damage_job or written by another version: their job fails with a reason, and other jobs work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backfill.domain import Job, JobFilter, Status
from backfill.engine.job_manager import JobManager
from backfill.errors import InvalidJobState, LeaseLost
from backfill.storage import Storage
from tests.contract.backends import ORM_BACKENDS
from tests.factories import NOW, JobFactory, PlanFactory

pytestmark = pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)

DAMAGES: dict[str, dict[str, Any]] = {
    "a status of a newer version": {"status": "hibernating"},
    "a job type of a newer version": {"job_type": "prediction"},
    "limits of a newer version": {"config": {"rateLimits": {"burst": 3}}},
    "no config": {"config": []},
    "no progress": {"progress": {}},
    "a limiter in an unknown state": {"progress": {"limiter": {"state": "levitating", "waiting_until": None}}},
    "an invalid crash isolation": {"crash_isolation": 7},
}
for_each_damage = pytest.mark.parametrize("damage", list(DAMAGES.values()), ids=list(DAMAGES))


def created(storage: Storage) -> Job:
    return storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job


def damage_job(storage: Storage, damage: dict[str, Any]) -> Job:
    from backfill.models import BackfillJob

    job = created(storage)
    assert BackfillJob.objects.filter(pk=job.id).update(**damage)
    return job


@for_each_damage
def test_the_next_worker_fails_an_unreadable_job_with_an_error_that_names_it(
    storage: Storage, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    job = damage_job(storage, damage)
    assert JobManager(storage).claim("runner", NOW) is None
    (row,) = storage.jobs.page(JobFilter(statuses=frozenset({Status.FAILED})), limit=9, offset=0).rows
    assert (row.id, row.status) == (job.id, Status.FAILED)
    assert row.error.startswith(f"Job {job.id} cannot be read. It is damaged or was written by another version")
    assert row.ended_at is not None
    assert row.error in caplog.text
    caplog.clear()
    assert JobManager(storage).claim("runner", NOW) is None
    assert caplog.records == []  # it is logged once


@for_each_damage
def test_an_unreadable_job_does_not_prevent_another_job(storage: Storage, damage: dict[str, Any]) -> None:
    broken, job = damage_job(storage, damage), created(storage)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    assert claim.job.id == job.id
    assert {row.id for row in storage.jobs.page(JobFilter(), limit=9, offset=0).rows} == {broken.id, job.id}


@for_each_damage
def test_an_unreadable_job_is_shown_as_failed_and_cannot_be_controlled(
    storage: Storage, damage: dict[str, Any]
) -> None:
    job = damage_job(storage, damage)
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert (stored.status, stored.created_by) == (Status.FAILED, job.created_by)
    with pytest.raises(InvalidJobState, match="has ended"):
        storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))


def test_a_runner_whose_job_becomes_unreadable_loses_its_lease(storage: Storage, backend: object) -> None:
    from backfill.models import BackfillJob

    job = created(storage)
    claim = JobManager(storage).claim("runner", NOW)
    assert claim is not None
    BackfillJob.objects.filter(pk=job.id).update(config={})
    with pytest.raises(LeaseLost):
        claim.look()
    with pytest.raises(LeaseLost):
        claim.release(NOW + timedelta(seconds=1))


def test_the_readable_fields_of_an_unreadable_job_are_shown(storage: Storage, backend: object) -> None:
    from backfill.models import BackfillJob

    job = created(storage)
    BackfillJob.objects.filter(pk=job.id).update(status="hibernating")
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert (stored.config, stored.job_type, stored.progress.total_items) == (
        job.config,
        job.job_type,
        job.progress.total_items,
    )
    assert "'hibernating' is not a valid Status" in stored.error
