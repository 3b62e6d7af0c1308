"""Every job type with the work that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from backfill.dashboard.client import DashboardClient
from backfill.domain import JobType
from backfill.job_types.analytics import AnalyticsHandler
from backfill.job_types.base import JobTypeHandler
from backfill.job_types.calendars import Calendars
from backfill.job_types.collection import CollectionHandler
from backfill.job_types.compute.local import compute_backend_factory
from backfill.job_types.robots import Robots
from backfill.rate_limit import Limiter
from backfill.storage import Storage

_MAX_WAIT = 70.0
"""Seconds that a preview waits for one request to start; with the gentlest limit, one a minute, it still may."""


def job_type_handlers(
    storage: Storage,
    client: DashboardClient,
    *,
    executor: str,
    now: Callable[[], datetime],
    robots: Robots | None = None,
) -> Mapping[JobType, JobTypeHandler]:
    """`executor` is where results are computed, one of EXECUTORS; ValueError where it is none.

    `robots` is None where robots.txt is ignored.
    """

    def limiter_of_a_preview() -> Limiter:
        return Limiter(storage.control.rate_limits().limits, storage.control.update_schedule, max_wait=_MAX_WAIT)

    calendars = Calendars(client, storage.calendars, limiter_of_a_preview, robots)
    return {
        JobType.DATA_COLLECTION: CollectionHandler(client, storage, calendars, now=now, robots=robots),
        JobType.ANALYTICS_GENERATION: AnalyticsHandler(storage, compute_backend_factory(executor), now=now),
    }
