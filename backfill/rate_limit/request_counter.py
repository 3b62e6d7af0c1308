"""What a limiter counts of requests and of waits."""

from __future__ import annotations

from collections import Counter, deque

from backfill.domain import LimiterReport, WaitReason

_LATENCY_OF = 20
"""How many of the last requests the latency is told of, roughly."""


class RequestCounter:
    """Goes on from the last report of the runner before. Not for several threads.

    Times are seconds of a steady clock.
    """

    def __init__(self, before: LimiterReport) -> None:
        self.made, self.latency = before.requests_made, before.latency
        self.answers, self.waited = Counter(before.answers), dict(before.waited)
        self.starts: deque[float] = deque()
        """Of the last minute."""
        self._last_wait: tuple[float, WaitReason] | None = None

    def started(self, now: float) -> None:
        self.made += 1
        self.starts.append(now)

    def not_sent(self) -> None:
        """The last start did not become a request."""
        self.made -= 1
        if self.starts:
            self.starts.pop()

    def lasted(self, seconds: float) -> None:
        """Of a request that was answered."""
        latency = self.latency if self.latency is not None else seconds
        self.latency = latency + (seconds - latency) / _LATENCY_OF

    def in_the_minute_before(self, now: float) -> int:
        while self.starts and self.starts[0] <= now - 60:
            self.starts.popleft()
        return len(self.starts)

    def waits(self, reason: WaitReason | None, now: float) -> None:
        """What it waited for at the last look, it has waited for since."""
        if self._last_wait is not None:
            since, waited_for = self._last_wait
            self.waited[waited_for] = self.waited.get(waited_for, 0.0) + now - since
        self._last_wait = (now, reason) if reason is not None else None
