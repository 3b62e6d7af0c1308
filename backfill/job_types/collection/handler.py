"""The handler of data-collection jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

from backfill.dashboard.client import DashboardClient
from backfill.domain import Cadence, CalendarAccess, Job, JobConfig, Plan, WorkItem, calendar_ends
from backfill.domain.job_config import cadence_dates
from backfill.errors import InvalidRequest
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.job_types.collection.calendar_reader import CalendarReader
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.editions import Editions
from backfill.job_types.collection.execution import CollectionExecution
from backfill.job_types.collection.plan import collection_plan, narrowed, planned_days
from backfill.job_types.collection.robots import Robots
from backfill.rate_limit import Limiter
from backfill.storage import Fence, Storage


class CollectionHandler(JobTypeHandler):
    """Plans an item for each published date and district; the items fetch its reports."""

    def __init__(
        self,
        client: DashboardClient,
        storage: Storage,
        calendars: Calendars,
        reader: CalendarReader,
        *,
        now: Callable[[], datetime],
        robots: Robots | None = None,
    ) -> None:
        """`robots` is None if robots.txt is ignored."""
        self._client, self._storage, self._calendars, self._reader = client, storage, calendars, reader
        self._now, self._robots = now, robots

    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:  # noqa: ARG002
        if config.start_date is None or config.end_date is None:
            raise InvalidRequest({"startDate": ["startDate and endDate are required for data-collection."]})
        first, last = config.start_date, config.end_date
        dates = [*cadence_dates(first, last, config.cadence)]
        if not dates:
            return Plan(())
        # Only the months that the cadence includes: ten year-ends need ten pages instead of 120.
        ends = sorted({end for day in dates for end in calendar_ends(day)})
        months = self._reader.months(ends, access, likely=config.target_districts)
        known = {district for month in months for district in month.districts}
        unknown = [district for district in config.target_districts if district not in known]
        if unknown and known:
            names = ", ".join(unknown)
            message = f"The dashboard has no district {names} between {first} and {last}; leave it out."
            raise InvalidRequest({"targetDistricts": [message]})
        # A close before the range may have the same reports as a date in the range.
        stored_from = first.replace(day=1) - timedelta(days=1) if config.cadence is Cadence.DAILY else first
        return collection_plan(config, first, last, months, self._storage.snapshots.editions(stored_from, last))

    def plan_items(
        self,
        config: JobConfig,
        now: datetime,  # noqa: ARG002
        items: Iterable[WorkItem],
        access: CalendarAccess | None = None,
    ) -> Plan:
        # Only the dates of the items: a few items of many years do not need the stored editions of all dates between.
        wanted = set(items)
        dates = sorted({item.date for item in wanted})
        ends = sorted({end for day in dates for end in calendar_ends(day)})
        months = self._reader.months(ends, access, likely=config.target_districts)
        days, _ = planned_days(config, dates, {month.month_end: month for month in months})
        return narrowed(Plan(tuple(days)), wanted)

    def read_calendar(self, month_ends: Sequence[date], access: CalendarAccess, *, known: int) -> None:
        self._reader.months(month_ends, access, known=known)

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        client = self._client.scope()
        editions = Editions(self._calendars.using(client), limiter, self._now)
        return CollectionExecution(
            job,
            fence,
            limiter,
            editions,
            client=client,
            storage=self._storage,
            now=self._now,
            robots=self._robots,
        )
