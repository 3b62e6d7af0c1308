"""A storage adapter in memory for tests without a database. The contract suite runs it like the other adapters.

Plans and ledgers are kept as the bytes that the other adapters write.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from backfill.domain import (
    AuditEntry,
    CalendarClaim,
    CalendarMonth,
    CoverageTarget,
    Job,
    JobCounters,
    JobFilter,
    KeeperState,
    Outcome,
    OutcomeFilter,
    Plan,
    Point,
    ProgramYear,
    RequestSchedule,
    Result,
    ResultMetadata,
    Segment,
    Snapshot,
    SnapshotFilter,
    SnapshotMetadata,
    StoredDay,
    StoredEdition,
    StoredLimits,
)
from backfill.domain.clock import SYSTEM_CLOCK
from backfill.errors import CorruptRecord, JobNotFound, LeaseLost, StorageUnavailable
from backfill.storage import (
    AuditStorage,
    CalendarStorage,
    Change,
    ControlStorage,
    Creation,
    Fence,
    JobStorage,
    LedgerStorage,
    Page,
    ResultStorage,
    SnapshotKey,
    SnapshotStorage,
    Storage,
    TargetStorage,
    TimedKey,
)
from backfill.storage.serialization.corrupt_records import corrupt_job, corrupt_job_error
from backfill.storage.serialization.packing import pack_outcomes, pack_plan, storable, unpack_plan, unpack_segment

T = TypeVar("T")


class MemoryStore:
    """The lock that all ports share, and the failures to simulate."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_down = False
        self.broken_by: Exception | None = None
        """Raised once by the next call, as an unexpected error."""
        self.disconnects = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        with self.lock:
            if self.is_down:
                raise StorageUnavailable("The job store does not answer: it is down.") from ConnectionError()
            if self.broken_by is not None:
                broken_by, self.broken_by = self.broken_by, None
                raise broken_by
            yield


class MemoryAudit(AuditStorage):
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.entries: list[AuditEntry] = []

    def page(self, job_id: UUID | None, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[AuditEntry]:
        with self.store.answering():
            found = [entry for entry in self.entries if job_id is None or entry.job_id == job_id]
            found.sort(key=lambda entry: (entry.at, entry.id), reverse=True)
            following = [entry for entry in found if after is None or (entry.at, entry.id) < after]
            return Page(following[offset : offset + limit], len(found))

    def add(self, entries: Sequence[AuditEntry]) -> None:
        with self.store.answering():
            stored = {entry.id for entry in self.entries}
            self.entries += [entry for entry in entries if entry.id not in stored]

    def delete_before(self, before: datetime) -> int:
        with self.store.answering():
            kept = [entry for entry in self.entries if entry.at >= before]
            removed, self.entries = len(self.entries) - len(kept), kept
            return removed


class MemoryLedger(LedgerStorage):
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.rows: dict[UUID, dict[int, bytes]] = defaultdict(dict)
        self.writes: list[tuple[float, int, int]] = []
        """For each written segment: the monotonic time, its number, and the number of its outcomes."""
        self.clock = SYSTEM_CLOCK

    def write(self, job_id: UUID, segment: Segment) -> None:
        self.rows[job_id][segment.number] = pack_outcomes(segment.outcomes)
        self.writes.append((self.clock.monotonic(), segment.number, len(segment.outcomes)))

    def segments(self, job_id: UUID) -> Iterator[Segment]:
        with self.store.answering():
            packed = sorted(self.rows[job_id].items())
        for number, outcomes in packed:
            yield unpack_segment(number, outcomes, f"segment {number} of job {job_id}")

    def outcomes(
        self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int, newest_first: bool = False
    ) -> Page[Outcome]:
        found = [outcome for outcome in self.of(job_id) if wanted.matches(outcome)]
        return Page((found[::-1] if newest_first else found)[offset : offset + limit], len(found))

    def of(self, job_id: UUID) -> list[Outcome]:
        return [outcome for segment in self.segments(job_id) for outcome in segment.outcomes]


class MemoryJobs(JobStorage):
    def __init__(self, store: MemoryStore, ledger: MemoryLedger, audit: MemoryAudit) -> None:
        self.store, self._ledger, self._audit = store, ledger, audit
        self.rows: dict[UUID, Job] = {}
        self.plans: dict[UUID, bytes] = {}
        self.job_counters = JobCounters()
        self.updates = 0

    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Creation:
        with self.store.answering():
            active, ended = self._active(), None
            if job.id in self.rows:
                raise StorageUnavailable(f"Job {job.id} is stored already.")
            if active is not None:
                ended = displace(active)
                if ended is None:
                    raise active.conflict()
                ended = replace(ended, revision=active.revision + 1)
            entries = tuple(audit(ended)) if audit else ()
            if ended is not None:
                self._write(ended)
            self.rows[job.id], self.plans[job.id] = job, pack_plan(plan)
            self._audit.entries += entries
            return Creation(job, ended, entries)

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Change[Job]:
        with self.store.answering():
            if job_id not in self.rows:
                raise JobNotFound(f"There is no job {job_id}.")
            before = self.rows[job_id]
            change(before)  # an adapter may call it twice
            after = change(before)
            entry = audit(before, after) if audit and after != before else None
            if segment is not None:
                self._ledger.write(job_id, segment)
            self.updates += 1
            if after == before:
                return Change(before, before)
            if entry is not None:
                self._audit.entries.append(entry)
            return Change(before, self._write(replace(after, revision=before.revision + 1)), entry)

    def _write(self, job: Job) -> Job:
        if self.rows[job.id].status.is_active and not job.status.is_active:
            self.job_counters = self.job_counters.plus(job)
        self.rows[job.id] = replace(job, error=storable(job.error))
        return self.rows[job.id]

    def _active(self) -> Job | None:
        return next((job for job in self.rows.values() if job.status.is_active), None)

    def get(self, job_id: UUID) -> Job | None:
        with self.store.answering():
            return self.rows.get(job_id)

    def active(self) -> Job | None:
        with self.store.answering():
            active = self._active()
            return _without_detail(active) if active else None

    def by_idempotency_key(self, key: str, since: datetime) -> Job | None:
        with self.store.answering():
            found = [
                job
                for job in self.rows.values()
                if job.idempotency and job.idempotency.key == key and job.created_at >= since
            ]
            return max(found, key=lambda job: job.created_at, default=None)

    def page(self, wanted: JobFilter, *, limit: int, offset: int, after: TimedKey | None = None) -> Page[Job]:
        with self.store.answering():
            found = sorted(
                (_without_detail(job) for job in self.rows.values() if wanted.matches(job)),
                key=lambda job: (job.created_at, job.id),
                reverse=True,
            )
            following = [job for job in found if after is None or (job.created_at, job.id) < after]
            return Page(following[offset : offset + limit], len(found))

    def plan(self, job_id: UUID) -> Plan:
        with self.store.answering():
            if job_id not in self.plans:
                raise JobNotFound(f"There is no job {job_id}.")
            return unpack_plan(self.plans[job_id], f"plan of job {job_id}")

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        with self.store.answering():
            due = [(job.webhook_events.due_at, job.id) for job in self.rows.values()]
            return [job_id for _, job_id in sorted((at, job_id) for at, job_id in due if at is not None and at <= now)]

    def delete_finished(self, before: datetime) -> int:
        with self.store.answering():
            old = [job.id for job in self.rows.values() if job.ended_at is not None and job.ended_at < before]
            for job_id in old:
                del self.rows[job_id]
                self.plans.pop(job_id, None)
                self._ledger.rows.pop(job_id, None)
            return len(old)

    def check_fence(self, fence: Fence | None) -> None:
        if fence is None:
            return
        if fence.job_id not in self.rows:
            raise LeaseLost(f"Job {fence.job_id} has been removed.")
        self.rows[fence.job_id].check_fence(fence.token)

    def put_in(self, job: Job, plan: Plan | None = None) -> Job:
        """Store a job in any state."""
        with self.store.lock:
            self.rows[job.id], self.plans[job.id] = job, pack_plan(plan or Plan(()))
        return job

    def damage(self, job_id: UUID) -> None:
        """Make a job unreadable. The adapters return an unreadable job as failed, with the reason."""
        job = self.rows[job_id]
        self.rows[job_id] = corrupt_job(
            {},
            job_id=job.id,
            job_type=str(job.job_type),
            created_at=job.created_at,
            created_by=job.created_by,
            progressed_at=job.progressed_at,
            token=job.token + 1,
            revision=job.revision + 1,
            error=corrupt_job_error(job_id, ValueError("it is damaged")).message,
        )


def _without_detail(job: Job) -> Job:
    return replace(job, progress=replace(job.progress, districts={}, errors=()))


class MemoryControl(ControlStorage):
    def __init__(self, store: MemoryStore, jobs: MemoryJobs, audit: MemoryAudit) -> None:
        self.store, self._jobs, self._audit = store, jobs, audit
        self.limits = StoredLimits()
        self.schedule = RequestSchedule()
        self.seen_at: datetime | None = None

    def rate_limits(self) -> StoredLimits:
        with self.store.answering():
            return self.limits

    def update_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> Change[StoredLimits]:
        with self.store.answering():
            before, after = self.limits, change(self.limits)
            entry = audit(before, after) if audit and after != before else None
            self.limits = after
            if entry is not None:
                self._audit.entries.append(entry)
            return Change(before, after, entry)

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        with self.store.answering():
            self._jobs.check_fence(fence)
            after = change(self.schedule)
            self.schedule = replace(after, hold_reason=storable(after.hold_reason))
            return self.schedule

    def report_worker(self, at: datetime) -> None:
        with self.store.answering():
            self.seen_at = max(self.seen_at or at, at)

    def worker_seen_at(self) -> datetime | None:
        with self.store.answering():
            return self.seen_at

    def counters(self) -> JobCounters:
        with self.store.answering():
            return self._jobs.job_counters

    def ping(self) -> None:
        with self.store.answering():
            return

    def disconnect(self) -> None:
        with self.store.lock:
            self.store.disconnects += 1


class MemoryResults(ResultStorage):
    def __init__(self, store: MemoryStore, jobs: MemoryJobs) -> None:
        self.store, self._jobs = store, jobs
        self.rows: dict[tuple[date, str], Result] = {}
        self.damaged: set[tuple[date, str]] = set()

    def put(self, results: Sequence[Result], *, fence: Fence | None = None) -> None:
        with self.store.answering():
            self._jobs.check_fence(fence)
            self.rows |= {(result.date, result.district): result for result in results}
            self.damaged -= {(result.date, result.district) for result in results}

    def get(self, day: date, district: str) -> Result | None:
        with self.store.answering():
            if (day, district) in self.damaged:
                raise CorruptRecord(f"The result {day}/{district} is damaged.")
            return self.rows.get((day, district))

    def get_several(self, day: date, districts: Collection[str]) -> Mapping[str, Result]:
        with self.store.answering():
            keys = [(day, district) for district in districts]
            return {key[1]: self.rows[key] for key in keys if key in self.rows and key not in self.damaged}

    def metadata(self, first: date, last: date) -> Iterator[ResultMetadata]:
        with self.store.answering():
            found = [r for (day, _), r in sorted(self.rows.items()) if first <= day <= last]
        for r in found:
            yield ResultMetadata(r.date, r.district, r.input_digest, r.source_hash, r.schema_version, r.job_id)

    def points(self, keys: Collection[tuple[date, str]]) -> Mapping[tuple[date, str], Point]:
        with self.store.answering():
            found = {key: self.rows[key] for key in keys if key in self.rows}
            return {
                key: Point(*key, r.source_hash, r.schema_version, r.point)
                for key, r in found.items()
                if r.point is not None
            }

    def series(self, district: str, year: ProgramYear) -> list[Point]:
        with self.store.answering():
            keys = [key for key, r in sorted(self.rows.items()) if key[1] == district and r.program_year == year]
        return list(self.points(keys).values())

    def years(self, district: str) -> Iterator[ProgramYear]:
        with self.store.answering():
            return iter(sorted({r.program_year for (_, name), r in self.rows.items() if name == district})[::-1])


class MemorySnapshots(SnapshotStorage):
    def __init__(self, store: MemoryStore, jobs: MemoryJobs, results: MemoryResults, audit: MemoryAudit) -> None:
        self.store, self._jobs, self._results, self._audit = store, jobs, results, audit
        self.rows: dict[tuple[date, str], Snapshot] = {}
        self.damaged: set[tuple[date, str]] = set()
        self.puts = 0

    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        with self.store.answering():
            self._jobs.check_fence(fence)
            self.puts += 1
            key = snapshot.date, snapshot.district
            stored = self.rows.get(key)
            if stored is not None and key not in self.damaged and not snapshot.supersedes(stored):
                return False
            self.rows[key] = snapshot
            self.damaged.discard(key)
            return True

    def put_imported(
        self, snapshots: Sequence[Snapshot], *, audit_entries: Sequence[AuditEntry] = ()
    ) -> Sequence[bool]:
        with self.store.answering():
            if (active := self._jobs.active()) is not None:
                raise active.conflict()
            stored = [self.put(snapshot) for snapshot in snapshots]
            if any(stored):
                self._audit.add(audit_entries)
            return stored

    def get(self, day: date, district: str) -> Snapshot | None:
        with self.store.answering():
            if (day, district) in self.damaged:
                raise CorruptRecord(f"The snapshot {day}/{district} is damaged.")
            return self.rows.get((day, district))

    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        found = {}
        for district in districts:
            with suppress(CorruptRecord):
                if snapshot := self.get(day, district):
                    found[district] = snapshot
        return found

    def page(
        self, wanted: SnapshotFilter, *, limit: int, offset: int, after: SnapshotKey | None = None
    ) -> Page[Snapshot]:
        with self.store.answering():
            found = [
                replace(snapshot, reports={name: replace(r, content=b"") for name, r in snapshot.reports.items()})
                for (day, district), snapshot in sorted(self.rows.items())
                if (wanted.first is None or day >= wanted.first)
                and (wanted.last is None or day <= wanted.last)
                and (wanted.district is None or district == wanted.district)
            ]
            following = [snapshot for snapshot in found if after is None or (snapshot.date, snapshot.district) > after]
            return Page(following[offset : offset + limit], len(found))

    def _range(self, first: date, last: date) -> list[Snapshot]:
        with self.store.answering():
            return [snapshot for (day, _), snapshot in sorted(self.rows.items()) if first <= day <= last]

    def editions(self, first: date, last: date) -> Iterator[StoredEdition]:
        groups: dict[tuple[date, date, bool, UUID], set[str]] = defaultdict(set)
        for s in self._range(first, last):
            groups[s.date, s.as_of, s.is_final, s.job_id].add(s.district)
        for (day, as_of, is_final, job_id), districts in sorted(groups.items()):
            yield StoredEdition(date=day, as_of=as_of, is_final=is_final, job_id=job_id, districts=frozenset(districts))

    def metadata(self, first: date, last: date) -> Iterator[SnapshotMetadata]:
        for s in self._range(first, last):
            yield SnapshotMetadata(s.date, s.district, s.data_month, s.as_of, s.is_final, s.content_hash)

    def days(self, first: date, last: date, *, is_quick: bool = False) -> Iterator[StoredDay]:
        by_day: dict[date, list[Snapshot]] = defaultdict(list)
        for snapshot in self._range(first, last):
            by_day[snapshot.date].append(snapshot)
        computed = {key: result.source_hash for key, result in self._results.rows.items()}
        for day, found in by_day.items():
            yield StoredDay(
                date=day,
                snapshots=frozenset(s.district for s in found),
                final=frozenset(s.district for s in found if s.is_final),
                analysed=frozenset(s.district for s in found if computed.get((day, s.district)) == s.content_hash),
            )

    def span(self) -> tuple[date, date] | None:
        with self.store.answering():
            days = [day for day, _ in self.rows]
            return (min(days), max(days)) if days else None


class MemoryCalendars(CalendarStorage):
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.rows: dict[date, CalendarMonth] = {}
        self.claim = CalendarClaim()

    def months(self, first: date, last: date) -> list[CalendarMonth]:
        with self.store.answering():
            return [month for end, month in sorted(self.rows.items()) if first <= end <= last]

    def save(self, month: CalendarMonth) -> None:
        with self.store.answering():
            self.rows[month.month_end] = month

    def update_claim(self, change: Callable[[CalendarClaim], CalendarClaim]) -> CalendarClaim:
        with self.store.answering():
            self.claim = change(self.claim)
            return self.claim


class MemoryTargets(TargetStorage):
    def __init__(self, store: MemoryStore, audit: MemoryAudit) -> None:
        self.store, self._audit = store, audit
        self.value, self.state = CoverageTarget(), KeeperState()

    def target(self) -> CoverageTarget:
        with self.store.answering():
            return self.value

    def update_target(
        self,
        change: Callable[[CoverageTarget], CoverageTarget],
        *,
        audit: Callable[[CoverageTarget, CoverageTarget], AuditEntry] | None = None,
    ) -> Change[CoverageTarget]:
        with self.store.answering():
            changed = self._changed(self.value, change(self.value), audit)
            self.value = changed.after
            return changed

    def keeper(self) -> KeeperState:
        with self.store.answering():
            return self.state

    def update_keeper(
        self,
        change: Callable[[KeeperState], KeeperState],
        *,
        audit: Callable[[KeeperState, KeeperState], AuditEntry] | None = None,
    ) -> Change[KeeperState]:
        with self.store.answering():
            changed = self._changed(self.state, change(self.state), audit)
            self.state = changed.after
            return changed

    def _changed(self, before: T, after: T, audit: Callable[[T, T], AuditEntry] | None) -> Change[T]:
        if after == before:
            return Change(before, before)
        entry = audit(before, after) if audit else None
        if entry is not None:
            self._audit.entries.append(entry)
        return Change(before, after, entry)


class MemoryStorage(Storage):
    """All ports over one store in memory."""

    jobs: MemoryJobs
    ledger: MemoryLedger
    audit: MemoryAudit
    control: MemoryControl
    snapshots: MemorySnapshots
    results: MemoryResults
    calendars: MemoryCalendars
    targets: MemoryTargets

    def __init__(self) -> None:
        store = MemoryStore()
        ledger, audit = MemoryLedger(store), MemoryAudit(store)
        jobs = MemoryJobs(store, ledger, audit)
        results = MemoryResults(store, jobs)
        super().__init__(
            jobs=jobs,
            ledger=ledger,
            audit=audit,
            control=MemoryControl(store, jobs, audit),
            snapshots=MemorySnapshots(store, jobs, results, audit),
            results=results,
            calendars=MemoryCalendars(store),
            targets=MemoryTargets(store, audit),
        )

    @property
    def store(self) -> MemoryStore:
        return self.jobs.store

    def clear(self) -> None:
        """Remove everything that is stored."""
        with self.store.lock:
            empty = MemoryStorage()
            for name in ("jobs", "ledger", "audit", "control", "snapshots", "results", "calendars", "targets"):
                current, new = vars(getattr(self, name)), vars(getattr(empty, name))
                current |= {key: value for key, value in new.items() if key != "store" and not key.startswith("_")}
