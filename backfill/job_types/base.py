"""What the runner knows of a kind of work: how it is planned, what of a day needs no work, and how an item is done."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from backfill.domain import Job, JobConfig, Outcome, OutcomeKind, Plan, PlannedDay, RateLimits, WorkItem
from backfill.rate_limit import Limiter
from backfill.storage import Fence

logger = logging.getLogger(__name__)


def unexpected(item: WorkItem, exc: BaseException, now: datetime) -> Outcome:
    """The outcome of an item that met a fault of this program; the log has the traceback."""
    logger.error("Item %s failed in a way that the service does not know.", item.key, exc_info=exc)
    message = f"Unexpected error: {exc!r}"
    return Outcome(item, OutcomeKind.FAILED, now, "UNEXPECTED_ERROR", message, attempts=1, is_retryable=True)


class Execution(ABC):
    """One claimed job's work. `process` is called from several threads."""

    bundle_size = 1
    """How many items of one day are handed out together, where the store is better asked for several at once."""

    @abstractmethod
    def concurrency(self, limits: RateLimits) -> int:
        """How many bundles may be in flight under the limits as they are now."""

    @abstractmethod
    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """Items of a day that are settled without work, in plan order. May raise StorageUnavailable."""

    @abstractmethod
    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        """Do a bundle of items of one day, each whole or not at all, and say how each went.

        Raises Stopped or StorageUnavailable where all of them are to be done again: the process stops, the job is
        cancelled, the store does not answer; and LeaseLost where another runner holds the job.
        """

    def abort(self) -> None:  # noqa: B027 - optional
        """Interrupt requests in flight: their `process` raises Stopped. Called from the runner's thread."""

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of what the execution holds; no item is in flight any more, or its outcome is not waited for."""


class JobTypeHandler(ABC):
    """A job type."""

    @abstractmethod
    def plan(self, config: JobConfig, now: datetime) -> Plan:
        """Every item of such a job, as things stand now.

        Raises InvalidRequest for districts that there are not, DashboardUnavailable where a calendar cannot be had.
        """

    @abstractmethod
    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        """Begin or go on with a claimed job."""
