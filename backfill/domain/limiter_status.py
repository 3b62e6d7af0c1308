"""What a limiter is doing, and what it waits for."""

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
    """What holds a job back."""

    PACE = "pace"
    """The operator's limits, where the next start is seconds away."""
    RETRY = "retry"
    """Items that failed wait until they are asked for again, and there is nothing else to do."""
    SLOWED = "slowed"
    """The pace is below the ceiling, because the dashboard asked for fewer requests."""
    CRAWL_DELAY = "crawl-delay"
    """The dashboard's robots.txt asks for a slower pace than the limits."""
    ASKED_TO_WAIT = "asked-to-wait"
    """The dashboard said until when."""
    DOWN = "down"
    OUTSIDE_HOURS = "outside-hours"
    STORE = "store"
    """The job store does not answer."""
    CLUSTER = "cluster"
    """The cluster that computes is away."""
    LOCAL = "local"
    """The network of this machine prevents requests."""
    ROBOTS = "robots"
    """The dashboard's robots.txt does not allow the requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterReport:
    """What the limiter does and why it waits, in a sentence."""

    state: LimiterState = LimiterState.IDLE
    requests_made: int = 0
    requests_this_minute: int = 0
    waiting_until: datetime | None = None
    reason: str = "No requests are being made."
    waits_for: WaitReason | None = None
    """What the sentence is about, where something holds the job back."""
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
