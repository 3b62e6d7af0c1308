"""What a limiter says of itself: what it does, what it waits for, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backfill.domain import AllowedHours, LimiterState, RateLimits, RequestSchedule, WaitReason

RETRY_STORE = 1.0
"""Seconds between two attempts to reach the store."""

_NOTABLE = 2.0
"""Seconds; a shorter wait for the next start is the pace itself, and no reason worth telling."""

_LULL = 5.0
"""Seconds after a start in which requests are still going on, though none is in flight: what was fetched is stored."""

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
    """What it waits for, if it does, until when by the clock, and what it says of it."""

    waits_for: WaitReason | None
    state: LimiterState
    until: float | None
    sentence: str

    @property
    def is_holding(self) -> bool:
        """Whether it waits for more than the pace, so that no item can be at work."""
        return self.waits_for in _HOLDING


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterSnapshot:
    """How things stand with a limiter. Times are seconds of its steady clock."""

    now: float
    limits: RateLimits
    interval: float
    """Between two starts, as things are."""
    store_trouble: str
    held_up: tuple[WaitReason, float, str] | None
    """By whom else than the source and the store, when it is asked again, and a sentence about that."""
    down_reason: str
    """Empty where the source is not down."""
    closed_for: float
    """Until the allowed hours begin; 0 inside them."""
    hours: AllowedHours | None
    hold_ends: float
    hold_reason: str
    backing_off: tuple[float, str] | None
    """When the first of the waits after failures ends, and its reason."""
    next_start: float
    last_start: float | None
    """None where nothing was started yet, or nothing will be any more."""
    in_flight: int
    waiting_starts: int
    crawl_delay: float = 0.0
    """Seconds between two starts that the source asks for; 0 where it does not."""

    @property
    def is_asking(self) -> bool:
        return bool(self.in_flight or self.waiting_starts)

    @property
    def is_slowed(self) -> bool:
        """Whether the starts are further apart than the limits ask for."""
        return self.interval > max(self.limits.interval.total_seconds(), self.crawl_delay)


def limiter_status(facts: LimiterSnapshot) -> LimiterStatus:
    """The strongest reason to wait decides."""
    now, holds_until = facts.now, facts.hold_ends if facts.hold_ends > facts.now else None
    backing_off, throttled = LimiterState.BACKING_OFF, LimiterState.THROTTLED
    if (elsewhere := _elsewhere(facts)) is not None:
        return elsewhere
    if facts.waiting_starts and facts.closed_for:
        sentence = f"The dashboard is asked only within the allowed hours, {facts.hours}."
        return LimiterStatus(WaitReason.OUTSIDE_HOURS, throttled, now + facts.closed_for, sentence)
    if facts.down_reason:
        return LimiterStatus(WaitReason.DOWN, backing_off, holds_until, facts.down_reason)
    if holds_until is not None:
        return LimiterStatus(WaitReason.ASKED_TO_WAIT, backing_off, holds_until, facts.hold_reason)
    if facts.backing_off is not None and not facts.is_asking:
        ends, sentence = facts.backing_off
        return LimiterStatus(WaitReason.RETRY, backing_off, max(ends, now), sentence)
    return _going_on(facts)


def _elsewhere(facts: LimiterSnapshot) -> LimiterStatus | None:
    """What it waits for that is not the source."""
    if facts.store_trouble:
        return LimiterStatus(WaitReason.STORE, LimiterState.BACKING_OFF, facts.now + RETRY_STORE, facts.store_trouble)
    if facts.held_up is not None:
        waits_for, ends, sentence = facts.held_up
        return LimiterStatus(waits_for, LimiterState.BACKING_OFF, max(ends, facts.now), sentence)
    return None


def _going_on(facts: LimiterSnapshot) -> LimiterStatus:
    limit = pace = _a_minute(facts.limits.most_a_minute)
    slowed = None
    if facts.crawl_delay > facts.limits.interval.total_seconds():
        slowed = WaitReason.CRAWL_DELAY
        limit = pace = f"{_a_minute(60 / facts.crawl_delay)}, the Crawl-delay of the dashboard's robots.txt"
    if facts.is_slowed:
        slowed = WaitReason.SLOWED
        pace = (
            f"{_a_minute(60 / facts.interval)}, since the dashboard asked for fewer than the limit "
            f"of {limit}; it grows back by a tenth of that each minute"
        )
    if facts.waiting_starts and facts.next_start - facts.now >= _NOTABLE:
        sentence = f"Waiting for the next start to keep to {pace}."
        return LimiterStatus(slowed or WaitReason.PACE, LimiterState.THROTTLED, facts.next_start, sentence)
    if facts.is_asking or (facts.last_start is not None and facts.now - facts.last_start < _LULL):
        return LimiterStatus(slowed, LimiterState.RUNNING, None, f"The dashboard answers; the pace is {pace}.")
    return LimiterStatus(slowed, LimiterState.IDLE, None, "No requests are being made.")


def _a_minute(requests: float) -> str:
    """`36.8 requests a minute`."""
    number = f"{round(requests, 1):,g}"
    return f"{number} {'request' if number == '1' else 'requests'} a minute"


def down_sentence(since: datetime, last: str, until: datetime) -> str:
    """`last` is a sentence about the last failure; `until` is when the source is asked again."""
    return (
        f"The dashboard has answered nothing since {since:%H:%M:%S} UTC; the last failure: {last} It is asked again at "
        f"{until:%H:%M:%S} UTC, one request at a time. No item is charged for it, and the job goes on by itself."
    )


def busy_sentence(schedule: RequestSchedule, wall: datetime) -> str:
    """Why a preview was not given a turn soon enough."""
    hold = schedule.hold(wall)
    if hold is not None:
        return (
            f"The dashboard is left alone until {hold:%H:%M:%S} UTC ({schedule.hold_reason}). "
            "Nothing was created; try again after that."
        )
    return "Others are using the time of the dashboard. Nothing was created; try again in a minute."


def patience_sentence(reason: str) -> str:
    """Why a preview waited in vain; `reason` is that of the hold, if there is one."""
    return (
        f"The dashboard cannot be asked soon enough: {reason or 'others are using its time.'} "
        "Nothing was created; try again in a few minutes."
    )
