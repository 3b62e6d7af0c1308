"""What those who watch over the service ask: how much was done, what goes on, whether a worker is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backfill.domain import Job, JobCounters, LeasePolicy
from backfill.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """As the store has it, so that every process of every server says the same."""

    at: datetime
    counters: JobCounters
    """Of all jobs there ever were, the active one included: no figure of it ever falls."""
    active: Job | None
    worker_seen_at: datetime | None
    lease_renewed_at: datetime | None
    """Of the active job, where it has one."""


def service_status(storage: Storage, now: datetime, policy: LeasePolicy) -> ServiceStatus:
    """Read without a lock: where a job ended or began between the reads, they are done anew."""
    active = storage.jobs.active()
    while True:
        counters = storage.control.counters()
        before, active = active, storage.jobs.active()
        if (before.id if before else None) == (active.id if active else None):
            break
    return ServiceStatus(
        at=now,
        counters=counters.plus(active) if active else counters,
        active=active,
        worker_seen_at=worker_seen_at(storage, active, policy),
        lease_renewed_at=_lease_renewed_at(active, policy),
    )


def worker_seen_at(storage: Storage, active: Job | None, policy: LeasePolicy) -> datetime | None:
    """When a worker last gave a sign of life: a report while it was idle, a renewed lease while it was not."""
    signs = [storage.control.worker_seen_at(), _lease_renewed_at(active, policy)]
    return max((sign for sign in signs if sign is not None), default=None)


def _lease_renewed_at(job: Job | None, policy: LeasePolicy) -> datetime | None:
    return job.lease.renewed_at(policy) if job and job.lease else None
