"""data-collection: from the dashboard to snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    ATTEMPTS,
    SUMMARY,
    Cadence,
    CalendarMonth,
    Edition,
    Job,
    JobConfig,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    ProgramYear,
    RateLimits,
    Report,
    ReportName,
    SkipReason,
    Snapshot,
    StoredEdition,
    WorkItem,
    calendar_ends,
    district_order,
    edition_of,
    month_end_of,
    reports_of,
)
from backfill.errors import (
    BackfillError,
    DashboardError,
    DashboardUnavailable,
    GivenUp,
    InvalidRequest,
    LocalProblem,
    NoRows,
    StorageUnavailable,
    Throttled,
    WrongReport,
)
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.job_types.calendars import Calendars
from backfill.job_types.editions import Editions
from backfill.job_types.request_count import count_requests, covered_items
from backfill.job_types.robots import Robots
from backfill.job_types.shared_reports import SharedReports
from backfill.rate_limit import Limiter
from backfill.storage import Fence, Storage

logger = logging.getLogger(__name__)

_EMPTY_ANSWERS = 2
"""A report that the calendar promises and that comes without rows is asked for again; then it is believed."""

_WRONG_ANSWERS = 2
"""After so many wrong answers the calendar is read again."""


def planned_dates(first: date, last: date, cadence: Cadence) -> Iterator[date]:
    """The snapshot dates of a range that a cadence keeps, oldest first."""
    day = first
    while day <= last:
        if cadence is Cadence.DAILY:
            yield day
            day += timedelta(days=1)
            continue
        end = month_end_of(day)
        if end <= last and (cadence is Cadence.MONTH_ENDS or end == ProgramYear.of(end).close):
            yield end
        day = end + timedelta(days=1)


def collection_plan(
    config: JobConfig,
    first: date,
    last: date,
    months: Iterable[CalendarMonth],
    stored: Iterable[StoredEdition],
) -> Plan:
    """The items of a range: every published date, for the summary and each district of that year's calendar.

    `stored` is in date order, and may begin before `first`. A date for which nothing is published is no item; it is
    counted.
    """
    calendar = {month.month_end: month for month in months}
    groups: dict[date, tuple[str, ...]] = {end: _districts_of(month, config) for end, month in calendar.items()}
    days, unpublished = [], 0
    for day in planned_dates(first, last, config.cadence):
        edition = edition_of(day, calendar)
        if edition is None:
            unpublished += 1
        else:
            days.append(PlannedDay(day, groups[edition.month_end], edition))
    covered: dict[date, set[str]] = {}
    finals: dict[tuple[date, date], set[str]] = {}
    if config.skip_existing:
        covered, finals = covered_items(days, stored)
    skipped = sum(len(districts) for districts in covered.values())
    return Plan(
        tuple(days),
        unpublished,
        {SkipReason.STORED: skipped} if skipped else {},
        count_requests(days, calendar, covered, finals),
    )


def _districts_of(month: CalendarMonth, config: JobConfig) -> tuple[str, ...]:
    districts = (d for d in month.districts if not config.target_districts or d in config.target_districts)
    return (SUMMARY, *sorted(districts, key=district_order))


class CollectionHandler(JobTypeHandler):
    """Fetches what the dashboard has published."""

    def __init__(
        self,
        client: DashboardClient,
        storage: Storage,
        calendars: Calendars,
        *,
        now: Callable[[], datetime],
        robots: Robots | None = None,
    ) -> None:
        """`robots` is None where robots.txt is ignored."""
        self._client, self._storage, self._calendars, self._now = client, storage, calendars, now
        self._robots = robots

    def plan(self, config: JobConfig, now: datetime) -> Plan:
        if config.start_date is None or config.end_date is None:
            raise InvalidRequest({"startDate": ["startDate and endDate are needed for data-collection."]})
        first, last = config.start_date, config.end_date
        dates = [*planned_dates(first, last, config.cadence)]
        if not dates:
            return Plan(())
        # Only the months that the cadence keeps: ten year-ends are ten pages, and not a hundred and twenty.
        ends = sorted({end for day in dates for end in calendar_ends(day)})
        months = self._calendars.months(ends, now, likely=config.target_districts)
        known = {district for month in months for district in month.districts}
        unknown = [district for district in config.target_districts if district not in known]
        if unknown and known:
            names = ", ".join(unknown)
            sentence = f"The dashboard has no district {names} between {first} and {last}; leave out what it has not."
            raise InvalidRequest({"targetDistricts": [sentence]})
        # A close before the range may have the reports of a date in it.
        stored_from = first.replace(day=1) - timedelta(days=1) if config.cadence is Cadence.DAILY else first
        return collection_plan(config, first, last, months, self._storage.snapshots.editions(stored_from, last))

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        editions = Editions(self._calendars, limiter, self._now)
        return CollectionExecution(
            job,
            fence,
            limiter,
            editions,
            client=self._client,
            storage=self._storage,
            now=self._now,
            robots=self._robots,
        )


class _Unsuccessful(Exception):
    """An item is settled, and nothing of it is stored."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class CollectionExecution(Execution):
    def __init__(
        self,
        job: Job,
        fence: Fence,
        limiter: Limiter,
        editions: Editions,
        *,
        client: DashboardClient,
        storage: Storage,
        now: Callable[[], datetime],
        robots: Robots | None,
    ) -> None:
        self._robots = robots
        self._job, self._fence, self._limiter, self._editions = job, fence, limiter, editions
        self._client, self._storage, self._now = client, storage, now
        self._shared = SharedReports(job, storage)
        self._known: ReportRequest | None = None

    def concurrency(self, limits: RateLimits) -> int:
        return limits.max_concurrent

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """What is stored already. What this very job stored, before it was killed, counts as processed by it."""
        outcomes = []
        for held in self._storage.snapshots.editions(day.date, day.date):
            if day.edition is None or not held.covers(day.edition):
                continue
            is_mine = held.job_id == self._job.id
            if not (is_mine or self._job.config.skip_existing):
                continue
            for district in held.districts.intersection(day.districts):
                item = WorkItem(day.date, district)
                outcomes.append(
                    Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=1)
                    if is_mine
                    else Outcome(item, OutcomeKind.SKIPPED, self._now(), SkipReason.STORED)
                )
        return outcomes

    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        return [self._collected(day, item) for item in items]

    def _collected(self, day: PlannedDay, item: WorkItem) -> Outcome:
        if day.edition is None:
            raise ValueError(f"{item.key} has no edition to fetch.")
        edition = self._editions.current(day, day.edition)
        with self._shared.alone(item, edition) as other_date:
            if other_date is not None:
                same = self._shared.found(other_date, item, edition, day.edition)
                if same is not None:
                    self._store(item, edition, same.reports, same.fetched_at)
                    return Outcome(item, OutcomeKind.PROCESSED, self._now())
            return self._requested(day, item, edition, is_shared=other_date is not None)

    def _requested(self, day: PlannedDay, item: WorkItem, edition: Edition, *, is_shared: bool) -> Outcome:
        reports: dict[ReportName, Report] = {}
        with self._limiter.item(item.key):
            try:
                edition = self._fetch(day, item, edition, reports)
            except _Unsuccessful as exc:
                return exc.outcome
            attempts = self._limiter.failures(item.key) + 1
        self._store(item, edition, reports, self._now())
        if is_shared:
            self._shared.stored(item, edition)
        return Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=attempts)

    def _fetch(self, day: PlannedDay, item: WorkItem, edition: Edition, reports: dict[ReportName, Report]) -> Edition:
        """Fetch into `reports` every report of an item; what an earlier attempt brought is not asked for again.

        Returns the edition of all of them: the calendar may give another one than the given, and then nothing that
        was fetched before is kept.
        """
        empty_answers = wrong_answers = last_wrong = 0
        failure: DashboardError | None = None
        while missing := [name for name in reports_of(item.district) if name not in reports]:
            request = ReportRequest(report=missing[0], district=item.district, edition=edition)
            self._wait_for_robots(request)
            try:
                with self._limiter.request(item.key, is_first=not reports) as asks_for_known:
                    if asks_for_known:
                        self._ask_for_known(day, edition)
                    else:
                        began = self._editions.mark()
                        reports[request.report] = self._client.report(request)
                        self._editions.answered(edition, began)
                        self._known = request
            except GivenUp as exc:
                raise self._failed(item, failure or exc, self._limiter.failures(item.key)) from exc
            except LocalProblem:
                continue  # nothing was sent: the limiter waits before the next attempt, and no item is charged
            except DashboardError as exc:
                failure = exc
                if isinstance(exc, Throttled) and exc.retry_at is not None:
                    continue  # the source asked for time: that is no failure of this item
                empty_answers += isinstance(exc, NoRows)
                if empty_answers >= _EMPTY_ANSWERS and not reports:
                    raise self._not_published(item, exc.message) from exc
                if not exc.is_retryable:
                    raise self._failed(item, exc, self._limiter.failures(item.key)) from exc
                if isinstance(exc, WrongReport):
                    wrong_answers += 1
                    last_wrong = self._editions.mark()
                self._limiter.wait_after_failure(item.key, exc.message)
                if not isinstance(exc, WrongReport) or wrong_answers < _WRONG_ANSWERS:
                    continue
                found = self._edition_after(exc, day, item, edition, last_wrong)
                if found != edition:
                    edition, empty_answers, wrong_answers = found, 0, 0
                    reports.clear()
        return edition

    def _wait_for_robots(self, request: ReportRequest) -> None:
        if self._robots is not None:
            self._robots.wait(self._limiter, request.path_and_query)

    def _edition_after(
        self, exc: WrongReport, day: PlannedDay, item: WorkItem, edition: Edition, last_wrong: int
    ) -> Edition:
        """The edition to go on with after wrong answers: the given one, or another one of the same date."""
        failures = self._limiter.failures(item.key)
        if failures >= ATTEMPTS:
            return edition
        try:
            found = self._editions.looked_up(day, edition, last_wrong, is_last_chance=failures == ATTEMPTS - 1)
        except DashboardUnavailable as unavailable:
            logger.warning("Item %s goes on with its planned edition. %s", item.key, unavailable.message)
            return edition
        if found is None:
            message = f"The dashboard's calendar does not list this date any more. {exc.message}"
            raise self._not_published(item, message) from exc
        if found != edition:
            logger.info("Item %s: the calendar has changed; it is fetched as %s.", item.key, found)
        return found

    def _ask_for_known(self, day: PlannedDay, edition: Edition) -> None:
        """Ask for what was answered before: the last report, one that is stored of this day, else its calendar page."""
        if self._known is None:
            stored = (
                held.districts for held in self._storage.snapshots.editions(day.date, day.date) if held.covers(edition)
            )
            for district in sorted(frozenset().union(*stored).intersection(day.districts), key=district_order):
                self._known = ReportRequest(report=reports_of(district)[0], district=district, edition=edition)
        if self._known is None:
            district = self._existing_district(day, edition)
            self._client.calendar_page(edition.month_end, district=district, is_archived=edition.is_archived)
        else:
            self._client.report(self._known)

    def _existing_district(self, day: PlannedDay, edition: Edition) -> str:
        """A district of the edition's program year: one of the planned day, otherwise one of the stored calendar."""
        months = self._storage.calendars.months(edition.month_end, edition.month_end)
        known = (*day.districts, *(district for month in months for district in month.districts))
        return next((district for district in known if district != SUMMARY), "F")

    def _failed(self, item: WorkItem, failure: BackfillError, attempts: int) -> _Unsuccessful:
        kind, at = OutcomeKind.FAILED, self._now()
        outcome = Outcome(item, kind, at, failure.code, failure.message, attempts, failure.is_retryable)
        excerpt = failure.excerpt if isinstance(failure, DashboardError) else ""
        return _Unsuccessful(outcome._replace(excerpt=excerpt))

    def _not_published(self, item: WorkItem, message: str) -> _Unsuccessful:
        kind, at, attempts = OutcomeKind.SKIPPED, self._now(), self._limiter.failures(item.key)
        return _Unsuccessful(Outcome(item, kind, at, SkipReason.NOT_PUBLISHED, message, attempts))

    def _store(
        self, item: WorkItem, edition: Edition, reports: Mapping[ReportName, Report], fetched_at: datetime
    ) -> None:
        snapshot = Snapshot(
            date=item.date,
            district=item.district,
            data_month=edition.month_end,
            as_of=edition.as_of,
            is_final=edition.is_final and item.date == edition.month_end,
            fetched_at=fetched_at,
            job_id=self._job.id,
            reports=reports,
        )
        while True:
            try:
                self._storage.snapshots.put(snapshot, fence=self._fence)
            except StorageUnavailable as exc:
                # What was fetched is not thrown away: it is stored when the store is back.
                self._limiter.back_off(failures=1, reason=exc.message)
            else:
                return
