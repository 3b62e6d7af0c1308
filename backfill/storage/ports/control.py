"""The port for the single values that all processes share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from backfill.domain import AuditEntry, JobCounters, RequestSchedule, StoredLimits
from backfill.storage.ports.values import Change, Fence


class ControlStorage(ABC):
    """Rate limits, the request schedule, the worker heartbeat, job counters, and the connection to the store."""

    @abstractmethod
    def rate_limits(self) -> StoredLimits:
        """Return the rate limits of the next job; the defaults if none are stored."""

    @abstractmethod
    def update_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> Change[StoredLimits]:
        """Replace the rate limits by `change(limits)` and append the audit entry, in one transaction.

        Both callables must be pure, because they may be called more than once. If the limits do not change, nothing
        is written and `audit` is not called.
        """

    @abstractmethod
    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        """Replace the shared request schedule by `change(schedule)` atomically; return the new schedule.

        `change` must be pure, because it may be called more than once. Raises LeaseLost if the fence does not hold.
        """

    @abstractmethod
    def report_worker(self, at: datetime) -> None:
        """Store a worker heartbeat; a heartbeat earlier than the stored one changes nothing."""

    @abstractmethod
    def worker_seen_at(self) -> datetime | None:
        """Return the time of the latest worker heartbeat; None if there was none."""

    @abstractmethod
    def counters(self) -> JobCounters:
        """Return the sums over all ended jobs. The change that ends a job adds to them in its transaction."""

    @abstractmethod
    def ping(self) -> None:
        """Raise StorageUnavailable unless the store can be read and written."""

    @abstractmethod
    def disconnect(self) -> None:
        """Close the connection of the calling thread. A thread calls this before it ends."""
