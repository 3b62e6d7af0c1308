"""Computes the results of a claimed analytics job from stored snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import lru_cache

from backfill.analytics import SCHEMA_VERSION, UnreadableSnapshot
from backfill.domain import (
    SUMMARY,
    Job,
    Outcome,
    OutcomeKind,
    PlannedDay,
    Point,
    ProgramYear,
    RateLimits,
    Result,
    SkipReason,
    Snapshot,
    SnapshotMetadata,
    WorkItem,
)
from backfill.errors import BackfillError, CorruptRecord, DashboardError, SnapshotNotFound
from backfill.job_types.analytics.plan import DayMetadata
from backfill.job_types.analytics.related_snapshots import (
    Dates,
    LastOfMonth,
    OpenClubs,
    any_has_dates,
    dates_of,
    year_before,
)
from backfill.job_types.base import Execution, unexpected
from backfill.job_types.compute.base import ComputeBackend
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, WorldContext, world_of
from backfill.storage import Fence, Storage

LONGEST_CLOSING = timedelta(days=45)
"""A month's figures have as-of dates up to this long after its end: June closes in the last days of July."""


class AnalyticsExecution(Execution):
    """Computes results from stored snapshots and stores them."""

    bundle_size = 66  # half of the districts of a date and its summary: they share storage reads and a commit

    def __init__(
        self,
        job: Job,
        fence: Fence,
        storage: Storage,
        compute_backend: ComputeBackend,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._job, self._fence, self._now = job, fence, now
        self._storage, self._compute_backend = storage, compute_backend
        self._open_clubs = OpenClubs(storage.snapshots)
        # Few days are in progress at a time. Snapshots do not change meanwhile, because only one job runs.
        self._facts_of = lru_cache(maxsize=4)(self._read_metadata)
        self._world_of = lru_cache(maxsize=4)(self._read_world)
        self._last_of_month = lru_cache(maxsize=4)(self._read_month)
        self._dates_of = lru_cache(maxsize=4)(self._read_dates)

    def concurrency(self, limits: RateLimits) -> int:  # noqa: ARG002
        """Independent of the limits, because no requests are sent to the dashboard."""
        return self._compute_backend.concurrency + self._storage.results.bundles_ahead

    def close(self) -> None:
        self._compute_backend.close()

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """Up-to-date results. Those that this job stored before it was killed count as processed."""
        facts = self._facts_of(day.date)
        outcomes = []
        for district in day.districts:
            if district not in facts.snapshots or not facts.is_done(district):
                continue
            item = WorkItem(day.date, district)
            if facts.results[district].job_id == self._job.id:
                with suppress(CorruptRecord):  # it is computed again
                    stored = self._storage.results.get(day.date, district)
                    quality = stored.quality if stored else {}
                    outcomes.append(Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=1, quality=quality))
            elif self._job.config.skip_existing:
                outcomes.append(Outcome(item, OutcomeKind.SKIPPED, self._now(), SkipReason.UNCHANGED))
        return outcomes

    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        points = self._points_before(day.date, items)
        clubs = self._open_clubs.read(points)
        stored = self._storage.snapshots.get_several(day.date, [item.district for item in items])
        dates = Dates.SEEN if any_has_dates(stored, stored.__getitem__) else self._dates_of(day.date)
        inputs = [self._input(item, stored, points, clubs, dates) for item in items]
        computed = iter(self._compute_backend.compute([one for one in inputs if isinstance(one, ComputeInput)]))
        outputs = [next(computed) if isinstance(one, ComputeInput) else one for one in inputs]
        done = [
            (item, output) for item, output in zip(items, outputs, strict=True) if isinstance(output, ComputeOutput)
        ]
        results = [self._result(item, output, dates) for item, output in done]
        self._storage.results.put(results, fence=self._fence)
        for item, output in done:
            self._open_clubs.remember(item.date, item.district, output.clubs)
        return [self._outcome(item, output) for item, output in zip(items, outputs, strict=True)]

    def _points_before(self, day: date, items: Sequence[WorkItem]) -> Mapping[tuple[date, str], Point]:
        """The points of the year before for a bundle, from results that are up to date."""
        facts = self._facts_of(day)
        own = [facts.snapshots[item.district] for item in items if item.district in facts.snapshots]
        before = {(last.date, last.district): last for last in map(facts.previous.before, own) if last is not None}
        points = self._storage.results.points(list(before))
        return {
            key: point
            for key, point in points.items()
            if (point.source_hash, point.schema_version) == (before[key].content_hash, SCHEMA_VERSION)
        }

    def _input(
        self,
        item: WorkItem,
        stored: Mapping[str, Snapshot],
        points: Mapping[tuple[date, str], Point],
        clubs: Mapping[tuple[date, str], tuple[str, ...]],
        dates: Dates,
    ) -> ComputeInput | BackfillError:
        """The input of an item, or the error that prevents reading it."""
        facts, previous = self._facts_of(item.date), None
        before = facts.previous.before(facts.snapshots[item.district]) if item.district in facts.snapshots else None
        key = (before.date, before.district) if before is not None else None
        try:
            snapshot = stored.get(item.district) or self._snapshot(item.date, item.district)
            if key is not None:  # the point of an up-to-date result, otherwise the snapshot to compute it from
                previous = points[key].figures if key in points else self._snapshot(*key)
        except (CorruptRecord, SnapshotNotFound) as exc:
            return exc
        world = self._world_of(item.date) if item.district != SUMMARY else None
        return ComputeInput(
            snapshot=snapshot,
            summary=None if world is None else world.rows.get(item.district),
            is_summary_repeated=world is not None and item.district in world.repeated,
            are_dates_blank=dates is Dates.BLANK,
            world_line=None if world is None else world.lines.get(item.district),
            previous=previous,
            previous_clubs=clubs.get(key) if key is not None else None,
        )

    def _snapshot(self, day: date, district: str) -> Snapshot:
        snapshot = self._storage.snapshots.get(day, district)
        if snapshot is None:
            raise SnapshotNotFound(f"The snapshot {day}/{district} is no longer stored; collect it again.")
        return snapshot

    def _outcome(self, item: WorkItem, output: ComputeOutput | Exception) -> Outcome:
        if isinstance(output, ComputeOutput):
            return Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=1, quality=output.quality)
        if isinstance(output, BackfillError):
            return Outcome(item, OutcomeKind.FAILED, self._now(), output.code, output.message, attempts=1)
        return unexpected(item, output, self._now())

    def _result(self, item: WorkItem, output: ComputeOutput, dates: Dates) -> Result:
        facts = self._facts_of(item.date)
        own = facts.snapshots[item.district]
        depends_on_date = item.district != SUMMARY and dates is not Dates.SEEN
        return Result(
            date=item.date,
            district=item.district,
            program_year=ProgramYear.of(own.data_month),
            source_hash=own.content_hash,
            schema_version=SCHEMA_VERSION,
            input_digest=(facts.input_digest_with_date if depends_on_date else facts.input_digest)(item.district),
            job_id=self._job.id,
            computed_at=self._now(),
            quality=output.quality,
            point=output.point,
            body=output.body,
        )

    # The following values are read once for all items of a date or month.

    def _read_metadata(self, day: date) -> DayMetadata:
        snapshots = {facts.district: facts for facts in self._storage.snapshots.metadata(day, day)}
        results = {facts.district: facts for facts in self._storage.results.metadata(day, day)}
        months = {year_before(facts.data_month) for facts in snapshots.values()}
        previous = LastOfMonth(facts for month in sorted(months) for facts in self._last_of_month(month))
        return DayMetadata(snapshots, results, previous)

    def _read_month(self, month_end: date) -> Sequence[SnapshotMetadata]:
        stored = self._storage.snapshots.metadata(month_end.replace(day=1), month_end + LONGEST_CLOSING)
        return [facts for facts in stored if facts.data_month == month_end]

    def _read_dates(self, day: date) -> Dates:
        stored, world = self._facts_of(day).snapshots.keys() - {SUMMARY}, self._world_of(day)
        named = None if world is None else world.rows
        return dates_of(stored, named, lambda district: self._snapshot(day, district))

    def _read_world(self, day: date) -> WorldContext | None:
        """None if the summary of the date is missing or unreadable; the item of the summary reports that."""
        summary = self._facts_of(day).snapshots.get(SUMMARY)
        if summary is None:
            return None
        try:
            return world_of(self._snapshot(day, SUMMARY))
        except (CorruptRecord, DashboardError, SnapshotNotFound, UnreadableSnapshot):
            return None
