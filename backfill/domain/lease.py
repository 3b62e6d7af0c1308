"""The lease of a job, the heartbeat of a worker, and the times after which a runner is dead and a job is stale."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

_RENEWALS_PER_LEASE = 2
_MISSED_HEARTBEATS = 3

START_A_WORKER = "Start a server, or run: manage.py backfill work"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePolicy:
    """The times of one installation: every process that shares a job store uses the same policy.

    Raises ValueError if the times contradict each other.
    """

    duration: timedelta = timedelta(seconds=15)
    """A lease that is not renewed for this long means that its runner is dead: any worker resumes the job."""
    renew_after: timedelta = timedelta(seconds=5)
    """A runner renews its lease this long after its last write, at the latest."""
    stale_after: timedelta = timedelta(minutes=10)
    """A job without progress for this long is stale: a new job may displace it."""
    poll_interval: timedelta = timedelta(seconds=1)
    """An idle worker polls for jobs at this interval, unless the storage requires longer intervals."""
    careful_for: timedelta = timedelta(seconds=15)
    """After a takeover from a dead runner, items begin one at a time for this long, each recorded before it begins."""
    heartbeat: timedelta = timedelta(seconds=30)
    """An idle worker sends a heartbeat at this interval; a worker that runs a job renews its lease instead."""

    def __post_init__(self) -> None:
        for time in fields(self):
            if (value := getattr(self, time.name)) <= timedelta(0):
                raise ValueError(f"LeasePolicy: {time.name} is {value}; it must be longer than 0.")
        if self.renew_after * _RENEWALS_PER_LEASE > self.duration:
            raise ValueError(
                f"LeasePolicy: renew_after is {self.renew_after}; at least {_RENEWALS_PER_LEASE} renewals must fit "
                f"into the duration of {self.duration}, so that one late renewal does not lose the lease."
            )
        if self.poll_interval >= self.duration:
            raise ValueError(
                f"LeasePolicy: poll_interval is {self.poll_interval}; it must be shorter than the lease of "
                f"{self.duration}, so that a dead runner is noticed soon."
            )
        if self.stale_after <= self.duration:
            raise ValueError(
                f"LeasePolicy: stale_after is {self.stale_after}; it must be longer than the lease of "
                f"{self.duration}, so that a job is taken over before it is displaced."
            )


STANDARD_LEASES = LeasePolicy()
"""The default policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The owner runs the job until the lease expires."""

    owner: str
    expires_at: datetime

    def renewed_at(self, policy: LeasePolicy = STANDARD_LEASES) -> datetime:
        """When the owner last renewed it."""
        return self.expires_at - policy.duration

    def is_live(self, now: datetime) -> bool:
        return now < self.expires_at


def is_alive(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> bool:
    return seen_at is not None and now - seen_at < _MISSED_HEARTBEATS * policy.heartbeat


def missing_worker(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Return that no worker is running and how to start one; empty if a worker is running."""
    return "" if is_alive(seen_at, now, policy) else f"No worker is running; {_last_report(seen_at, now)}"


def waiting_for_worker(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Return why a pending job waits; `seen_at` is the last heartbeat of any worker."""
    if is_alive(seen_at, now, policy):
        return "Waiting for a worker; one is running and claims the job within seconds."
    return f"Waiting for a worker; {_last_report(seen_at, now)}"


def _last_report(seen_at: datetime | None, now: datetime) -> str:
    if seen_at is None:
        return f"none has ever reported. {START_A_WORKER}"
    at = seen_at.astimezone(UTC)
    day = "" if at.date() == now.astimezone(UTC).date() else f" on {at.day} {at:%b %Y}"
    return f"none has reported since {at:%H:%M} UTC{day}. {START_A_WORKER}"
