"""analytics-generation: from stored snapshots to results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import groupby
from typing import TypeVar

from backfill.analytics import SCHEMA_VERSION, UnreadableSnapshot
from backfill.domain import (
    FIRST_DAY,
    SUMMARY,
    Cadence,
    Job,
    JobConfig,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    Point,
    ProgramYear,
    RateLimits,
    Result,
    ResultFacts,
    SkipReason,
    Snapshot,
    SnapshotFacts,
    WorkItem,
    district_order,
    is_month_end,
)
from backfill.errors import BackfillError, CorruptRecord, DashboardError, InvalidRequest, SnapshotNotFound
from backfill.job_types.base import Execution, JobTypeHandler, unexpected
from backfill.job_types.compute.base import ComputeBackend
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, WorldContext, world_of
from backfill.job_types.related_snapshots import Dates, LastOfMonth, OpenClubs, dates_of, hold_dates, year_before
from backfill.rate_limit import Limiter
from backfill.storage import Fence, Storage

_LONGEST_CLOSING = timedelta(days=45)
"""A month's figures carry dates up to this long after its end: June closes in the last days of July."""

_A_YEAR_BEFORE = timedelta(days=366 + 31) + _LONGEST_CLOSING
"""What is computed of a date rests on no snapshot that is older than this."""

T = TypeVar("T", SnapshotFacts, ResultFacts)


def input_digest_of(own: SnapshotFacts, summary: SnapshotFacts | None, previous: SnapshotFacts | None) -> str:
    """A digest of all that a result rests on: its snapshot, the date's summary, the snapshot of the year before."""
    beside = (summary and summary.content_hash, previous and (previous.date, previous.content_hash))
    rests_on = (SCHEMA_VERSION, own.content_hash, own.data_month, own.as_of, own.is_final, beside)
    return _digest(rests_on)


def _digest(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class DayFacts:
    """The snapshots of a date with what stands beside each, and what was computed of them before."""

    snapshots: Mapping[str, SnapshotFacts]
    """By district."""
    results: Mapping[str, ResultFacts]
    previous: LastOfMonth

    def input_digest(self, district: str) -> str:
        own = self.snapshots[district]
        summary = self.snapshots.get(SUMMARY) if district != SUMMARY else None
        return input_digest_of(own, summary, self.previous.before(own))

    def basis_on_date(self, district: str) -> str:
        """The input digest of a result that depends on every district of the date: all charter dates are blank."""
        return _digest((self.input_digest(district), self._districts))

    @cached_property
    def _districts(self) -> str:
        return _digest(sorted((name, own.content_hash) for name, own in self.snapshots.items() if name != SUMMARY))

    def is_done(self, district: str) -> bool:
        stored = self.results.get(district)
        if stored is None or stored.schema_version != SCHEMA_VERSION:
            return False
        return stored.input_digest == self.input_digest(district) or stored.input_digest == self.basis_on_date(district)


def is_kept(day: date, cadence: Cadence) -> bool:
    """Whether a snapshot date is one that the cadence keeps."""
    if cadence is Cadence.DAILY:
        return True
    return is_month_end(day) and (cadence is Cadence.MONTH_ENDS or day == ProgramYear.of(day).close)


def analytics_plan(
    config: JobConfig, first: date, last: date, facts: Iterable[SnapshotFacts], results: Iterable[ResultFacts]
) -> Plan:
    """The items of a range: every stored snapshot, the world first for its date.

    `facts` is in date order and begins a year and some before `first`, for what is compared with; `results` is in date
    order.
    """
    days: list[PlannedDay] = []
    groups: dict[tuple[str, ...], tuple[str, ...]] = {}
    done = stale = 0
    previous = LastOfMonth()
    for day, snapshots, computed in _by_date(facts, results):
        previous.add(snapshots)
        if not (first <= day <= last and is_kept(day, config.cadence)):
            continue
        of_day = DayFacts({s.district: s for s in snapshots}, {r.district: r for r in computed}, previous)
        wanted = [d for d in of_day.snapshots if d == SUMMARY or _is_wanted(d, config.target_districts)]
        districts = tuple(sorted(wanted, key=district_order))
        if not districts:
            continue
        days.append(PlannedDay(day, groups.setdefault(districts, districts)))
        if config.skip_existing:
            done_here = sum(map(of_day.is_done, districts))
            done += done_here
            stale += sum(d in of_day.results for d in districts) - done_here
    return Plan(tuple(days), skipped={SkipReason.UNCHANGED: done} if done else {}, stale=stale)


def _is_wanted(district: str, targets: Collection[str]) -> bool:
    return not targets or district in targets


def _by_date(
    facts: Iterable[SnapshotFacts], results: Iterable[ResultFacts]
) -> Iterator[tuple[date, list[SnapshotFacts], list[ResultFacts]]]:
    """Both side by side, a date of snapshots at a time."""
    computed = _grouped(results)
    ahead = next(computed, None)
    for day, snapshots in _grouped(facts):
        while ahead is not None and ahead[0] < day:
            ahead = next(computed, None)
        yield day, snapshots, ahead[1] if ahead is not None and ahead[0] == day else []


def _grouped(rows: Iterable[T]) -> Iterator[tuple[date, list[T]]]:
    return ((day, list(group)) for day, group in groupby(rows, key=lambda row: row.date))


class AnalyticsHandler(JobTypeHandler):
    """Computes what the stored snapshots say."""

    def __init__(
        self,
        storage: Storage,
        new_compute_backend: Callable[[Limiter], ComputeBackend],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._storage, self._new_compute_backend, self._now = storage, new_compute_backend, now

    def plan(self, config: JobConfig, now: datetime) -> Plan:
        first, last = config.start_date or FIRST_DAY, config.end_date or now.date()
        facts = self._storage.snapshots.metadata(max(first, FIRST_DAY) - _A_YEAR_BEFORE, last)
        plan = analytics_plan(config, first, last, facts, self._storage.results.metadata(first, last))
        unknown = [district for district in config.target_districts if district not in plan.district_totals]
        if unknown:
            raise InvalidRequest(
                {
                    "targetDistricts": [
                        f"No snapshot of district {', '.join(unknown)} is stored for these dates; collect it first."
                    ]
                }
            )
        return plan

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        return AnalyticsExecution(job, fence, self._storage, self._new_compute_backend(limiter), now=self._now)


class AnalyticsExecution(Execution):
    bundle_size = 33  # a quarter of a date's districts and its summary: what is asked of the store for each is shared

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
        # A few days are in work at a time; no snapshot changes meanwhile, since no other job runs.
        self._facts_of = lru_cache(maxsize=4)(self._read_facts)
        self._world_of = lru_cache(maxsize=4)(self._read_world)
        self._last_of_month = lru_cache(maxsize=4)(self._read_month)
        self._dates_of = lru_cache(maxsize=4)(self._read_dates)

    def concurrency(self, limits: RateLimits) -> int:  # noqa: ARG002
        """Whatever the limits: they are of the dashboard, which is not asked for anything."""
        return self._compute_backend.concurrency

    def close(self) -> None:
        self._compute_backend.close()

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """What is computed already. What this very job stored, before it was killed, counts as processed by it."""
        facts = self._facts_of(day.date)
        outcomes = []
        for district in day.districts:
            if district not in facts.snapshots or not facts.is_done(district):
                continue
            item = WorkItem(day.date, district)
            if facts.results[district].job_id == self._job.id:
                with suppress(CorruptRecord):  # then it is computed anew
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
        dates = Dates.SEEN if hold_dates(stored, stored.__getitem__) else self._dates_of(day.date)
        found = [self._source(item, stored, points, clubs, dates) for item in items]
        sources = [source for source in found if isinstance(source, ComputeInput)]
        computed = iter(self._compute_backend.compute(sources))
        ends = [next(computed) if isinstance(one, ComputeInput) else one for one in found]
        settled = list(zip(items, ends, strict=True))
        results = [self._result(item, end, dates) for item, end in settled if isinstance(end, ComputeOutput)]
        self._storage.results.put(results, fence=self._fence)
        for result, end in zip(results, (end for end in ends if isinstance(end, ComputeOutput)), strict=True):
            self._open_clubs.remember(result.date, result.district, end.clubs)
        return [self._outcome(item, end) for item, end in settled]

    def _points_before(self, day: date, items: Sequence[WorkItem]) -> Mapping[tuple[date, str], Point]:
        """The points of the year before of a bundle, asked for together; those of current results."""
        facts = self._facts_of(day)
        own = [facts.snapshots[item.district] for item in items if item.district in facts.snapshots]
        before = {(last.date, last.district): last for last in map(facts.previous.before, own) if last is not None}
        points = self._storage.results.points(list(before))
        return {
            key: point
            for key, point in points.items()
            if (point.source_hash, point.schema_version) == (before[key].content_hash, SCHEMA_VERSION)
        }

    def _source(
        self,
        item: WorkItem,
        stored: Mapping[str, Snapshot],
        points: Mapping[tuple[date, str], Point],
        clubs: Mapping[tuple[date, str], tuple[str, ...]],
        dates: Dates,
    ) -> ComputeInput | BackfillError:
        """What the item is computed from, or why it cannot be read."""
        facts, previous = self._facts_of(item.date), None
        before = facts.previous.before(facts.snapshots[item.district]) if item.district in facts.snapshots else None
        key = (before.date, before.district) if before is not None else None
        try:
            snapshot = stored.get(item.district) or self._snapshot(item.date, item.district)
            if key is not None:  # the point where a current result has it, else the snapshot to compute it from
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
            raise SnapshotNotFound(f"The snapshot {day}/{district} is not stored any more; collect it anew.")
        return snapshot

    def _outcome(self, item: WorkItem, computed: ComputeOutput | Exception) -> Outcome:
        if isinstance(computed, ComputeOutput):
            return Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=1, quality=computed.quality)
        if isinstance(computed, BackfillError):
            return Outcome(item, OutcomeKind.FAILED, self._now(), computed.code, computed.message, attempts=1)
        return unexpected(item, computed, self._now())

    def _result(self, item: WorkItem, computed: ComputeOutput, dates: Dates) -> Result:
        facts = self._facts_of(item.date)
        own = facts.snapshots[item.district]
        rests_on_date = item.district != SUMMARY and dates is not Dates.SEEN
        return Result(
            date=item.date,
            district=item.district,
            program_year=ProgramYear.of(own.data_month),
            source_hash=own.content_hash,
            schema_version=SCHEMA_VERSION,
            input_digest=(facts.basis_on_date if rests_on_date else facts.input_digest)(item.district),
            job_id=self._job.id,
            computed_at=self._now(),
            quality=computed.quality,
            point=computed.point,
            body=computed.body,
        )

    # What is read once for all items of a date.

    def _read_facts(self, day: date) -> DayFacts:
        snapshots = {facts.district: facts for facts in self._storage.snapshots.metadata(day, day)}
        results = {facts.district: facts for facts in self._storage.results.metadata(day, day)}
        months = {year_before(facts.data_month) for facts in snapshots.values()}
        previous = LastOfMonth(facts for month in sorted(months) for facts in self._last_of_month(month))
        return DayFacts(snapshots, results, previous)

    def _read_month(self, month_end: date) -> Sequence[SnapshotFacts]:
        stored = self._storage.snapshots.metadata(month_end.replace(day=1), month_end + _LONGEST_CLOSING)
        return [facts for facts in stored if facts.data_month == month_end]

    def _read_dates(self, day: date) -> Dates:
        stored, world = self._facts_of(day).snapshots.keys() - {SUMMARY}, self._world_of(day)
        named = None if world is None else world.rows
        return dates_of(stored, named, lambda district: self._snapshot(day, district))

    def _read_world(self, day: date) -> WorldContext | None:
        """None where the date's summary is missing or cannot be read: its own item says so."""
        summary = self._facts_of(day).snapshots.get(SUMMARY)
        if summary is None:
            return None
        try:
            return world_of(self._snapshot(day, SUMMARY))
        except (CorruptRecord, DashboardError, SnapshotNotFound, UnreadableSnapshot):
            return None
