"""The status of the service for monitoring: job counters, the active job, the worker heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backfill.domain import Job, JobCounters, LeasePolicy
from backfill.storage import Storage
from backfill.storage.database_messages import is_schema_error, schema_message


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """Read from the store, so that every process reports the same."""

    at: datetime
    counters: JobCounters
    """The sums over all jobs, including the active one and removed jobs. No value ever decreases."""
    active: Job | None
    worker_seen_at: datetime | None
    lease_renewed_at: datetime | None
    """When the lease of the active job was renewed; None without a lease."""


def database_message(exc: Exception) -> str:
    """Return what an operator reads about an error of the database of accounts and sessions."""
    if is_schema_error(exc):
        return schema_message(str(exc).strip().splitlines()[0].rstrip("."))
    return "The database of accounts and sessions does not respond. Try again in a moment."


def service_status(storage: Storage, now: datetime, policy: LeasePolicy) -> ServiceStatus:
    """Read without a lock: the reads are repeated if a job starts or ends between them."""
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
    """Return when a worker last reported (while idle) or renewed its lease (while running a job)."""
    times = [storage.control.worker_seen_at(), _lease_renewed_at(active, policy)]
    return max((time for time in times if time is not None), default=None)


def _lease_renewed_at(job: Job | None, policy: LeasePolicy) -> datetime | None:
    return job.lease.renewed_at(policy) if job and job.lease else None
