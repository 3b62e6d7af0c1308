"""Values that the ports take and return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar
from uuid import UUID

from backfill.domain import AuditEntry, Job

T = TypeVar("T")

SnapshotKey = tuple[date, str]
"""The date and the district of a snapshot: its place in the list of snapshots."""

TimedKey = tuple[datetime, UUID]
"""The time and the id of a job or an audit entry: its place in the list."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Consecutive rows of a list, and the length of the whole list."""

    rows: Sequence[T]
    total: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The claim under which a runner writes. A write under a claim that no longer holds raises LeaseLost."""

    job_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A committed change: the values before and after it, and the audit entry stored with it, if any."""

    before: T
    after: T
    audit_entry: AuditEntry | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """A stored job, the job that it displaced (as ended), and the audit entries stored with both."""

    job: Job
    displaced: Job | None = None
    audit_entries: tuple[AuditEntry, ...] = ()
