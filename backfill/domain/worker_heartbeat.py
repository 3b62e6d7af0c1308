"""Whether a worker is running, as far as other processes can know."""

from __future__ import annotations

from datetime import UTC, datetime

from backfill.domain.lease import STANDARD_LEASES, LeasePolicy

_MISSED_HEARTBEATS = 3

START_A_WORKER = "Start a server, or run: manage.py backfill work"


def is_alive(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> bool:
    return seen_at is not None and now - seen_at < _MISSED_HEARTBEATS * policy.heartbeat


def missing_worker(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Return that no worker is running and how to start one; empty if a worker is running."""
    return "" if is_alive(seen_at, now, policy) else f"No worker is running; {_last_report(seen_at, now)}"


def waiting_for_worker(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Return why a pending job waits."""
    if is_alive(seen_at, now, policy):
        return "Waiting for a worker; one is running and claims the job within seconds."
    return f"Waiting for a worker; {_last_report(seen_at, now)}"


def _last_report(seen_at: datetime | None, now: datetime) -> str:
    if seen_at is None:
        return f"none has ever reported. {START_A_WORKER}"
    at = seen_at.astimezone(UTC)
    day = "" if at.date() == now.astimezone(UTC).date() else f" on {at.day} {at:%b %Y}"
    return f"none has reported since {at:%H:%M} UTC{day}. {START_A_WORKER}"
