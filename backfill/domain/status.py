"""The statuses of a job and their transitions."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        return self in ACTIVE


ACTIVE = frozenset({Status.PENDING, Status.RUNNING, Status.PAUSING, Status.PAUSED, Status.CANCELLING})
ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

TRANSITIONS: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.PENDING, Status.RUNNING),  # a worker claims it
        (Status.PENDING, Status.PAUSED),  # paused before a worker took it
        (Status.PENDING, Status.CANCELLED),  # cancelled before a worker took it
        (Status.PENDING, Status.FAILED),  # displaced as stale: no worker took it
        (Status.RUNNING, Status.PENDING),  # clean stop: the runner releases its lease
        (Status.RUNNING, Status.COMPLETED),  # every item is settled, and not all have failed
        (Status.RUNNING, Status.FAILED),  # every item failed, the job cannot be run, or displaced as stale
        (Status.RUNNING, Status.PAUSING),  # pause requested; items in flight finish
        (Status.RUNNING, Status.PAUSED),  # paused while no live runner holds it
        (Status.RUNNING, Status.CANCELLING),  # cancel requested; items in flight finish
        (Status.RUNNING, Status.CANCELLED),  # cancelled while no live runner holds it
        (Status.PAUSING, Status.PAUSED),  # no item is in flight any more, or its runner died
        (Status.PAUSING, Status.RUNNING),  # resumed while items were in flight
        (Status.PAUSING, Status.COMPLETED),  # the items in flight were the last ones
        (Status.PAUSING, Status.FAILED),  # ... and all had failed, or displaced as stale
        (Status.PAUSING, Status.CANCELLING),  # cancel requested while pausing
        (Status.PAUSING, Status.CANCELLED),  # ... while no live runner holds it
        (Status.PAUSED, Status.PENDING),  # resumed: any worker may claim it
        (Status.PAUSED, Status.CANCELLED),  # cancelled; no runner holds it
        (Status.CANCELLING, Status.CANCELLED),  # no item is in flight any more, or its runner died
        (Status.CANCELLING, Status.COMPLETED),  # the items in flight were the last ones
        (Status.CANCELLING, Status.FAILED),  # ... and all had failed, or displaced as stale
    }
)
