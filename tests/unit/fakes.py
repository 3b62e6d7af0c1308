"""Fakes of the clock, the dashboard and job types for unit tests, and small builders of values."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import uuid4

from backfill.dashboard.calendar_page import CalendarPage
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    SUMMARY,
    CalendarAccess,
    CalendarMonth,
    Edition,
    Job,
    JobConfig,
    JobType,
    Lease,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    ProgramYear,
    Progress,
    RateLimits,
    Report,
    ReportName,
    Snapshot,
    Status,
    WorkItem,
    month_end_of,
    reports_of,
)
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.job_types.collection.calendar_calls import NewLimiter, ReadingPace
from backfill.job_types.collection.calendar_reader import CalendarReader
from backfill.job_types.collection.calendars import Calendars
from backfill.rate_limit import Limiter
from backfill.storage import Fence
from tests.memory_storage import MemoryStorage

NOW = datetime(2024, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
DAY = date(2024, 1, 31)
FAST = RateLimits(max_requests_per_minute=6000, max_concurrent=3, min_delay_ms=0, max_delay_ms=100)
"""An interval of 10 ms."""


def eventually(condition: Callable[[], object], within: float = 10.0) -> bool:
    """Returns whether a condition becomes true in time. It is checked every 5 ms."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def utc_now() -> datetime:
    return datetime.now(UTC)


class FakeClock:
    """A clock that the test sets."""

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
    """Returns a plan of `dates` consecutive days that end with `last`."""
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
    """Returns a job that a live runner holds with token 1."""
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


# The dashboard and job types.


class ScriptedDashboard(DashboardClient):
    """A dashboard that returns prepared responses in order, and a plain report if there is none."""

    def __init__(self) -> None:
        self.answers: dict[tuple[ReportName, str], list[Report | Exception]] = defaultdict(list)
        self.pages: dict[tuple[date, bool], list[CalendarPage | Exception]] = defaultdict(list)
        self.report_requests: list[ReportRequest] = []
        self.page_requests: list[tuple[date, bool]] = []
        self.page_districts: list[str] = []
        self.home: tuple[str, ...] | Exception = ("01", "02", "F")
        self.home_page_requests = 0

    def scope(self) -> ScriptedDashboard:
        return self

    def report(self, request: ReportRequest) -> Report:
        self.report_requests.append(request)
        responses = self.answers[request.report, request.district]
        answer = responses.pop(0) if responses else a_report(request.report_string.encode())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def home_page(self) -> tuple[str, ...]:
        self.home_page_requests += 1
        if isinstance(self.home, Exception):
            raise self.home
        return self.home

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        """Returns the prepared responses of the page in order. The last one is repeated."""
        self.page_requests.append((month_end, is_archived))
        self.page_districts.append(district)
        responses = self.pages[month_end, is_archived] or [a_page(month_end, month_end)]
        answer = responses.pop(0) if len(responses) > 1 else responses[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class RecordingLimiter(Limiter):
    """A limiter that records its waits after failures and does not wait."""

    def __init__(self, storage: MemoryStorage, limits: RateLimits = FAST, **options: Any) -> None:
        super().__init__(limits, storage.control.update_schedule, **options)
        self.back_offs: list[tuple[int, str]] = []
        self.holds: list[tuple[datetime, str]] = []

    def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
        if not is_over():
            self.back_offs.append((failures, reason))

    def hold(self, until: datetime, reason: str) -> None:
        self.holds.append((until, reason))


def a_calendar_reader(
    storage: MemoryStorage,
    calendars: Calendars,
    new_limiter: NewLimiter | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    max_waiting: int = 4,
    pace: Callable[[], ReadingPace] = lambda: ReadingPace(FAST, is_shared=False),
) -> CalendarReader:
    """A reader whose back-offs take no time, unless another limiter is given."""

    def recording(limits: RateLimits, is_wanted: Callable[[], bool]) -> Limiter:
        return RecordingLimiter(storage, limits, max_wait=30, is_wanted=is_wanted, clock=clock)

    return CalendarReader(storage, calendars, new_limiter or recording, pace, max_waiting=max_waiting, clock=clock)


class FakeExecution(Execution):
    """An execution that records when items start and how many are in flight."""

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


class FakeHandler(JobTypeHandler):
    """A job type with a prepared plan. It records for which configurations it was called."""

    def __init__(self, plan: Plan, execution: Execution | None = None) -> None:
        self.planned, self.execution = plan, execution or FakeExecution()
        self.configs: list[JobConfig] = []
        self.meanwhile: Callable[[], None] | None = None
        """Called once during the next call of `plan`."""

    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:
        self.configs.append(config)
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
