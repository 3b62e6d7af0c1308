"""Totals over all ended jobs. They never decrease, even when jobs are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from backfill.domain.job import Job
from backfill.domain.ledger import OutcomeKind

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounters:
    """Updated in the transaction that ends a job.

    Together with the figures of the active job they are monotonic counters, the same in every process.
    """

    jobs: Mapping[str, int] = field(default_factory=dict)
    """By `job-type status`."""
    items: Mapping[str, int] = field(default_factory=dict)
    """By `job-type outcome`."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """Requests by response, as in LimiterReport."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds by wait reason."""
    takeovers: int = 0
    takeover_seconds: float = 0.0

    def plus(self, job: Job) -> JobCounters:
        """Return the sum with the figures of a job, including its final status if it has ended."""
        kind, progress, limiter = job.job_type, job.progress, job.progress.limiter
        items = {
            OutcomeKind.PROCESSED: progress.processed,
            OutcomeKind.FAILED: progress.failed,
            OutcomeKind.SKIPPED: progress.skipped_items,
        }
        return replace(
            self,
            jobs=_sum(self.jobs, {} if job.status.is_active else {f"{kind} {job.status}": 1}),
            items=_sum(self.items, {f"{kind} {outcome}": count for outcome, count in items.items()}),
            answers=_sum(self.answers, limiter.answers),
            waited=_sum(self.waited, limiter.waited),
            takeovers=self.takeovers + job.takeovers,
            takeover_seconds=self.takeover_seconds + job.takeover_seconds,
        )


def _sum(one: Mapping[str, N], other: Mapping[str, N]) -> Mapping[str, N]:
    return {**one, **{name: one[name] + value if name in one else value for name, value in other.items()}}
