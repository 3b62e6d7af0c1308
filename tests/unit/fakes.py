"""What the unit tests put in place of a database, a clock, the dashboard and the work; and small builders of values.

The storage keeps plans and ledgers as the bytes that the adapters write, so that what is read back went the same way.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

from backfill.dashboard.calendar_page import CalendarPage
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    SUMMARY,
    AuditEntry,
    CalendarMonth,
    Edition,
    Job,
    JobConfig,
    JobCounters,
    JobFilter,
    JobType,
    Lease,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Plan,
    PlannedDay,
    Point,
    ProgramYear,
    Progress,
    RateLimits,
    Report,
    ReportName,
    RequestSchedule,
    Result,
    ResultFacts,
    Segment,
    Snapshot,
    SnapshotFacts,
    SnapshotFilter,
    Status,
    StoredDay,
    StoredEdition,
    StoredLimits,
    WorkItem,
    month_end_of,
    reports_of,
)
from backfill.domain.clock import SYSTEM_CLOCK
from backfill.errors import CorruptRecord, JobNotFound, LeaseLost, StorageUnavailable
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.rate_limit import Limiter
from backfill.storage import Fence, JobStorage, Page, SnapshotStorage, Storage
from backfill.storage.serialization.packing import pack_outcomes, pack_plan, unpack_plan, unpack_segment

NOW = datetime(2024, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
DAY = date(2024, 1, 31)
FAST = RateLimits(max_requests_per_minute=6000, max_concurrent=3, min_delay_ms=0, max_delay_ms=100)
"""An interval of 10 ms."""


def eventually(is_so: Callable[[], object], within: float = 10.0) -> bool:
    """Whether something becomes true in time; looked at every 5 ms."""
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def utc_now() -> datetime:
    return datetime.now(UTC)


class FakeClock:
    """A clock that goes where it is told."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **length: float) -> datetime:
        self.at += timedelta(**length)
        return self.at


# Values.


def an_edition(month_end: date = DAY, as_of: date = date(2024, 2, 9), *, is_final: bool = True) -> Edition:
    return Edition(month_end=month_end, as_of=as_of, is_final=is_final, is_archived=False, asks_blank=False)


def a_month(
    month_end: date = DAY,
    *as_of_days: date,
    districts: tuple[str, ...] = ("01", "02", "F"),
    is_closed: bool = True,
    is_archived: bool = False,
    has_blank_close: bool = False,
    fetched_at: datetime = NOW,
) -> CalendarMonth:
    return CalendarMonth(
        month_end=month_end,
        districts=districts,
        as_of_days=as_of_days,
        is_archived=is_archived,
        is_closed=is_closed,
        has_blank_close=has_blank_close,
        fetched_at=fetched_at,
    )


def a_plan(dates: int = 2, districts: tuple[str, ...] = (SUMMARY, "01", "F"), *, last: date = DAY) -> Plan:
    """So many days that end with `last`."""
    days = [last - timedelta(days=n) for n in reversed(range(dates))]
    return Plan(tuple(PlannedDay(day, districts, an_edition(month_end_of(day))) for day in days))


def a_job(**fields: Any) -> Job:
    values: dict[str, Any] = {
        "id": uuid4(),
        "job_type": JobType.DATA_COLLECTION,
        "created_at": NOW,
        "created_by": "operator",
        "config": JobConfig(start_date=date(2024, 1, 30), end_date=DAY),
        "progress": Progress(total_items=6),
        "progressed_at": NOW,
    }
    return Job(**{**values, **fields})


def a_running_job(now: datetime = NOW, **fields: Any) -> Job:
    """Held by a live runner under token 1."""
    return a_job(
        **{
            "status": Status.RUNNING,
            "token": 1,
            "started_at": now,
            "progressed_at": now,
            "lease": Lease(owner="runner", expires_at=now + timedelta(seconds=15)),
            **fields,
        }
    )


def an_outcome(
    item: WorkItem,
    kind: OutcomeKind = OutcomeKind.PROCESSED,
    at: datetime = NOW,
    *,
    reason: str = "",
    message: str = "",
    is_retryable: bool = False,
) -> Outcome:
    return Outcome(item, kind, at, reason, message, 1, is_retryable)


def a_report(content: bytes = b"report", rows: int = 1) -> Report:
    return Report(
        rows=rows, size=len(content), content_hash=blake2b(content, digest_size=16).hexdigest(), content=content
    )


def a_snapshot(day: date = DAY, district: str = "01", **fields: Any) -> Snapshot:
    values: dict[str, Any] = {
        "date": day,
        "district": district,
        "data_month": month_end_of(day),
        "as_of": date(2024, 2, 9),
        "is_final": True,
        "fetched_at": NOW,
        "job_id": uuid4(),
        "reports": {name: a_report(f"{name} {district}".encode()) for name in reports_of(district)},
    }
    return Snapshot(**{**values, **fields})


def a_page(month_end: date, *as_of_days: date, **fields: Any) -> CalendarPage:
    values: dict[str, Any] = {
        "program_year": ProgramYear.of(month_end),
        "program_years": (ProgramYear.of(month_end),),
        "month": month_end.month,
        "months": (7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6),
        "districts": ("01", "02", "F"),
        "as_of_days": as_of_days,
        "has_blank_close": False,
    }
    return CalendarPage(**{**values, **fields})


# The storage.


class FakeStore:
    """What both ports share: one lock, and whether the store answers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_down = False
        self.broken_by: Exception | None = None
        """Raised once by the next call, as an error that nobody expects."""
        self.disconnects = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        with self.lock:
            if self.is_down:
                raise StorageUnavailable("The job store does not answer: it is told so.")
            if self.broken_by is not None:
                broken_by, self.broken_by = self.broken_by, None
                raise broken_by
            yield


def _without_detail(job: Job) -> Job:
    return replace(job, progress=replace(job.progress, districts={}, errors=()))


class FakeJobs(JobStorage):
    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.rows: dict[UUID, Job] = {}
        self.plans: dict[UUID, bytes] = {}
        self.ledgers: dict[UUID, dict[int, bytes]] = defaultdict(dict)
        self.schedule = RequestSchedule()
        self.limits = StoredLimits()
        self.trail: list[AuditEntry] = []
        self.seen_at: datetime | None = None
        self.sums = JobCounters()
        self.updates = 0
        self.segment_writes: list[tuple[float, int, int]] = []
        """When (by the monotonic clock), which segment, how many outcomes."""
        self.clock = SYSTEM_CLOCK

    def create(
        self,
        job: Job,
        plan: Plan,
        *,
        displace: Callable[[Job], Job | None],
        audit: Callable[[Job | None], Sequence[AuditEntry]] | None = None,
    ) -> Job:
        with self.store.answering():
            active, displaced = self._active(), None
            if active is not None:
                ended = displace(active)
                if ended is None:
                    raise active.conflict()
                displaced = self._write(ended)
            self.rows[job.id], self.plans[job.id] = job, pack_plan(plan)
            if audit is not None:
                self.trail += audit(displaced)
            return job

    def update(
        self,
        job_id: UUID,
        change: Callable[[Job], Job],
        *,
        segment: Segment | None = None,
        audit: Callable[[Job, Job], AuditEntry] | None = None,
    ) -> Job:
        with self.store.answering():
            if job_id not in self.rows:
                raise JobNotFound(f"There is no job {job_id}.")
            before = self.rows[job_id]
            change(before)  # a storage may apply it twice
            after = change(before)
            if segment is not None:
                self.ledgers[job_id][segment.number] = pack_outcomes(segment.outcomes)
                self.segment_writes.append((self.clock.monotonic(), segment.number, len(segment.outcomes)))
            self.updates += 1
            if after is before:
                return before
            if audit is not None:
                self.trail.append(audit(before, after))
            return self._write(after)

    def _write(self, job: Job) -> Job:
        if self.rows[job.id].status.is_active and not job.status.is_active:
            self.sums = self.sums.plus(job)
        self.rows[job.id] = replace(job, revision=self.rows[job.id].revision + 1)
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

    def page(self, wanted: JobFilter, *, limit: int, offset: int) -> Page[Job]:
        with self.store.answering():
            found = sorted(
                (
                    _without_detail(job)
                    for job in self.rows.values()
                    if (not wanted.statuses or job.status in wanted.statuses)
                    and (not wanted.job_types or job.job_type in wanted.job_types)
                    and (wanted.created_from is None or job.created_at >= wanted.created_from)
                    and (wanted.created_to is None or job.created_at < wanted.created_to)
                ),
                key=lambda job: (job.created_at, job.id),
                reverse=True,
            )
            return Page(found[offset : offset + limit], len(found))

    def plan(self, job_id: UUID) -> Plan:
        with self.store.answering():
            if job_id not in self.plans:
                raise JobNotFound(f"There is no job {job_id}.")
            return unpack_plan(self.plans[job_id], f"plan of job {job_id}")

    def segments(self, job_id: UUID) -> Iterator[Segment]:
        with self.store.answering():
            packed = sorted(self.ledgers[job_id].items())
        for number, outcomes in packed:
            yield unpack_segment(number, outcomes, f"segment {number} of job {job_id}")

    def outcomes(self, job_id: UUID, wanted: OutcomeFilter, *, limit: int, offset: int) -> Page[Outcome]:
        found = [outcome for outcome in self.ledger(job_id) if wanted.matches(outcome)]
        return Page(found[offset : offset + limit], len(found))

    def ledger(self, job_id: UUID) -> list[Outcome]:
        return [outcome for segment in self.segments(job_id) for outcome in segment.outcomes]

    def delete_finished(self, before: datetime) -> int:
        with self.store.answering():
            old = [job.id for job in self.rows.values() if job.ended_at is not None and job.ended_at < before]
            for job_id in old:
                del self.rows[job_id]
                self.plans.pop(job_id, None)
                self.ledgers.pop(job_id, None)
            return len(old)

    def with_webhook_event_due(self, now: datetime) -> list[UUID]:
        with self.store.answering():
            due = [(job.webhook_events.due_at, job.id) for job in self.rows.values()]
            return [job_id for _, job_id in sorted((at, job_id) for at, job_id in due if at is not None and at <= now)]

    def counters(self) -> JobCounters:
        with self.store.answering():
            return self.sums

    def rate_limits(self) -> StoredLimits:
        with self.store.answering():
            return self.limits

    def save_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> StoredLimits:
        with self.store.answering():
            before, self.limits = self.limits, change(self.limits)
            if audit is not None and self.limits != before:
                self.trail.append(audit(before, self.limits))
            return self.limits

    def audit(self, job_id: UUID | None, *, limit: int, offset: int) -> Page[AuditEntry]:
        with self.store.answering():
            found = [entry for entry in self.trail if job_id is None or entry.job_id == job_id]
            found.sort(key=lambda entry: (entry.at, entry.id), reverse=True)
            return Page(found[offset : offset + limit], len(found))

    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        with self.store.answering():
            there = {entry.id for entry in self.trail}
            self.trail += [entry for entry in entries if entry.id not in there]

    def delete_audit(self, before: datetime) -> int:
        with self.store.answering():
            kept = [entry for entry in self.trail if entry.at >= before]
            removed, self.trail = len(self.trail) - len(kept), kept
            return removed

    def report_worker(self, at: datetime) -> None:
        with self.store.answering():
            self.seen_at = max(self.seen_at or at, at)

    def worker_seen_at(self) -> datetime | None:
        with self.store.answering():
            return self.seen_at

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        with self.store.answering():
            self.check_fence(fence)
            self.schedule = change(self.schedule)
            return self.schedule

    def check_fence(self, fence: Fence | None) -> None:
        if fence is None:
            return
        if fence.job_id not in self.rows:
            raise LeaseLost(f"Job {fence.job_id} has been removed.")
        self.rows[fence.job_id].check_fence(fence.token)

    def ping(self) -> None:
        with self.store.answering():
            return

    def disconnect(self) -> None:
        with self.store.lock:
            self.store.disconnects += 1

    def put_in(self, job: Job, plan: Plan | None = None) -> Job:
        """A job in any state, as if it had come to be so."""
        with self.store.lock:
            self.rows[job.id], self.plans[job.id] = job, pack_plan(plan or a_plan())
        return job


class FakeSnapshots(SnapshotStorage):
    def __init__(self, store: FakeStore, jobs: FakeJobs) -> None:
        self.store, self.jobs = store, jobs
        self.rows: dict[tuple[date, str], Snapshot] = {}
        self.months: dict[date, CalendarMonth] = {}
        self.results: dict[tuple[date, str], Result] = {}
        self.puts = 0

    def put(self, snapshot: Snapshot, *, fence: Fence | None = None) -> bool:
        with self.store.answering():
            self.jobs.check_fence(fence)
            self.puts += 1
            stored = self.rows.get((snapshot.date, snapshot.district))
            if stored is not None and not snapshot.supersedes(stored):
                return False
            self.rows[snapshot.date, snapshot.district] = snapshot
            return True

    def get(self, day: date, district: str) -> Snapshot | None:
        with self.store.answering():
            return self.rows.get((day, district))

    def get_several(self, day: date, districts: Collection[str]) -> dict[str, Snapshot]:
        found = {}
        for district in districts:
            with suppress(CorruptRecord):
                if snapshot := self.get(day, district):
                    found[district] = snapshot
        return found

    def page(self, wanted: SnapshotFilter, *, limit: int, offset: int) -> Page[Snapshot]:
        with self.store.answering():
            found = [
                replace(snapshot, reports={name: replace(r, content=b"") for name, r in snapshot.reports.items()})
                for (day, district), snapshot in sorted(self.rows.items())
                if (wanted.first is None or day >= wanted.first)
                and (wanted.last is None or day <= wanted.last)
                and (wanted.district is None or district == wanted.district)
            ]
            return Page(found[offset : offset + limit], len(found))

    def keys(self, first: date, last: date) -> Iterator[StoredEdition]:
        with self.store.answering():
            groups: dict[tuple[date, date, bool, UUID], set[str]] = defaultdict(set)
            for (day, district), s in self.rows.items():
                if first <= day <= last:
                    groups[day, s.as_of, s.is_final, s.job_id].add(district)
        for (day, as_of, is_final, job_id), districts in sorted(groups.items()):
            yield StoredEdition(date=day, as_of=as_of, is_final=is_final, job_id=job_id, districts=frozenset(districts))

    def calendar(self, first: date, last: date) -> list[CalendarMonth]:
        with self.store.answering():
            return [month for end, month in sorted(self.months.items()) if first <= end <= last]

    def save_calendar(self, month: CalendarMonth) -> None:
        with self.store.answering():
            self.months[month.month_end] = month

    def facts(self, first: date, last: date) -> Iterator[SnapshotFacts]:
        with self.store.answering():
            found = [s for (day, _), s in sorted(self.rows.items()) if first <= day <= last]
        for s in found:
            yield SnapshotFacts(s.date, s.district, s.data_month, s.as_of, s.is_final, s.content_hash)

    def days(self, first: date, last: date) -> Iterator[StoredDay]:
        by_day: dict[date, list[Snapshot]] = defaultdict(list)
        with self.store.answering():
            for (day, _), snapshot in sorted(self.rows.items()):
                if first <= day <= last:
                    by_day[day].append(snapshot)
            computed = {key: result.source_hash for key, result in self.results.items()}
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

    def put_results(self, results: Sequence[Result], *, fence: Fence | None = None) -> None:
        with self.store.answering():
            self.jobs.check_fence(fence)
            self.results |= {(result.date, result.district): result for result in results}

    def result(self, day: date, district: str) -> Result | None:
        with self.store.answering():
            return self.results.get((day, district))

    def result_facts(self, first: date, last: date) -> Iterator[ResultFacts]:
        with self.store.answering():
            found = [r for (day, _), r in sorted(self.results.items()) if first <= day <= last]
        for r in found:
            yield ResultFacts(r.date, r.district, r.input_digest, r.source_hash, r.schema_version, r.job_id)

    def points(self, keys: Collection[tuple[date, str]]) -> Mapping[tuple[date, str], Point]:
        with self.store.answering():
            found = {key: self.results[key] for key in keys if key in self.results}
            return {
                key: Point(*key, r.source_hash, r.schema_version, r.point)
                for key, r in found.items()
                if r.point is not None
            }

    def series(self, district: str, year: ProgramYear) -> list[Point]:
        with self.store.answering():
            keys = [key for key, r in sorted(self.results.items()) if key[1] == district and r.program_year == year]
        return list(self.points(keys).values())

    def years(self, district: str) -> Iterator[ProgramYear]:
        with self.store.answering():
            return iter(sorted({r.program_year for (_, name), r in self.results.items() if name == district})[::-1])


class FakeStorage(Storage):
    """Both ports over one store in memory."""

    jobs: FakeJobs
    snapshots: FakeSnapshots

    def __init__(self) -> None:
        store = FakeStore()
        jobs = FakeJobs(store)
        super().__init__(jobs, FakeSnapshots(store, jobs))

    @property
    def store(self) -> FakeStore:
        return self.jobs.store


# The dashboard and the work.


class ScriptedDashboard(DashboardClient):
    """Answers what it is told, once each and in order, and a plain report where it is told nothing."""

    def __init__(self) -> None:
        self.answers: dict[tuple[ReportName, str], list[Report | Exception]] = defaultdict(list)
        self.pages: dict[tuple[date, bool], list[CalendarPage | Exception]] = defaultdict(list)
        self.asked: list[ReportRequest] = []
        self.asked_pages: list[tuple[date, bool]] = []
        self.asked_districts: list[str] = []
        self.home: tuple[str, ...] | Exception = ("01", "02", "F")
        self.homes_asked = 0

    def scope(self) -> ScriptedDashboard:
        return self

    def report(self, request: ReportRequest) -> Report:
        self.asked.append(request)
        told = self.answers[request.report, request.district]
        answer = told.pop(0) if told else a_report(request.report_string.encode())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def home_page(self) -> tuple[str, ...]:
        self.homes_asked += 1
        if isinstance(self.home, Exception):
            raise self.home
        return self.home

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        """The last answer of a page is given again and again."""
        self.asked_pages.append((month_end, is_archived))
        self.asked_districts.append(district)
        told = self.pages[month_end, is_archived] or [a_page(month_end, month_end)]
        answer = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class RecordingLimiter(Limiter):
    """A limiter whose waits after failures take no time and are written down."""

    def __init__(self, storage: FakeStorage, limits: RateLimits = FAST, **options: Any) -> None:
        super().__init__(limits, storage.jobs.update_schedule, **options)
        self.back_offs: list[tuple[int, str]] = []
        self.holds: list[tuple[datetime, str]] = []

    def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
        if not is_over():
            self.back_offs.append((failures, reason))

    def hold(self, until: datetime, reason: str) -> None:
        self.holds.append((until, reason))


class FakeExecution(Execution):
    """Writes down when items start, and how many at once."""

    def __init__(
        self,
        do: Callable[[WorkItem], Outcome] | None = None,
        *,
        skips: Callable[[PlannedDay], Sequence[Outcome]] = lambda _: (),
    ) -> None:
        self.clock, self._skips = SYSTEM_CLOCK, skips
        self._do = do or (lambda item: an_outcome(item, at=self.clock.now()))
        self._lock = threading.Lock()
        self.started: list[tuple[float, WorkItem]] = []
        self.in_flight = self.most_in_flight = 0

    @property
    def items(self) -> list[WorkItem]:
        with self._lock:
            return [item for _, item in self.started]

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        return self._skips(day)

    def concurrency(self, limits: RateLimits) -> int:
        return limits.max_concurrent

    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        with self._lock:
            self.started += [(self.clock.monotonic(), item) for item in items]
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return [self._do(item) for item in items]
        finally:
            with self._lock:
                self.in_flight -= 1


class FakeWork(JobTypeHandler):
    """Plans what it is told, and counts how often it was asked."""

    def __init__(self, plan: Plan, execution: Execution | None = None) -> None:
        self.planned, self.execution = plan, execution or FakeExecution()
        self.asked: list[JobConfig] = []
        self.meanwhile: Callable[[], None] | None = None
        """What happens once, while the next plan is made."""

    def plan(self, config: JobConfig, now: datetime) -> Plan:
        self.asked.append(config)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return self.planned

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        return self.execution


def all_items(plan: Plan) -> list[WorkItem]:
    return [item for day in plan.days for item in day.items()]


def skipped(items: Iterable[WorkItem], reason: str = "stored") -> list[Outcome]:
    return [an_outcome(item, OutcomeKind.SKIPPED, reason=reason) for item in items]


def limits_of(**changes: float) -> RateLimits:
    return RateLimits().changed(changes)
