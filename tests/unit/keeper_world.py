"""A service whose dashboard publishes figures day by day, for tests of the keeper. Time passes only by `sleep`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from backfill.domain import (
    Actor,
    CalendarAccess,
    CalendarMonth,
    Channel,
    Job,
    JobConfig,
    JobType,
    Outcome,
    OutcomeKind,
    Plan,
    ProgramYear,
    Progress,
    Segment,
    Status,
    TargetSettings,
    WorkItem,
    calendar_ends,
    month_end_of,
)
from backfill.domain.clock import Clock
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import DashboardUnavailable
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.job_types.collection.plan import narrowed, planned_days
from backfill.job_types.compute import compute_backend_factory
from backfill.rate_limit import Limiter
from backfill.service.commands import BackfillService
from backfill.service.keeper import Keeper
from backfill.storage import Fence
from tests.factories import ResultFactory
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import a_snapshot

START = datetime(2026, 11, 10, 6, 0, tzinfo=UTC)
DISTRICTS = ("01", "02", "F")
CLOSES_AFTER = timedelta(days=15)
"""The days after the end of a month until its figures are final."""

ADA = Actor("ada", Channel.API)


class KeeperWorld(JobTypeHandler):
    """The service, its store, and the handler of collection jobs. `run_job` takes the place of a worker."""

    def __init__(self, at: datetime = START, **config: object) -> None:
        self.now = at
        self.storage = MemoryStorage()
        self.clock = Clock(now=lambda: self.now)
        self.config = replace(RuntimeConfig(clock=self.clock), **config)  # type: ignore[arg-type]
        analytics = AnalyticsHandler(self.storage, compute_backend_factory("threads"), now=lambda: self.now)
        handlers: dict[JobType, JobTypeHandler] = {
            JobType.DATA_COLLECTION: self,
            JobType.ANALYTICS_GENERATION: analytics,
        }
        self.service = BackfillService(self.storage, handlers, self.config)
        self.keeper = Keeper(self.service, "one")
        self.is_down = False
        self.broken: dict[WorkItem, tuple[OutcomeKind, str]] = {}
        """Outcomes of items that the dashboard does not deliver."""
        self.pages_read = 0
        self.fetched: list[WorkItem] = []

    # The dashboard.

    def month(self, end: date) -> CalendarMonth:
        """Figures of each day of a month are published on the next one, and closing figures every five days."""
        today = self.now.date()
        first = end.replace(day=1) + timedelta(days=6)
        days = [first + timedelta(days=n) for n in range((end + CLOSES_AFTER - first).days)]
        published = tuple(day for day in days if day < today and (day <= end or (day - end).days % 5 == 0))
        return CalendarMonth(
            month_end=end,
            districts=DISTRICTS,
            as_of_days=published,
            is_archived=ProgramYear.of(end) < ProgramYear.of(today),
            is_closed=today > end + CLOSES_AFTER,
            has_blank_close=False,
            fetched_at=self.now,
        )

    def read_calendar(self, month_ends: Sequence[date], access: CalendarAccess, *, known: int) -> None:
        if self.is_down:
            raise DashboardUnavailable("The dashboard does not answer.")
        for end in month_ends:
            self.pages_read += 1
            self.storage.calendars.save(self.month(end))

    # The handler of collection jobs.

    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:
        raise NotImplementedError("The keeper plans items.")

    def plan_items(
        self, config: JobConfig, now: datetime, items: Iterable[WorkItem], access: CalendarAccess | None = None
    ) -> Plan:
        wanted = set(items)
        dates = sorted({item.date for item in wanted})
        ends = {end for day in dates for end in calendar_ends(day)}
        months = {month.month_end: month for month in self.storage.calendars.months(min(ends), max(ends))}
        days, _ = planned_days(config, dates, months)
        return narrowed(Plan(tuple(days)), wanted)

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        raise NotImplementedError("`run_job` takes the place of a worker.")

    # The operator and the worker.

    def keep(self, settings: TargetSettings) -> None:
        self.service.targets.replace(settings, by=ADA, expected_version=None)

    def sleep(self, **length: float) -> datetime:
        self.now += timedelta(**length)
        return self.now

    def run_job(self, status: Status = Status.COMPLETED, *, requests: int = 0) -> Job:
        """End the active job a minute later with the outcomes of its items."""
        self.sleep(minutes=1)
        job = self.storage.jobs.active()
        assert job is not None
        collects = job.job_type is JobType.DATA_COLLECTION
        outcomes = []
        for day in self.storage.jobs.plan(job.id).days if status is not Status.CANCELLED else ():
            for item in day.items():
                kind, reason = self.broken.get(item, (OutcomeKind.PROCESSED, ""))
                outcomes.append(Outcome(item, kind, self.now, reason, "", 1))
                if collects:
                    self.fetched.append(item)
                if kind is OutcomeKind.PROCESSED and collects:
                    assert day.edition is not None
                    self._store(job, item, day.edition.as_of, is_final=day.edition.is_final)
                elif kind is OutcomeKind.PROCESSED:
                    self._compute(item)
        kinds = Counter(outcome.kind for outcome in outcomes)
        progress = Progress(
            total_items=job.progress.total_items,
            processed=kinds[OutcomeKind.PROCESSED],
            failed=kinds[OutcomeKind.FAILED],
            skipped=Counter(outcome.reason for outcome in outcomes if outcome.kind is OutcomeKind.SKIPPED),
        )
        return self._ended(job, status, progress, outcomes, requests)

    def _ended(self, job: Job, status: Status, progress: Progress, outcomes: list[Outcome], requests: int) -> Job:
        limiter = replace(progress.limiter, requests_made=requests)
        ended = replace(job, status=status, ended_at=self.now, progress=replace(progress, limiter=limiter), segments=1)
        segment = Segment(0, tuple(outcomes))
        return self.storage.jobs.update(job.id, lambda _: ended, segment=segment).after

    def _store(self, job: Job, item: WorkItem, as_of: date, *, is_final: bool) -> None:
        self.storage.snapshots.put(
            a_snapshot(
                item.date,
                item.district,
                data_month=month_end_of(item.date),
                as_of=as_of,
                is_final=is_final,
                fetched_at=self.now,
                job_id=uuid4(),
            )
        )

    def _compute(self, item: WorkItem) -> None:
        """Store a result of the current snapshot."""
        snapshot = self.storage.snapshots.get(item.date, item.district)
        assert snapshot is not None
        result = ResultFactory.build(date=item.date, district=item.district, source_hash=snapshot.content_hash)
        self.storage.results.put([result])

    # What is stored.

    @property
    def active(self) -> Job | None:
        return self.storage.jobs.active()

    def active_items(self) -> set[WorkItem]:
        """The items of the active job."""
        job = self.active
        assert job is not None
        return {item for day in self.storage.jobs.plan(job.id).days for item in day.items()}

    def stored(self) -> set[WorkItem]:
        metadata = self.storage.snapshots.metadata(date.min, date.max)
        return {WorkItem(snapshot.date, snapshot.district) for snapshot in metadata}
