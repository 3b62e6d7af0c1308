"""What the runner knows of a kind of work: how it is planned, what of a day needs no work, and how an item is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from backfill.domain import Job, JobConfig, Outcome, Plan, PlannedDay, WorkItem
from backfill.rate_limit import Limiter
from backfill.storage import Fence


class Execution(ABC):
    """One claimed job's work. `process` is called from several threads."""

    @abstractmethod
    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        """Items of a day that are settled without work, in plan order. May raise StorageUnavailable."""

    @abstractmethod
    def process(self, day: PlannedDay, item: WorkItem) -> Outcome:
        """Do one item, whole or not at all, and say how it went.

        Raises Stopped where the item was left undone because the process stops or the job is cancelled, and LeaseLost
        where another runner holds the job.
        """


class Work(ABC):
    """A job type."""

    @abstractmethod
    def plan(self, config: JobConfig, now: datetime) -> Plan:
        """Every item of such a job, as things stand now.

        Raises InvalidRequest for districts that there are not, DashboardUnavailable where a calendar cannot be had.
        """

    @abstractmethod
    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        """Begin or go on with a claimed job."""
