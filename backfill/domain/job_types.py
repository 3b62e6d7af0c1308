"""The job types and their descriptions.

A description holds what other modules need to know about a job type, so that they do not compare its name. The
handlers, which plan and process items, are registered in `backfill.job_types.registry`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from backfill.domain.snapshot import reports_of


class JobType(StrEnum):
    DATA_COLLECTION = "data-collection"
    ANALYTICS_GENERATION = "analytics-generation"

    @property
    def description(self) -> JobTypeDescription:
        return _DESCRIPTIONS[self]


class Breakdown(StrEnum):
    """What the `itemBreakdown` of a preview lists."""

    DATES = "dates"
    ITEMS = "items"
    """Item ids, with the numbers of missing, stale and done items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTypeDescription:
    """Texts are English; the admin passes them through gettext."""

    title: str
    summary: str
    """What a job does: one or two sentences for the start form."""
    unit: str
    """What processing an item produces, in the plural."""
    verb: str
    participle: str
    gerund: str
    done: str
    """The label of processed items."""
    dates_help: str
    """The help text of the date fields."""
    skip_label: str
    """The label of the option to skip items that are done."""
    skip_help: str
    waiting: str
    """What a job reports while it waits for the system that it depends on: a sentence."""
    no_items: str
    """Why a job has no items; completes "It had no items: … for its dates."."""
    breakdown: Breakdown
    requires_dates: bool
    requests_of: Callable[[str], int]
    """Requests to the dashboard for an item of a district, without repetitions."""

    @property
    def calls_dashboard(self) -> bool:
        return self.requests_per_item > 0

    @property
    def requests_per_item(self) -> int:
        """Requests for an item of a district other than the summary."""
        return self.requests_of("")


def _no_requests(_district: str) -> int:
    return 0


_DESCRIPTIONS = {
    JobType.DATA_COLLECTION: JobTypeDescription(
        title="Data collection",
        summary=(
            "Fetches the published figures of each date and district from the dashboard and stores them as snapshots."
        ),
        unit="snapshots",
        verb="fetch",
        participle="fetched",
        gerund="Fetching",
        done="stored",
        dates_help="From 1 July 2008 to yesterday. Unpublished dates are left out.",
        skip_label="Skip items that are already stored",
        skip_help="Untick to fetch stored items again; a snapshot is replaced only if its content changed.",
        waiting="Waiting for the dashboard.",
        no_items="no data is published",
        breakdown=Breakdown.DATES,
        requires_dates=True,
        requests_of=lambda district: len(reports_of(district)),
    ),
    JobType.ANALYTICS_GENERATION: JobTypeDescription(
        title="Analytics generation",
        summary="Computes the analytics of snapshots that are already stored. Sends no requests to the dashboard.",
        unit="results",
        verb="compute",
        participle="computed",
        gerund="Computing",
        done="computed",
        dates_help="Optional: if left empty, the results of all snapshots are computed.",
        skip_label="Skip items whose results are up to date",
        skip_help="Untick to compute all results again.",
        waiting="Waiting for the Dask cluster.",
        no_items="no snapshots are stored",
        breakdown=Breakdown.ITEMS,
        requires_dates=False,
        requests_of=_no_requests,
    ),
}
