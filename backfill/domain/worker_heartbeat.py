"""Whether a worker is there, as far as anybody can know who is not one."""

from __future__ import annotations

from datetime import UTC, datetime

from backfill.domain.lease import STANDARD_LEASES, LeasePolicy

_MISSED_HEARTBEATS = 3


def is_alive(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> bool:
    return seen_at is not None and now - seen_at < _MISSED_HEARTBEATS * policy.heartbeat


def waiting_for_worker(seen_at: datetime | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Why a pending job waits."""
    if seen_at is None:
        return "Waiting for a worker; none has ever reported. Start a server, or: manage.py backfill work"
    if is_alive(seen_at, now, policy):
        return "Waiting for a worker; one is there and takes it within seconds."
    at = seen_at.astimezone(UTC)
    day = "" if at.date() == now.astimezone(UTC).date() else f" on {at.day} {at:%b %Y}"
    return f"Waiting for a worker; none has reported since {at:%H:%M} UTC{day}. It starts by itself when one is up."
