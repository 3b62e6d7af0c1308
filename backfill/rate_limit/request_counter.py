"""Counts of a limiter's requests and waits."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime, timedelta

from backfill.domain import LimiterReport, WaitReason
from backfill.rate_limit.status import LimiterStatus

_LATENCY_WINDOW = 20
"""The latency is a moving average over about this many requests."""


class RequestCounter:
    """Continues from the last report of the previous runner. Times are seconds of a monotonic clock.

    Not thread-safe.
    """

    def __init__(self, before: LimiterReport) -> None:
        self.made, self.latency = before.requests_made, before.latency
        self.answers, self.waited = Counter(before.answers), dict(before.waited)
        self.starts: deque[float] = deque()
        """Start times within the last minute."""
        self._last_wait: tuple[float, WaitReason] | None = None

    def started(self, now: float) -> None:
        self.made += 1
        self.starts.append(now)

    def not_sent(self) -> None:
        """The last request that started was not sent."""
        self.made -= 1
        if self.starts:
            self.starts.pop()

    def lasted(self, seconds: float) -> None:
        """A request was answered after this time."""
        latency = self.latency if self.latency is not None else seconds
        self.latency = latency + (seconds - latency) / _LATENCY_WINDOW

    def _in_the_minute_before(self, now: float) -> int:
        while self.starts and self.starts[0] <= now - 60:
            self.starts.popleft()
        return len(self.starts)

    def report(self, status: LimiterStatus, now: float, wall: datetime) -> LimiterReport:
        """The counts and the status at `now`, which is the time of day `wall`."""
        self._add_wait(status.waits_for, now)
        return LimiterReport(
            state=status.state,
            requests_made=self.made,
            requests_this_minute=self._in_the_minute_before(now),
            answers=dict(self.answers),
            waited=dict(self.waited),
            reason=status.sentence,
            waits_for=status.waits_for,
            waiting_until=wall + timedelta(seconds=status.until - now) if status.until is not None else None,
            latency=self.latency,
        )

    def _add_wait(self, reason: WaitReason | None, now: float) -> None:
        """Add the time since the last call to the wait reason of that call."""
        if self._last_wait is not None:
            since, waited_for = self._last_wait
            self.waited[waited_for] = self.waited.get(waited_for, 0.0) + now - since
        self._last_wait = (now, reason) if reason is not None else None
