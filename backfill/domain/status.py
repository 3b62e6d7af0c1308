"""The statuses of a job and their transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


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

TRANSITIONS: Mapping[tuple[Status, Status], str] = MappingProxyType(
    {
        (Status.PENDING, Status.RUNNING): "a worker claims the job",
        (Status.PENDING, Status.PAUSED): "paused before a worker claimed it",
        (Status.PENDING, Status.CANCELLED): "cancelled before a worker claimed it",
        (Status.PENDING, Status.FAILED): "displaced as stale",
        (Status.RUNNING, Status.PENDING): "clean stop, the lease is returned",
        (Status.RUNNING, Status.COMPLETED): "all items are settled, not all failed",
        (Status.RUNNING, Status.FAILED): "all items failed, the job cannot be run, or displaced as stale",
        (Status.RUNNING, Status.PAUSING): "pause requested",
        (Status.RUNNING, Status.PAUSED): "paused without a live runner",
        (Status.RUNNING, Status.CANCELLING): "cancel requested",
        (Status.RUNNING, Status.CANCELLED): "cancelled without a live runner",
        (Status.PAUSING, Status.PAUSED): "no item in flight, or the runner died",
        (Status.PAUSING, Status.RUNNING): "resumed",
        (Status.PAUSING, Status.COMPLETED): "the items in flight were the last",
        (Status.PAUSING, Status.FAILED): "all items failed, or displaced as stale",
        (Status.PAUSING, Status.CANCELLING): "cancel requested",
        (Status.PAUSING, Status.CANCELLED): "cancelled without a live runner",
        (Status.PAUSED, Status.PENDING): "resumed",
        (Status.PAUSED, Status.CANCELLED): "cancelled",
        (Status.CANCELLING, Status.CANCELLED): "no item in flight, or the runner died",
        (Status.CANCELLING, Status.COMPLETED): "the items in flight were the last",
        (Status.CANCELLING, Status.FAILED): "all items failed, or displaced as stale",
    }
)
"""The permitted transitions and their reasons, which label the state diagram in docs/architecture.md."""
