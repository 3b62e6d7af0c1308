"""Whether a worker is there, as far as anybody can know who is not one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

REPORTS_EVERY = timedelta(seconds=30)
"""A worker that is idle says so this often; one that runs a job renews its lease instead."""

_MISSED = 3 * REPORTS_EVERY


def is_there(seen_at: datetime | None, now: datetime) -> bool:
    return seen_at is not None and now - seen_at < _MISSED


def waiting_for_worker(seen_at: datetime | None, now: datetime) -> str:
    """Why a pending job waits."""
    if seen_at is None:
        return "Waiting for a worker; none has ever reported. Start a server, or: manage.py backfill work"
    if is_there(seen_at, now):
        return "Waiting for a worker; one is there and takes it within seconds."
    at = seen_at.astimezone(UTC)
    day = "" if at.date() == now.astimezone(UTC).date() else f" on {at.day} {at:%b %Y}"
    return f"Waiting for a worker; none has reported since {at:%H:%M} UTC{day}. It starts by itself when one is up."
