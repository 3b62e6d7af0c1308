"""The status of a limiter: its state, what it waits for and until when, and the sentence that operators read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backfill.domain import AllowedHours, LimiterState, RateLimits, RequestSchedule, WaitReason

RETRY_STORE = 1.0
"""Seconds between two attempts to update the store."""

_SHORTEST_REPORTED_WAIT = 2.0
"""Seconds; a shorter wait for the next start is the normal rate and is not reported."""

_IDLE_AFTER = 5.0
"""Seconds after the last start; until then it counts as running, because the fetched reports are being stored."""

_HOLDING = frozenset(
    {
        WaitReason.STORE,
        WaitReason.CLUSTER,
        WaitReason.LOCAL,
        WaitReason.ROBOTS,
        WaitReason.DOWN,
        WaitReason.OUTSIDE_HOURS,
        WaitReason.ASKED_TO_WAIT,
    }
)


class LimiterStatus(NamedTuple):
    waits_for: WaitReason | None
    state: LimiterState
    until: float | None
    """By the monotonic clock."""
    sentence: str

    @property
    def is_holding(self) -> bool:
        """Whether it waits for more than the rate, so that no item can be in progress."""
        return self.waits_for in _HOLDING


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSnapshot:
    """The state of a limiter from which its status follows. Times are seconds of its monotonic clock."""

    now: float
    limits: RateLimits
    interval: float
    """Current seconds between two starts."""
    store_trouble: str
    held_up: tuple[WaitReason, float, str] | None
    """Another wait reason, the time of the next attempt, and its sentence."""
    down_reason: str
    """Empty if the circuit breaker is closed."""
    closed_for: float
    """Seconds until the allowed hours begin; 0 within them."""
    hours: AllowedHours | None
    hold_ends: float
    hold_reason: str
    backing_off: tuple[float, str] | None
    """When the first of the back-offs ends, and its reason."""
    next_start: float
    last_start: float | None
    """None before the first start and after `stop`."""
    in_flight: int
    waiting_starts: int
    crawl_delay: float = 0.0
    """Seconds between two starts that robots.txt requests; 0 if it does not."""

    @property
    def is_requesting(self) -> bool:
        return bool(self.in_flight or self.waiting_starts)

    @property
    def is_slowed(self) -> bool:
        """Whether the interval is longer than the limits and the crawl delay require."""
        return self.interval > max(self.limits.interval.total_seconds(), self.crawl_delay)


def limiter_status(snapshot: LimiterSnapshot) -> LimiterStatus:
    """The status for the strongest wait reason."""
    now, holds_until = snapshot.now, snapshot.hold_ends if snapshot.hold_ends > snapshot.now else None
    backing_off, throttled = LimiterState.BACKING_OFF, LimiterState.THROTTLED
    if (waiting := _waits_for_dependency(snapshot)) is not None:
        return waiting
    if snapshot.waiting_starts and snapshot.closed_for:
        sentence = f"Requests are sent only within the allowed hours, {snapshot.hours}."
        return LimiterStatus(WaitReason.OUTSIDE_HOURS, throttled, now + snapshot.closed_for, sentence)
    if snapshot.down_reason:
        return LimiterStatus(WaitReason.DOWN, backing_off, holds_until, snapshot.down_reason)
    if holds_until is not None:
        return LimiterStatus(WaitReason.ASKED_TO_WAIT, backing_off, holds_until, snapshot.hold_reason)
    if snapshot.backing_off is not None and not snapshot.is_requesting:
        ends, sentence = snapshot.backing_off
        return LimiterStatus(WaitReason.RETRY, backing_off, max(ends, now), sentence)
    return _without_hold(snapshot)


def _waits_for_dependency(snapshot: LimiterSnapshot) -> LimiterStatus | None:
    """The status while it waits for something other than the dashboard."""
    if snapshot.store_trouble:
        return LimiterStatus(
            WaitReason.STORE, LimiterState.BACKING_OFF, snapshot.now + RETRY_STORE, snapshot.store_trouble
        )
    if snapshot.held_up is not None:
        waits_for, ends, sentence = snapshot.held_up
        return LimiterStatus(waits_for, LimiterState.BACKING_OFF, max(ends, snapshot.now), sentence)
    return None


def _without_hold(snapshot: LimiterSnapshot) -> LimiterStatus:
    limit = rate = _a_minute(snapshot.limits.max_per_minute)
    slowed = None
    if snapshot.crawl_delay > snapshot.limits.interval.total_seconds():
        slowed = WaitReason.CRAWL_DELAY
        limit = rate = f"{_a_minute(60 / snapshot.crawl_delay)}, the Crawl-delay of the dashboard's robots.txt"
    if snapshot.is_slowed:
        slowed = WaitReason.SLOWED
        rate = (
            f"{_a_minute(60 / snapshot.interval)}, because the dashboard asked for fewer than the limit of {limit}; "
            "it increases by a tenth of the limit each minute"
        )
    if snapshot.waiting_starts and snapshot.next_start - snapshot.now >= _SHORTEST_REPORTED_WAIT:
        sentence = f"Waiting for the next start; the rate is {rate}."
        return LimiterStatus(slowed or WaitReason.PACE, LimiterState.THROTTLED, snapshot.next_start, sentence)
    if snapshot.is_requesting or (snapshot.last_start is not None and snapshot.now - snapshot.last_start < _IDLE_AFTER):
        return LimiterStatus(slowed, LimiterState.RUNNING, None, f"The dashboard responds; the rate is {rate}.")
    return LimiterStatus(slowed, LimiterState.IDLE, None, "No requests are being made.")


def _a_minute(requests: float) -> str:
    """`36.8 requests a minute`."""
    number = f"{round(requests, 1):,g}"
    return f"{number} {'request' if number == '1' else 'requests'} a minute"


def down_sentence(since: datetime, message: str, status: int | None, until: datetime) -> str:
    """`message` and the HTTP `status` describe the last failure; the next request is sent at `until`."""
    last = f"last response {status}." if status is not None and status >= 400 else f"last error: {message}"
    return (
        f"No usable response since {since:%H:%M:%S} UTC; {last} The next request is sent at {until:%H:%M:%S} UTC, one "
        "request at a time. This does not count against any item, and the job continues automatically."
    )


def held_sentence(schedule: RequestSchedule, wall: datetime) -> str:
    """Why a preview reserves no time: a stored hold lasts longer than the preview waits."""
    until = schedule.hold(wall) or wall
    return (
        f"No request may be sent to the dashboard until {until:%H:%M:%S} UTC ({schedule.hold_reason}). "
        "Nothing was created; try again after that."
    )


def patience_sentence(reason: str) -> str:
    """Why a preview does not wait for the end of a hold; `reason` is that of the hold."""
    return (
        f"No request can be sent to the dashboard soon enough: {reason} "
        "Nothing was created; try again in a few minutes."
    )
