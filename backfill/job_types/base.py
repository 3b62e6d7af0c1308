"""The interface of a job type: `JobTypeHandler` plans jobs, `Execution` processes the items of a claimed job."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from backfill.domain import CalendarAccess, Job, JobConfig, Outcome, OutcomeKind, Plan, PlannedDay, RateLimits, WorkItem
from backfill.rate_limit import Limiter
from backfill.storage import Fence

logger = logging.getLogger(__name__)


def unexpected(item: WorkItem, exc: BaseException, now: datetime) -> Outcome:
    """The failed outcome of an item whose processing raised an unexpected error. Logs the traceback."""
    logger.error("Item %s failed with an unexpected error.", item.key, exc_info=exc)
    message = f"Unexpected error: {exc!r}"
    return Outcome(item, OutcomeKind.FAILED, now, "UNEXPECTED_ERROR", message, attempts=1, is_retryable=True)


class Execution(ABC):
    """Processes the items of one claimed job. `process` is called from several threads."""

    bundle_size = 1
    """The number of items of one day that `process` gets at a time. Larger bundles need fewer storage reads."""

    @abstractmethod
    def concurrency(self, limits: RateLimits) -> int:
        """The number of bundles that may be in flight under the current limits."""

    @abstractmethod
    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """The outcomes of items of a day that need no processing, in plan order. May raise StorageUnavailable."""

    @abstractmethod
    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        """Process a bundle of items of one day and return their outcomes. The effects of each item are atomic.

        Raises Stopped if the process stops or the job is cancelled, StorageUnavailable if the storage does not
        respond, and LeaseLost if another runner holds the job. After Stopped and StorageUnavailable the whole bundle
        is processed again.
        """

    def abort(self) -> None:  # noqa: B027 - optional
        """Interrupt requests in flight: their `process` raises Stopped. Called from the runner's thread."""

    def close(self) -> None:  # noqa: B027 - most executions hold no resources
        """Release resources. No item is in flight any more, or its outcome is discarded."""


class JobTypeHandler(ABC):
    """Plans jobs of one type and creates their executions."""

    @abstractmethod
    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:
        """Plan every item of a job. `access`: whether and how long calendar pages may be read; the default is forever.

        Raises InvalidRequest for unknown districts, CalendarIncomplete and CalendarReadDenied if calendar pages are
        missing, and DashboardUnavailable if one cannot be read.
        """

    def plan_items(
        self, config: JobConfig, now: datetime, items: Iterable[WorkItem], access: CalendarAccess | None = None
    ) -> Plan:
        """Plan a retry of `items`. Raises the same errors as `plan`. Override it to count requests."""
        return self.plan(config, now, access).only(items)

    def read_calendar(  # noqa: B027 - optional
        self, month_ends: Sequence[date], access: CalendarAccess, *, known: int
    ) -> None:
        """Read and store the calendar pages of these months, in order. Raises the same errors as `plan`.

        `known`: how many further months count as needed and stored in the progress.
        """

    @abstractmethod
    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        """Start or resume a claimed job."""
