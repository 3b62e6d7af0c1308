"""Every job type with the work that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from backfill.dashboard.client import DashboardClient
from backfill.domain import JobType
from backfill.rate_limit import Limiter
from backfill.storage import Storage
from backfill.work.analytics import Analytics
from backfill.work.base import Work
from backfill.work.calendars import Calendars
from backfill.work.collection import Collection
from backfill.work.executors import new_computer_for
from backfill.work.robots import Robots

_PATIENCE = 70.0
"""Seconds that a preview waits for one request to start; with the gentlest limit, one a minute, it still may."""


def works_over(
    storage: Storage,
    client: DashboardClient,
    *,
    executor: str,
    now: Callable[[], datetime],
    robots: Robots | None = None,
) -> Mapping[JobType, Work]:
    """`executor` is where results are computed, one of EXECUTORS; ValueError where it is none.

    `robots` is None where robots.txt is ignored.
    """

    def limiter_of_a_preview() -> Limiter:
        return Limiter(storage.jobs.rate_limits().limits, storage.jobs.update_timeline, patience=_PATIENCE)

    calendars = Calendars(client, storage.snapshots, limiter_of_a_preview, robots)
    return {
        JobType.DATA_COLLECTION: Collection(client, storage.snapshots, calendars, now=now, robots=robots),
        JobType.ANALYTICS_GENERATION: Analytics(storage.snapshots, new_computer_for(executor), now=now),
    }
