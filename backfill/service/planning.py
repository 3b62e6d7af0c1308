"""What a job would do, made out before there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from backfill.domain import (
    AllowedHours,
    Estimate,
    Job,
    JobConfig,
    JobFilter,
    JobRequest,
    JobType,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    PastRun,
    Plan,
    estimate_items,
    estimate_requests,
)
from backfill.errors import InvalidJobState, InvalidJobType, InvalidRequest, NothingToRetry, PlanChanged
from backfill.job_types.base import JobTypeHandler
from backfill.storage import Storage

_PLAN_ID = re.compile(r"plan-(\d+)-(\d+)-(\d+)-([0-9a-f]{16})")
_FIGURES = ("totalItems", "skippedItems", "estimatedRequests")
"""What the numbers of a plan id are."""

_JOBS_REMEMBERED = 5
"""Of a kind, from which a preview tells how long the next will take."""

_RETRY_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A plan that was made and not executed."""

    config: JobConfig
    job_type: JobType
    plan: Plan
    duration: Estimate

    @property
    def plan_id(self) -> str:
        """Names the plan, and carries the figures of which a start with it can say that they changed."""
        return f"plan-{'-'.join(map(str, self.figures))}-{self.plan.digest}"

    @property
    def figures(self) -> tuple[int, int, int]:
        """Items, those of them that will be skipped, and requests."""
        return self.plan.total_items, self.plan.skipped_items, self.plan.requests


@dataclass(frozen=True, slots=True)
class Planner:
    """Asks the stores, and the dashboard for calendars that are not stored yet."""

    storage: Storage
    handlers: Mapping[JobType, JobTypeHandler]
    hours: AllowedHours | None
    now: Callable[[], datetime]

    def work(self, job_type: JobType) -> JobTypeHandler:
        """Raises InvalidJobType where there is none of that type."""
        work = self.handlers.get(job_type)
        if work is None:
            existing = " or ".join(self.handlers)
            raise InvalidJobType({"jobType": [f"{job_type} is not offered by this version; use {existing}."]})
        return work

    def preview(self, request: JobRequest) -> Preview:
        """What a start would do. Raises InvalidRequest (and its kinds), DashboardUnavailable."""
        work, now = self.work(request.job_type), self.now()
        config = request.config(self.storage.control.rate_limits().limits, now.date())
        return self._preview_of(config, request.job_type, work.plan(config, now))

    def confirmed(self, request: JobRequest) -> Preview:
        """The preview that the request names by its plan id, or PlanChanged where that is out of date."""
        preview = self.preview(request)
        if not request.plan_id or request.plan_id == preview.plan_id:
            return preview
        before = _PLAN_ID.fullmatch(request.plan_id)
        if before is None:
            raise InvalidRequest({"planId": ["planId is none that a preview gave; preview again and use its planId."]})
        raise PlanChanged(
            "The plan has changed since the preview, so nothing was started. Look at what changed, and start with "
            "the new planId.",
            details={
                "before": dict(zip(_FIGURES, map(int, before.groups()), strict=False)),
                "now": dict(zip(_FIGURES, preview.figures, strict=True)),
                "planId": preview.plan_id,
            },
        )

    def retry(self, job: Job, codes: Collection[str], districts: Collection[str]) -> Preview:
        """Of the failed items of an ended job, or of those with the given codes or districts.

        Raises InvalidJobState, NothingToRetry, DashboardUnavailable.
        """
        if job.status.is_active:
            raise InvalidJobState(f"Job {job.id} is {job.status}; its failed items can be retried once it has ended.")
        items = [
            outcome.item
            for outcome in self._failures(job.id)
            if (not codes or outcome.reason in codes) and (not districts or outcome.item.district in districts)
        ]
        if not items:
            kind = " of that kind" if codes or districts else ""
            rest = ""
            if job.progress.settled_items < job.progress.total_items:
                rest = " A new job over its dates does what it did not come to, and skips what is stored."
            raise NothingToRetry(f"Job {job.id} has no failed item{kind}; there is nothing to retry.{rest}")
        dates = [item.date for item in items]
        config = replace(
            job.config,
            start_date=min(dates),
            end_date=max(dates),
            target_districts=(),
            rate_limits=self.storage.control.rate_limits().limits,
        )
        # Planned anew: what was an open month may be closed by now, or live in the archive.
        plan = self.work(job.job_type).plan(config, self.now()).only(items)
        if not plan.days:
            raise NothingToRetry(f"The dashboard publishes nothing any more for the failed items of job {job.id}.")
        return self._preview_of(replace(config, target_districts=job.config.target_districts), job.job_type, plan)

    def _preview_of(self, config: JobConfig, job_type: JobType, plan: Plan) -> Preview:
        """With how long it will take, as the last jobs of its kind went."""
        wanted = JobFilter(job_types=frozenset({job_type}))
        past = [
            PastRun(
                throughput=job.progress.throughput, limits=job.config.rate_limits, latency=job.progress.limiter.latency
            )
            for job in self.storage.jobs.page(wanted, limit=_JOBS_REMEMBERED, offset=0).rows
        ]
        if plan.requests:
            duration = estimate_requests(plan.requests, config.rate_limits, past).within(self.hours, self.now())
        else:
            duration = estimate_items(plan.total_items - plan.skipped_items, past)
        return Preview(config=config, job_type=job_type, plan=plan, duration=duration)

    def _failures(self, job_id: UUID) -> list[Outcome]:
        failures: list[Outcome] = []
        failed = OutcomeFilter(kind=OutcomeKind.FAILED)
        while True:
            page = self.storage.ledger.outcomes(job_id, failed, limit=_RETRY_PAGE, offset=len(failures))
            failures += page.rows
            if len(failures) >= page.total or not page.rows:
                return failures
