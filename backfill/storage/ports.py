"""The ports. Adapters promise only atomicity and order, and turn every driver error into StorageUnavailable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from backfill.domain import (
    AuditEntry,
    CalendarMonth,
    Job,
    JobCounters,
    JobFilter,
    Outcome,
    OutcomeFilter,
    Plan,
    Point,
    ProgramYear,
    RequestSchedule,
    Result,
    ResultFacts,
    Segment,
    Snapshot,
    SnapshotFacts,
    SnapshotFilter,
    StoredDay,
    StoredEdition,
    StoredLimits,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A stretch of a list, and how long the whole list is."""

    rows: Sequence[T]
    total: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The claim under which a runner writes. Where it no longer holds, the write is refused with LeaseLost."""

    job_id: UUID
    token: int


class JobStorage(ABC):
    """Jobs, their plans and ledgers, and what is kept beside them."""

    record_after: ClassVar[float] = 1.0
    """Seconds that a runner leaves between two records of a job at least, where nothing else asks for one."""

    look_after: ClassVar[float] = 0.0
    """Seconds that a worker leaves between two looks at least, while no job is active and nobody nudges it."""

    # Where a change takes `audit`, what that makes of it is appended to the audit trail in the transaction of the
    # change. Like a change it is pure, and may be called more than once.

    @abstractmethod
    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Job:
        """Store a pending job, atomically: at most one job is active in the world.

        Where another is active, `displace` is asked for what to make of it: the ended job that makes room, or None,
        and then JobConflict is raised. Of any number of concurrent calls one succeeds. `audit` is given the ended
        job, or None where there was room.
        """

    @abstractmethod
    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Job:
        """Replace a job by `change` of it, and write a segment of its ledger, in one transaction.

        `change` is pure, may be called more than once, and may raise to leave everything as it was. A segment that is
        written again under its number is replaced. JobNotFound where there is no such job. `audit` is given the job
        before and after; where `change` returned the very job that it was given, nothing is written and it is not
        asked.
        """

    @abstractmethod
    def get(self, job_id: UUID) -> Job | None: ...

    @abstractmethod
    def active(self) -> Job | None:
        """The one active job; its progress may come without districts and errors."""

    @abstractmethod
    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        """The newest job that was created under that key since then."""

    @abstractmethod
    def page(self, wanted: JobFilter, *, limit: int, offset: int) -> Page[Job]:
        """Newest first; their progress comes without districts and errors."""

    @abstractmethod
    def plan(self, job_id: UUID) -> Plan: ...

    @abstractmethod
    def segments(self, job_id: UUID) -> Iterator[Segment]:
        """The whole ledger, in order, one segment at a time. CorruptRecord names a segment that is unreadable."""

    @abstractmethod
    def outcomes(self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int) -> Page[Outcome]:
        """A page of the ledger, in the order in which items were settled."""

    @abstractmethod
    def delete_finished(self, before: datetime) -> int:
        """Remove jobs that ended before then, with their plans and ledgers; how many."""

    @abstractmethod
    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        """The ids of jobs that have a notice which is due, the longest due first."""

    @abstractmethod
    def counters(self) -> JobCounters:
        """What all jobs that ended came to. Added to by `create` and `update` in the transaction that ends a job."""

    @abstractmethod
    def rate_limits(self) -> StoredLimits: ...

    @abstractmethod
    def save_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> StoredLimits:
        """Replace the limits by `change` of them, with the entry of the audit trail; what changes nothing has none.

        `change` is pure, and may be called more than once.
        """

    @abstractmethod
    def audit(self, job_id: UUID | None, *, limit: int, offset: int) -> Page[AuditEntry]:
        """The audit trail of one job, whether it is still stored or not, or of everything; newest first."""

    @abstractmethod
    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Store entries of another store as they are; one that is there already stays."""

    @abstractmethod
    def delete_audit(self, before: datetime) -> int:
        """Remove the entries that are older than that; how many."""

    @abstractmethod
    def report_worker(self, at: datetime) -> None:
        """Note that a worker is looking for jobs; an earlier moment than the noted one changes nothing."""

    @abstractmethod
    def worker_seen_at(self) -> datetime | None:
        """The latest moment at which a worker was looking for jobs; None where none ever was."""

    @abstractmethod
    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        """Replace the shared timeline by `change` of it, atomically; under a fence, only while that holds.

        `change` is pure, and may be called more than once.
        """

    @abstractmethod
    def ping(self) -> None:
        """Return where the store can be read and written, else raise StorageUnavailable."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of what this thread holds of the store; a thread that ends calls it."""


class SnapshotStorage(ABC):
    """Snapshots, the calendar that says which there can be, and what was computed of them."""

    @abstractmethod
    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        """Store a snapshot where it supersedes what is stored for its date and district; whether it did.

        What is stored there and cannot be read gives way to it.
        """

    @abstractmethod
    def get(self, day: date, district: str) -> Snapshot | None:
        """With the exact bytes of each report. CorruptRecord where they cannot be unpacked."""

    @abstractmethod
    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        """Of a date, by district; what is not there or cannot be unpacked is left out, and `get` says which."""

    @abstractmethod
    def page(self, wanted: SnapshotFilter, *, limit: int, offset: int) -> Page[Snapshot]:
        """By date and district, without the bytes."""

    @abstractmethod
    def keys(self, first: date, last: date) -> Iterator[StoredEdition]:
        """What is stored of each date of a range, in date order, without reading the reports."""

    @abstractmethod
    def facts(self, first: date, last: date) -> Iterator[SnapshotFacts]:
        """Every snapshot of a range by date and district, without reading the reports."""

    @abstractmethod
    def days(self, first: date, last: date) -> Iterator[StoredDay]:
        """What is stored and computed of each date of a range that has a snapshot, in date order."""

    @abstractmethod
    def span(self) -> tuple[date, date] | None:
        """The first and the last date for which there is a snapshot."""

    @abstractmethod
    def calendar(self, first: date, last: date) -> list[CalendarMonth]:
        """The stored calendar pages of the months that end in a range, oldest first."""

    @abstractmethod
    def save_calendar(self, month: CalendarMonth) -> None:
        """Store or replace a month's calendar page."""

    @abstractmethod
    def put_results(self, results: Sequence[Result], *, fence: Fence | None = None) -> None:
        """Store results, each in the place of what was stored for its date and district; all of them or none."""

    @abstractmethod
    def result(self, day: date, district: str) -> Result | None:
        """CorruptRecord where it cannot be unpacked."""

    @abstractmethod
    def result_facts(self, first: date, last: date) -> Iterator[ResultFacts]:
        """Every result of a range by date and district, without reading the figures."""

    @abstractmethod
    def points(self, keys: Collection[tuple[date, str]]) -> Mapping[tuple[date, str], Point]:
        """The points of those results of districts that there are, by date and district."""

    @abstractmethod
    def series(self, district: str, year: ProgramYear) -> list[Point]:
        """The points of a district's results of a program year, oldest first."""

    @abstractmethod
    def years(self, district: str) -> Iterator[ProgramYear]:
        """The program years of which a district has a result, newest first; each may be a read when it is taken."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Both ports of one adapter."""

    jobs: JobStorage
    snapshots: SnapshotStorage
