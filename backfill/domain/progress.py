"""The progress of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from backfill.domain.estimate import Estimate, ThroughputHistory
from backfill.domain.limiter_status import LimiterReport

ERRORS_KEPT = 100
"""The number of errors shown with a job; the ledger contains all of them."""

HISTORY = timedelta(minutes=30)
"""The period for which the rate is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictProgress:
    total: int
    processed: int = 0
    failed: int = 0
    skipped: int = 0
    last_error: str = ""
    is_in_progress: bool = False

    @property
    def status(self) -> str:
        settled = self.processed + self.failed + self.skipped
        if settled < self.total:
            return "processing" if settled or self.is_in_progress else "pending"
        if self.failed:
            return "failed"
        return "skipped" if self.skipped == self.total else "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    item_key: str
    code: str
    message: str
    at: datetime
    is_retryable: bool
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """All failed items with the same error code."""

    code: str
    items: int
    districts: tuple[str, ...]
    latest_at: datetime
    is_retryable: bool
    """Whether a retry of at least one of them may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counted from the ledger, with the last report of the runner."""

    total_items: int
    expected_skips: int = 0
    processed: int = 0
    failed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    current_item: str = ""
    last_item: str = ""
    last_item_at: datetime | None = None
    limiter: LimiterReport = field(default_factory=LimiterReport)
    districts: Mapping[str, DistrictProgress] = field(default_factory=dict)
    errors: tuple[ItemError, ...] = ()
    """The newest ERRORS_KEPT, newest first."""
    failures: tuple[FailureGroup, ...] = ()
    """By error code, the most frequent first."""
    minutes: tuple[tuple[datetime, int], ...] = ()
    """Items processed or failed in each of the last minutes, oldest first."""
    throughput: ThroughputHistory = field(default_factory=ThroughputHistory)
    left: Estimate | None = None
    """The remaining time; None before any work is done."""
    quality: Mapping[str, int] = field(default_factory=dict)
    """The number of quality notes of the computed results by code."""

    @property
    def skipped_items(self) -> int:
        return sum(self.skipped.values())

    @property
    def settled_items(self) -> int:
        return self.processed + self.failed + self.skipped_items

    @property
    def percent(self) -> float:
        """0 to 100 with one decimal, rounded down, so that 100 means that all items are settled."""
        if not self.total_items:
            return 100.0
        return math.floor(1000 * self.settled_items / self.total_items) / 10

    @property
    def complete_minutes(self) -> tuple[tuple[datetime, int], ...]:
        """Without the first minute, in which the work began, and the current one."""
        return self.minutes[1:-1]

    @property
    def items_per_minute(self) -> float | None:
        """The mean over the complete minutes; None without one."""
        counts = [count for _, count in self.complete_minutes]
        return fmean(counts) if counts else None
