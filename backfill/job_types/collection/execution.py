"""Processes the items of a claimed collection job: from the dashboard to snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import ReportRequest
from backfill.domain import (
    SUMMARY,
    Edition,
    Job,
    Outcome,
    OutcomeKind,
    PlannedDay,
    RateLimits,
    Report,
    ReportName,
    SkipReason,
    Snapshot,
    WorkItem,
    district_order,
    reports_of,
)
from backfill.errors import (
    BackfillError,
    DashboardError,
    DashboardUnavailable,
    GivenUp,
    LocalProblem,
    NoRows,
    NotPublished,
    NotSent,
    StorageUnavailable,
    Throttled,
    WrongReport,
)
from backfill.job_types.base import Execution
from backfill.job_types.collection.editions import Editions
from backfill.job_types.collection.publication import Publication
from backfill.job_types.collection.robots import Robots
from backfill.job_types.collection.shared_reports import SharedReports
from backfill.rate_limit import ATTEMPTS, Limiter
from backfill.storage import Fence, Storage

logger = logging.getLogger(__name__)

_EMPTY_RESPONSES = 2
"""After this many summaries without rows, a date that the calendar lists counts as not published."""

_WRONG_RESPONSES = 2
"""After this many wrong responses the calendar is read again."""


class _Unsuccessful(Exception):
    """An item has an outcome and nothing of it is stored."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class CollectionExecution(Execution):
    """Fetches the reports of items and stores them as snapshots."""

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
        self._publication = Publication(storage)
        self._last_requests: dict[ReportName, ReportRequest] = {}
        """The last successful request of each report."""

    def concurrency(self, limits: RateLimits) -> int:
        return limits.max_concurrent

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """Stored items. Those that this job stored before it was killed count as processed."""
        outcomes = []
        for held in self._storage.snapshots.editions(day.date, day.date):
            if day.edition is None or not held.covers(day.edition):
                continue
            is_own = held.job_id == self._job.id
            if not (is_own or self._job.config.skip_existing):
                continue
            for district in held.districts.intersection(day.districts):
                item = WorkItem(day.date, district)
                outcomes.append(
                    Outcome(item, OutcomeKind.PROCESSED, self._now(), attempts=1)
                    if is_own
                    else Outcome(item, OutcomeKind.SKIPPED, self._now(), SkipReason.STORED)
                )
        return outcomes

    def abort(self) -> None:
        self._client.abort()

    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        return [self._processed(day, item) for item in items]

    def _processed(self, day: PlannedDay, item: WorkItem) -> Outcome:
        if day.edition is None:
            raise ValueError(f"{item.key} has no edition to fetch.")
        edition = self._editions.current(day, day.edition)
        with self._shared.locked(item, edition) as other_date:
            if other_date is not None:
                stored = self._shared.found(other_date, item, edition, day.edition)
                if stored is not None:
                    self._store(item, edition, stored.reports, stored.fetched_at)
                    return Outcome(item, OutcomeKind.PROCESSED, self._now())
            return self._fetch_and_store(day, item, edition, is_shared=other_date is not None)

    def _fetch_and_store(self, day: PlannedDay, item: WorkItem, edition: Edition, *, is_shared: bool) -> Outcome:
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
        """Fetch every report of an item into `reports`. A report that was fetched is not requested again.

        Returns the edition of the reports. The calendar may list another edition than the given one; the reports
        that were fetched before are then discarded.
        """
        empty_responses = wrong_responses = last_wrong = 0
        failure: DashboardError | None = None
        while missing := [name for name in reports_of(item.district) if name not in reports]:
            request = ReportRequest(report=missing[0], district=item.district, edition=edition)
            self._wait_for_robots(request)
            try:
                with self._limiter.request(item.key, request.report, is_first=not reports) as is_probe:
                    if is_probe:
                        self._send_probe(day, request)
                    else:
                        mark = self._editions.mark()
                        reports[request.report] = self._requested(request, item)
                        self._editions.answered(edition, mark)
                        self._last_requests[request.report] = request
            except (GivenUp, NotSent) as exc:
                raise self._given_up(item, edition, failure or exc, is_first=not reports) from exc
            except LocalProblem:
                continue  # nothing was sent: the limiter waits, and the attempt does not count against the item
            except DashboardError as exc:
                failure = exc
                if isinstance(exc, Throttled) and exc.retry_at is not None:
                    continue  # every request waits until then
                empty_responses += isinstance(exc, NotPublished)
                if empty_responses and not reports and self._is_unpublished(item, edition, empty_responses):
                    raise self._not_published(item, exc.message) from exc
                if isinstance(exc, WrongReport):
                    wrong_responses += 1
                    last_wrong = self._editions.mark()
                self._limiter.wait_after_failure(item.key, exc.message)
                if not isinstance(exc, WrongReport) or wrong_responses < _WRONG_RESPONSES:
                    continue
                found = self._edition_after(exc, day, item, edition, last_wrong)
                if found != edition:
                    edition, empty_responses, wrong_responses = found, 0, 0
                    reports.clear()
        return edition

    def _requested(self, request: ReportRequest, item: WorkItem) -> Report:
        """Raises NotPublished if a report has no rows because the dashboard has no figures for the item."""
        try:
            return self._client.report(request)
        except NoRows as exc:
            if item.district == SUMMARY or self._publication.lacks(item, request.edition):
                raise NotPublished(exc.message) from exc
            raise

    def _is_unpublished(self, item: WorkItem, edition: Edition, empty_responses: int) -> bool:
        if item.district != SUMMARY:
            return self._publication.lacks(item, edition)
        if empty_responses < _EMPTY_RESPONSES:
            return False
        self._publication.note_empty_summary(item.date)
        return True

    def _wait_for_robots(self, request: ReportRequest) -> None:
        if self._robots is not None:
            self._robots.wait(self._client, self._limiter, request.path_and_query)

    def _edition_after(
        self, exc: WrongReport, day: PlannedDay, item: WorkItem, edition: Edition, last_wrong: int
    ) -> Edition:
        """The edition to continue with after wrong responses: the given one or another one of the same date."""
        failures = self._limiter.failures(item.key)
        if failures >= ATTEMPTS:
            return edition
        try:
            found = self._editions.looked_up(day, edition, last_wrong, is_last_attempt=failures == ATTEMPTS - 1)
        except DashboardUnavailable as unavailable:
            logger.warning("Item %s continues with its planned edition. %s", item.key, unavailable.message)
            return edition
        if found is None:
            message = f"The dashboard's calendar no longer lists this date. {exc.message}"
            raise self._not_published(item, message) from exc
        if found != edition:
            logger.info("The calendar has changed; item %s is fetched as %s.", item.key, found)
        return found

    def _send_probe(self, day: PlannedDay, wanted: ReportRequest) -> None:
        """Request what is available unless the dashboard is down: the last successful request of the same report."""
        self._client.report(self._last_requests.get(wanted.report) or self._similar_request(day, wanted))

    def _similar_request(self, day: PlannedDay, wanted: ReportRequest) -> ReportRequest:
        """The same report of another district; for the summary, a report of a district, and the other way round."""
        edition, is_summary = wanted.edition, wanted.report is ReportName.SUMMARY
        district = next((d for d in self._existing_districts(day, edition) if d != wanted.district), None)
        if district is None and not is_summary:
            return ReportRequest(report=ReportName.SUMMARY, district=SUMMARY, edition=edition)
        report = ReportName.CLUBS if is_summary else wanted.report
        return ReportRequest(report=report, district=district or "F", edition=edition)

    def _existing_districts(self, day: PlannedDay, edition: Edition) -> Iterator[str]:
        """Districts of the edition's program year: stored ones of this day, planned ones, those of the calendar."""
        for held in self._storage.snapshots.editions(day.date, day.date):
            if held.covers(edition):
                yield from sorted(held.districts.difference({SUMMARY}), key=district_order)
        yield from (district for district in day.districts if district != SUMMARY)
        for month in self._storage.calendars.months(edition.month_end, edition.month_end):
            yield from month.districts

    def _given_up(self, item: WorkItem, edition: Edition, failure: BackfillError, *, is_first: bool) -> _Unsuccessful:
        """`is_first`: no report of the item was fetched."""
        if isinstance(failure, NoRows) and is_first and self._publication.lacks(item, edition):
            return self._not_published(item, failure.message)
        return self._failed(item, failure)

    def _failed(self, item: WorkItem, failure: BackfillError) -> _Unsuccessful:
        kind, at, attempts = OutcomeKind.FAILED, self._now(), max(self._limiter.attempts(item.key), 1)
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
                # The fetched reports are kept and stored when the storage responds again.
                self._limiter.back_off(failures=1, reason=exc.message)
            else:
                return
