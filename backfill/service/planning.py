"""Plans jobs: previews, confirmed plans and retries."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from backfill.domain import (
    LIMIT_NAMES,
    CalendarAccess,
    Estimate,
    Job,
    JobConfig,
    JobFilter,
    JobRequest,
    JobType,
    PastRun,
    Plan,
    RateLimits,
    camel,
    estimate_items,
    estimate_requests,
    limit_text,
)
from backfill.domain.runtime_config import RuntimeConfig
from backfill.errors import InvalidJobState, InvalidJobType, InvalidRequest, NothingToRetry, PlanChanged
from backfill.job_types.base import JobTypeHandler
from backfill.service.retries import RetryReader
from backfill.storage import Storage

_LIMITS = "_".join([r"(\d{1,10}(?:\.\d{1,20})?)"] * len(LIMIT_NAMES))
_PLAN_ID = re.compile(rf"plan-(\d+)-(\d+)-(\d+)(?:-{_LIMITS})?-([0-9a-f]{{16}})", re.ASCII)
"""Plan ids of earlier versions do not contain limits."""

_FIGURES = ("totalItems", "skippedItems", "estimatedRequests")
"""The meaning of the first numbers in a plan id."""

_JOBS_REMEMBERED = 5
"""Recent jobs used for duration estimates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A plan that is not stored yet."""

    config: JobConfig
    job_type: JobType
    plan: Plan
    duration: Estimate
    expected_each: Estimate | None = None
    """Seconds per unit of work, without the hours in which no request may be sent; None if there is no work."""

    @property
    def plan_id(self) -> str:
        """Identifies the plan and its limits, and contains their figures, so that PlanChanged can name what changed."""
        limits = "_".join(str(_number(value)) for value in self.config.rate_limits.to_dict().values())
        return f"plan-{'-'.join(map(str, self.figures))}-{limits}-{self.plan.digest}"

    @property
    def figures(self) -> tuple[int, int, int]:
        """Items, items that will be skipped, and requests."""
        return self.plan.total_items, self.plan.skipped_items, self.plan.requests


@dataclass(frozen=True, slots=True)
class Planner:
    """Reads the stores, and requests calendars that are not stored yet from the dashboard."""

    storage: Storage
    handlers: Mapping[JobType, JobTypeHandler]
    config: RuntimeConfig

    def validate(self, request: JobRequest) -> None:
        """Check what needs no plan. Raises InvalidRequest and its subclasses."""
        self._handler(request.job_type)
        limits = self.storage.control.rate_limits().limits if request.limit_changes else RateLimits()
        request.config(limits, self.config.clock.now().date())

    def _handler(self, job_type: JobType) -> JobTypeHandler:
        handler = self.handlers.get(job_type)
        if handler is None:
            existing = " or ".join(self.handlers)
            raise InvalidJobType({"jobType": [f"{job_type} is not offered by this version; use {existing}."]})
        return handler

    def preview(self, request: JobRequest, access: CalendarAccess) -> Preview:
        """Return what a start would do.

        Raises InvalidRequest (and its subclasses), CalendarIncomplete, CalendarReadDenied, DashboardUnavailable.
        """
        handler, now = self._handler(request.job_type), self.config.clock.now()
        config = request.config(self.storage.control.rate_limits().limits, now.date())
        if request.items:
            plan = handler.plan_items(config, now, request.items, access)
        else:
            plan = handler.plan(config, now, access)
        return self._with_estimate(config, request.job_type, plan)

    def confirmed(self, request: JobRequest, access: CalendarAccess) -> Preview:
        """Return the preview of the request. Raises what `preview` raises, and PlanChanged if its plan id differs."""
        preview = self.preview(request, access)
        if not request.plan_id or request.plan_id == preview.plan_id:
            return preview
        raise _plan_changed(request.plan_id, preview)

    def retry(self, job: Job, codes: Collection[str], districts: Collection[str], access: CalendarAccess) -> Preview:
        """Return the preview of the failed items of an ended job, or of those with the given codes or districts.

        Items that a later job recovered are left out.
        Raises InvalidJobState, NothingToRetry, CalendarIncomplete, DashboardUnavailable.
        """
        if job.status.is_active:
            raise InvalidJobState(f"Job {job.id} is {job.status}; its failed items can be retried once it has ended.")
        outcomes = RetryReader(self.storage).still_failed(job)
        items = [
            outcome.item
            for outcome in outcomes
            if (not codes or outcome.reason in codes) and (not districts or outcome.item.district in districts)
        ]
        if not items and not outcomes and job.progress.failed:
            raise NothingToRetry(f"Later jobs stored all failed items of job {job.id}; there is nothing to retry.")
        if not items:
            kind = " of that kind" if codes or districts else ""
            unsettled = ""
            if job.progress.settled_items < job.progress.total_items:
                unsettled = " A new job over its dates processes its unsettled items and skips stored ones."
            raise NothingToRetry(f"Job {job.id} has no failed item{kind}; there is nothing to retry.{unsettled}")
        dates = [item.date for item in items]
        config = replace(
            job.config,
            start_date=min(dates),
            end_date=max(dates),
            target_districts=(),
            rate_limits=self.storage.control.rate_limits().limits,
            initial_limits=None,
        )
        # Not the plan of the ended job: an open month may be closed or archived since.
        plan = self._handler(job.job_type).plan_items(config, self.config.clock.now(), items, access)
        if not plan.days:
            raise NothingToRetry(f"The dashboard no longer publishes the failed items of job {job.id}.")
        return self._with_estimate(replace(config, target_districts=job.config.target_districts), job.job_type, plan)

    def _with_estimate(self, config: JobConfig, job_type: JobType, plan: Plan) -> Preview:
        """Return the preview of a plan, with its duration estimated from recent jobs of the type."""
        wanted = JobFilter(job_types=frozenset({job_type}))
        past = [
            PastRun(
                throughput=job.progress.throughput, limits=job.config.rate_limits, latency=job.progress.limiter.latency
            )
            for job in self.storage.jobs.page(wanted, limit=_JOBS_REMEMBERED, offset=0).rows
        ]
        if plan.requests:
            work: float = plan.requests
            estimate = estimate_requests(work, config.rate_limits, past)
            duration = estimate.within(self.config.allowed_hours, self.config.clock.now())
        else:
            work = plan.total_items - plan.skipped_items
            duration = estimate = estimate_items(work, past)
        expected_each = estimate.times(1 / work) if work else None
        return Preview(config=config, job_type=job_type, plan=plan, duration=duration, expected_each=expected_each)


def _number(value: float) -> float:
    """Return a whole number as an int, so that it is rendered without a decimal point."""
    return int(value) if value == int(value) else value


def _plan_changed(plan_id: str, now: Preview) -> PlanChanged:
    """Build the error for a start whose plan differs from its plan id. Raises InvalidRequest for an invalid id."""
    found = _PLAN_ID.fullmatch(plan_id)
    if found is None:
        raise InvalidRequest({"planId": ["planId is not that of a preview; preview again and use its planId."]})
    figures, limits, digest = found.groups()[:3], found.groups()[3:-1], found.groups()[-1]
    details = {
        "before": dict(zip(_FIGURES, map(int, figures), strict=True)),
        "now": dict(zip(_FIGURES, now.figures, strict=True)),
        "planId": now.plan_id,
    }
    if None in limits:
        return PlanChanged(
            "The planId was made by an earlier version and does not contain the rate limits, so nothing was started. "
            "Check the plan again, and start with the new planId.",
            details={**details, "rateLimits": None},
        )
    current = now.config.rate_limits
    pairs = [(name, float(old), current.to_dict()[name]) for name, old in zip(LIMIT_NAMES, limits, strict=True)]
    changed = [(name, old, new) for name, old, new in pairs if old != new]
    texts = [f"{limit_text(name, old)} when previewed, {new:,g} now" for name, old, new in changed]
    if details["before"] != details["now"] or digest != now.plan.digest:
        texts.append("other items")
    return PlanChanged(
        f"The plan has changed since the preview, so nothing was started: {'; '.join(texts)}. Look at what changed, "
        "and start with the new planId.",
        details={
            **details,
            "rateLimits": {camel(name): {"before": _number(old), "now": new} for name, old, new in changed},
        },
    )
