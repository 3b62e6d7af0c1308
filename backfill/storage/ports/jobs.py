"""The port for jobs and their plans."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from backfill.domain import AuditEntry, Job, JobFilter, Plan, Segment
from backfill.storage.ports.values import Change, Creation, Page, TimedKey


class JobStorage(ABC):
    """Jobs and their plans. At most one job is active at any time."""

    record_interval: ClassVar[float] = 1.0
    """Minimum seconds between two regular progress records of a runner."""

    idle_poll_interval: ClassVar[float] = 0.0
    """Minimum seconds between two polls of a worker that found no job."""

    @abstractmethod
    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Creation:
        """Store a pending job and its plan in one transaction.

        If another job is active, `displace` receives it and returns the ended job that replaces it, or None; None
        raises JobConflict. Of any number of concurrent calls at most one succeeds. `audit` receives the displaced job
        (None if there was none); its entries are stored in the same transaction. Both callables must be pure, because
        they may be called more than once.
        """

    @abstractmethod
    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Change[Job]:
        """Replace a job by `change(job)` and write a ledger segment in one transaction.

        `change` and `audit` must be pure, because they may be called more than once; an exception of `change` leaves
        the store unchanged. A segment replaces a stored segment of the same number. If the job does not change, it is
        not written and `audit` is not called; otherwise `audit` receives the job before and after the change, and its
        entry is stored in the same transaction. Raises JobNotFound.
        """

    @abstractmethod
    def get(self, job_id: UUID) -> Job | None:
        """Return a job with all its progress, or None. An unreadable job is returned as a failed one that says so."""

    @abstractmethod
    def active(self) -> Job | None:
        """Return the active job, if any; its progress may lack districts and errors. An unreadable one is failed."""

    @abstractmethod
    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        """Return the newest job created with this key at or after `since`."""

    @abstractmethod
    def page(self, wanted: JobFilter, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[Job]:
        """Return matching jobs, newest first; their progress lacks districts and errors.

        With `after` the page begins behind this key, whether a row with the key is stored or not; `offset` rows are
        skipped from there. The total is that of the whole list.
        """

    @abstractmethod
    def plan(self, job_id: UUID) -> Plan:
        """Return the plan of a job. Raises JobNotFound and CorruptRecord."""

    @abstractmethod
    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        """Return the ids of jobs with a webhook event due at or before `now`, longest due first."""

    @abstractmethod
    def delete_finished(self, before: datetime) -> int:
        """Remove jobs that ended before this time, with their plans and ledgers; return how many."""
