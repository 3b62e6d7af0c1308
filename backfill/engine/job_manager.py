"""Finds the job that needs a runner, and claims it."""

from __future__ import annotations

from datetime import datetime, timedelta

from backfill.domain import Job, Lease
from backfill.domain.runtime_config import DEFAULT_CONFIG, RuntimeConfig
from backfill.engine.claim import Claim
from backfill.errors import CorruptRecord
from backfill.storage import Storage


class JobManager:
    def __init__(self, storage: Storage, config: RuntimeConfig = DEFAULT_CONFIG) -> None:
        self._storage, self._config = storage, config
        self._monotonic, self._policy = config.clock.monotonic, config.lease_policy
        self._watched: tuple[Lease | None, float] = None, 0.0
        self._found_job = False

    def claim(self, owner: str, now: datetime) -> Claim | None:
        """Claim the active job if no live runner holds it; return None if there is nothing to do.

        Raises LeaseLost if another worker claims it first, and CorruptRecord, after failing the job, if its plan or
        ledger is unreadable.
        """
        found = self._storage.jobs.active()
        self._found_job = found is not None
        dead = self._dead_lease(found)
        if found is None or not found.can_be_claimed(now, dead=dead):
            return None
        job = self._storage.jobs.update(
            found.id, lambda job: job.claimed(owner, now, dead=dead, policy=self._policy)
        ).after
        try:
            return Claim.open(self._storage, job, now, self._config)
        except CorruptRecord as exc:
            message = exc.message
            self._storage.jobs.update(job.id, lambda held: held.broken(job.token, message, now))
            raise

    @property
    def idle_poll_interval(self) -> float:
        """Minimum seconds until the next poll: 0 while there is a job that may soon need a runner."""
        return 0.0 if self._found_job else self._storage.jobs.idle_poll_interval

    def lease_left(self, now: datetime) -> timedelta | None:
        """Return how long the lease found by the last poll remains valid; None if there is no valid lease."""
        lease = self._watched[0]
        return lease.expires_at - now if lease is not None and lease.is_live(now) else None

    def _dead_lease(self, found: Job | None) -> Lease | None:
        """Return the lease of the job if this manager has seen it unchanged for the duration of a lease.

        The clock of the runner writes the expiry. If that clock was ahead, or was set back since, the expiry may be far
        in the future, so the time without a renewal also shows that the runner is dead.
        """
        lease = found.lease if found else None
        if lease != self._watched[0]:
            self._watched = lease, self._monotonic()
        return lease if self._monotonic() - self._watched[1] >= self._policy.duration.total_seconds() else None
