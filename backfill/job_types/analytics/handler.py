"""The handler of analytics-generation jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from backfill.domain import FIRST_DAY, CalendarAccess, Job, JobConfig, Plan
from backfill.errors import InvalidRequest
from backfill.job_types.analytics.execution import LONGEST_CLOSING, AnalyticsExecution
from backfill.job_types.analytics.plan import analytics_plan
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.job_types.compute.base import ComputeBackend
from backfill.rate_limit import Limiter
from backfill.storage import Fence, Storage

_A_YEAR_BEFORE = timedelta(days=366 + 31) + LONGEST_CLOSING
"""No result depends on a snapshot that is older than its own date by more than this."""


class AnalyticsHandler(JobTypeHandler):
    """Plans an item for each stored snapshot; the items compute its result."""

    def __init__(
        self,
        storage: Storage,
        new_compute_backend: Callable[[Limiter], ComputeBackend],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._storage, self._new_compute_backend, self._now = storage, new_compute_backend, now

    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:  # noqa: ARG002
        first, last = config.start_date or FIRST_DAY, config.end_date or now.date()
        facts = self._storage.snapshots.metadata(max(first, FIRST_DAY) - _A_YEAR_BEFORE, last)
        plan = analytics_plan(config, first, last, facts, self._storage.results.metadata(first, last))
        unknown = [district for district in config.target_districts if district not in plan.district_totals]
        if unknown:
            message = f"No snapshot of district {', '.join(unknown)} is stored for these dates; collect it first."
            raise InvalidRequest({"targetDistricts": [message]})
        return plan

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        return AnalyticsExecution(job, fence, self._storage, self._new_compute_backend(limiter), now=self._now)
