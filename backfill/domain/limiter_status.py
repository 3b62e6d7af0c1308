"""The state of a limiter and its wait reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class LimiterState(StrEnum):
    IDLE = "idle"
    RUNNING = "running"
    THROTTLED = "throttled"
    BACKING_OFF = "backing-off"


class WaitReason(StrEnum):
    """What delays a job."""

    PACE = "pace"
    """The limits of the job; the next request starts in some seconds."""
    RETRY = "retry"
    """Failed items wait for their next attempt, and no other item can start."""
    RESPONSES = "responses"
    """Every request that may be sent is in flight, and its response takes long."""
    SLOWED = "slowed"
    """The rate is below the limit, because the dashboard asked for fewer requests."""
    CRAWL_DELAY = "crawl-delay"
    """The dashboard's robots.txt requires a lower rate than the limits."""
    ASKED_TO_WAIT = "asked-to-wait"
    """The dashboard asked to send no request before a time."""
    DOWN = "down"
    OUTSIDE_HOURS = "outside-hours"
    STORE = "store"
    """The job store is unavailable."""
    CLUSTER = "cluster"
    """The compute cluster is unavailable."""
    LOCAL = "local"
    """The network of this machine prevents requests."""
    ROBOTS = "robots"
    """The dashboard's robots.txt does not allow the requests."""


ENDED_BY_OPERATORS = frozenset({WaitReason.ASKED_TO_WAIT, WaitReason.DOWN, WaitReason.LOCAL, WaitReason.ROBOTS})
"""The reasons for waits that an operator can end early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterReport:
    """What the limiter does and why it waits."""

    state: LimiterState = LimiterState.IDLE
    requests_made: int = 0
    requests_this_minute: int = 0
    waiting_until: datetime | None = None
    reason: str = "No requests are being made."
    waits_for: WaitReason | None = None
    """The subject of `reason`, if something delays the job."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """Requests by response: the HTTP status, or the code of the error if that is more specific."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds that the job was delayed, by WaitReason."""
    pace: float | None = None
    """Requests that may start per minute now; at most the limit."""
    latency: float | None = None
    """Seconds per request, averaged over the last ones."""
    down_since: datetime | None = None
    """When the failures began that opened the circuit breaker; None if it is closed."""

    def at_rest(self, *, goes_on: bool) -> LimiterReport:
        """The counts only. `goes_on`: another runner continues at once and must know of an outage."""
        return LimiterReport(
            requests_made=self.requests_made,
            answers=self.answers,
            waited=self.waited,
            latency=self.latency,
            down_since=self.down_since if goes_on else None,
        )
