"""The handler of every job type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backfill.dashboard.client import DashboardClient
from backfill.domain import JobType, RateLimits
from backfill.domain.clock import SYSTEM_CLOCK, Clock
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.base import JobTypeHandler
from backfill.job_types.collection.calendar_calls import ReadingPace
from backfill.job_types.collection.calendar_reader import CalendarReader
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.handler import CollectionHandler
from backfill.job_types.collection.robots import Robots
from backfill.job_types.compute import compute_backend_factory
from backfill.rate_limit import Limiter
from backfill.storage import Storage

MAX_WAITING = 4
"""The number of requests of a server process that wait for the calendar, if its number of threads is unknown."""

_LONGEST_HOLD = 70.0
"""Seconds; if the dashboard asked for a longer pause, a preview fails at once. Longer than the longest interval."""


def job_type_handlers(
    storage: Storage,
    client: DashboardClient,
    *,
    executor: str,
    clock: Clock = SYSTEM_CLOCK,
    robots: Robots | None = None,
    max_waiting: int = MAX_WAITING,
) -> Mapping[JobType, JobTypeHandler]:
    """Create the handlers. Raises ValueError if `executor` is not one of EXECUTORS.

    `robots` is None if robots.txt is ignored. `max_waiting`: how many requests may wait for the calendar at once.
    """

    def new_limiter(limits: RateLimits, is_wanted: Callable[[], bool]) -> Limiter:
        update = storage.control.update_schedule
        return Limiter(limits, update, max_wait=_LONGEST_HOLD, is_wanted=is_wanted, clock=clock)

    def pace() -> ReadingPace:
        """While a job sends requests, its limits apply to the calendar too, and it has precedence."""
        active = storage.jobs.active()
        if active is not None and active.job_type.description.calls_dashboard and active.is_held(clock.now()):
            return ReadingPace(active.config.rate_limits, is_shared=True)
        return ReadingPace(storage.control.rate_limits().limits, is_shared=False)

    calendars = Calendars(client, storage.calendars, robots)
    reader = CalendarReader(storage, calendars, new_limiter, pace, max_waiting=max_waiting, clock=clock)
    return {
        JobType.DATA_COLLECTION: CollectionHandler(client, storage, calendars, reader, now=clock.now, robots=robots),
        JobType.ANALYTICS_GENERATION: AnalyticsHandler(storage, compute_backend_factory(executor), now=clock.now),
    }
