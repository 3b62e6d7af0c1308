"""The status of a limiter: its state, what it waits for and until when, and the sentence that operators read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from backfill.domain import AllowedHours, LimiterState, RateLimits, RequestSchedule, WaitReason
from backfill.errors import DashboardError

RETRY_STORE = 1.0
"""Seconds between two attempts to update the store."""

_SHORTEST_REPORTED_WAIT = 2.0
"""Seconds; a shorter wait for the next start is the normal rate and is not reported."""

_SHORTEST_REPORTED_RESPONSE = 5.0
"""Seconds after which a response that every slot waits for is reported."""

_IDLE_AFTER = 5.0
"""Seconds after the last start; until then it counts as running, because the fetched reports are being stored."""

_NOTHING_IS_LOST = "This does not count against any item, and the job continues automatically."

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
    max_in_flight: int
    oldest_start: float | None
    """When the oldest request in flight started."""
    crawl_delay: float = 0.0
    """Seconds between two starts that robots.txt requests; 0 if it does not."""

    @property
    def is_requesting(self) -> bool:
        return bool(self.in_flight or self.waiting_starts)

    @property
    def waits_for_responses(self) -> bool:
        """Whether no request can start or is to be started before one in flight ends, and it takes long."""
        is_full = self.in_flight >= self.max_in_flight or not self.waiting_starts
        return self.response_time >= _SHORTEST_REPORTED_RESPONSE and is_full

    @property
    def response_time(self) -> float:
        """Seconds since the start of the oldest request in flight."""
        return self.now - self.oldest_start if self.oldest_start is not None else 0.0

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
        return LimiterStatus(WaitReason.DOWN, backing_off, holds_until, _outage_sentence(snapshot, holds_until))
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
    if snapshot.waits_for_responses:
        return LimiterStatus(WaitReason.RESPONSES, LimiterState.RUNNING, None, responses_sentence(snapshot))
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


def responses_sentence(snapshot: LimiterSnapshot) -> str:
    """`Waiting for 3 responses, the oldest for 40 s.`"""
    seconds = f"{snapshot.response_time:,.0f} s"
    if snapshot.in_flight == 1:
        return f"Waiting for 1 response for {seconds}."
    return f"Waiting for {snapshot.in_flight} responses, the oldest for {seconds}."


def paused_sentence(message: str, until: datetime) -> str:
    """Why no request is sent before `until`, although the dashboard works."""
    return f"{message} No request is sent before {_moment(until)}."


def down_sentence(since: datetime, exc: DashboardError, row: tuple[int, int], *, is_uniform: bool) -> str:
    """What is known of an outage. `exc` is the last of the failures.

    `row` is the number of consecutive failures and of their items. `is_uniform`: all of them had the same response.
    """
    requests, items = (_number_of(number, word) for number, word in zip(row, ("request", "item"), strict=True))
    last = f"last error: {exc.message}"
    if name := response_name(exc):
        last = f"{name} for {requests}" if is_uniform else f"{requests} failed, the last one with {name},"
        last += f" in a row, for {items}." if row[1] else " in a row."
    return f"No usable response since {since:%H:%M:%S} UTC; {last}"


def probe_sentence(down_reason: str, since: datetime, until: datetime) -> str:
    """An outage and its next probe."""
    time = f"{until:%H:%M:%S} UTC" if until.date() == since.date() else _moment(until)
    return f"{down_reason} The next request is sent at {time}, one request at a time. {_NOTHING_IS_LOST}"


def _outage_sentence(snapshot: LimiterSnapshot, holds_until: float | None) -> str:
    """While no probe is due, the reason of the hold names the time of the next one."""
    if holds_until is not None and snapshot.hold_reason.startswith(snapshot.down_reason):
        return snapshot.hold_reason
    probe = f" {responses_sentence(snapshot)}" if snapshot.response_time >= 1 else ""
    return f"{snapshot.down_reason}{probe} {_NOTHING_IS_LOST}"


def response_name(exc: DashboardError) -> str:
    """`403 Forbidden`; empty if the status is not the reason for the error.

    The phrase is the standard one: that of the response is any text.
    """
    if exc.status is None or exc.status < 300:
        return ""
    try:
        return f"{exc.status} {HTTPStatus(exc.status).phrase}"
    except ValueError:
        return f"{exc.status}"


def _number_of(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def held_sentence(schedule: RequestSchedule, wall: datetime) -> str:
    """Why a preview reserves no time: a stored hold lasts longer than the preview waits."""
    until = schedule.hold(wall) or wall
    return (
        f"No request may be sent to the dashboard until {until:%H:%M:%S} UTC ({schedule.hold_reason}). "
        "Nothing was created; try again after that."
    )


def long_hold_sentence(reason: str) -> str:
    """Why a preview does not wait for the end of a hold; `reason` is that of the hold."""
    return (
        f"No request can be sent to the dashboard soon enough: {reason} "
        "Nothing was created; try again in a few minutes."
    )
