"""The handler of every job type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from backfill.dashboard.client import DashboardClient
from backfill.domain import JobType
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.base import JobTypeHandler
from backfill.job_types.collection.calendars import Calendars
from backfill.job_types.collection.handler import CollectionHandler
from backfill.job_types.collection.robots import Robots
from backfill.job_types.compute import compute_backend_factory
from backfill.rate_limit import Limiter
from backfill.storage import Storage

_MAX_WAIT = 70.0
"""Seconds that a preview waits for a request to start; longer than the interval of the lowest rate limit."""


def job_type_handlers(
    storage: Storage,
    client: DashboardClient,
    *,
    executor: str,
    now: Callable[[], datetime],
    robots: Robots | None = None,
) -> Mapping[JobType, JobTypeHandler]:
    """Create the handlers. Raises ValueError if `executor` is not one of EXECUTORS.

    `robots` is None if robots.txt is ignored.
    """

    def preview_limiter() -> Limiter:
        return Limiter(storage.control.rate_limits().limits, storage.control.update_schedule, max_wait=_MAX_WAIT)

    calendars = Calendars(client, storage.calendars, preview_limiter, robots)
    return {
        JobType.DATA_COLLECTION: CollectionHandler(client, storage, calendars, now=now, robots=robots),
        JobType.ANALYTICS_GENERATION: AnalyticsHandler(storage, compute_backend_factory(executor), now=now),
    }
