"""How far a job has come, and what its limiter is doing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean, stdev

ERRORS_KEPT = 100
"""The newest errors that are shown with a job; all of them are in its ledger."""

HISTORY = timedelta(minutes=30)
"""How far back the pace is shown."""


class LimiterState(StrEnum):
    IDLE = "idle"
    RUNNING = "running"
    THROTTLED = "throttled"
    BACKING_OFF = "backing-off"


class WaitReason(StrEnum):
    """What holds a job back."""

    PACE = "pace"
    """The operator's limits, where the next start is seconds away."""
    RETRY = "retry"
    """Items that failed wait until they are asked for again, and there is nothing else to do."""
    SLOWED = "slowed"
    """The pace is below the ceiling, because the dashboard asked for fewer requests."""
    ASKED_TO_WAIT = "asked-to-wait"
    """The dashboard said until when."""
    DOWN = "down"
    OUTSIDE_HOURS = "outside-hours"
    STORE = "store"
    """The job store does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterReport:
    """What the limiter does and why it waits, in a sentence."""

    state: LimiterState = LimiterState.IDLE
    requests_made: int = 0
    requests_this_minute: int = 0
    waiting_until: datetime | None = None
    reason: str = "No requests are being made."
    answers: Mapping[str, int] = field(default_factory=dict)
    """Requests by what came back: the HTTP status, or the code of the error where that says more."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds in which the job was held back so far, by what held it (WaitReason)."""
    pace: float | None = None
    """Requests that may start a minute as things are; at most the operator's ceiling."""
    latency: float | None = None
    """Seconds that a request lasts, of the last ones."""
    down_since: datetime | None = None
    """When the first of the failures began that say that the dashboard is down; None where it is not."""

    def at_rest(self, *, goes_on: bool) -> LimiterReport:
        """With what was counted, and nothing going on; and what a runner must know that `goes_on` at once."""
        return LimiterReport(
            requests_made=self.requests_made,
            answers=self.answers,
            waited=self.waited,
            latency=self.latency,
            down_since=self.down_since if goes_on else None,
        )


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
class Estimate:
    """Seconds that are left, with a range that should hold the truth nine times in ten."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counted from the ledger, with what the runner last said of itself."""

    total_items: int
    expected_skips: int = 0
    processed: int = 0
    failed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    current_item: str = ""
    last_item: str = ""
    last_item_at: datetime | None = None
    limiter: LimiterReport = LimiterReport()
    districts: Mapping[str, DistrictProgress] = field(default_factory=dict)
    errors: tuple[ItemError, ...] = ()
    """The newest ones, newest first."""
    minutes: tuple[tuple[datetime, int], ...] = ()
    """Items settled by work (not skipped) in each of the last minutes, oldest first."""
    quality: Mapping[str, int] = field(default_factory=dict)
    """Notes on the quality of the results that were computed, by their code."""

    @property
    def skipped_items(self) -> int:
        return sum(self.skipped.values())

    @property
    def settled_items(self) -> int:
        return self.processed + self.failed + self.skipped_items

    @property
    def percent(self) -> float:
        """0 to 100, one digit, rounded down: 100 only when all is settled."""
        if not self.total_items:
            return 100.0
        return math.floor(1000 * self.settled_items / self.total_items) / 10

    @property
    def items_per_minute(self) -> float | None:
        """Over the last whole minutes; None while there is none."""
        counts = [count for _, count in self.minutes[:-1]]
        return fmean(counts) if counts else None

    def estimate(self) -> Estimate | None:
        """How long the rest takes at the pace of the last minutes; None while no whole minute has passed."""
        pace = self.items_per_minute
        if not pace:
            return None
        expected_skips = max(self.expected_skips - self.skipped_items, 0)
        left = max(self.total_items - self.settled_items - expected_skips, 0)
        counts = [count for _, count in self.minutes[:-1]]
        spread = 1.645 * stdev(counts) / math.sqrt(len(counts)) if len(counts) > 2 else pace / 2
        return Estimate(
            seconds=60 * left / pace, low=60 * left / (pace + spread), high=60 * left / max(pace - spread, pace / 4)
        )
