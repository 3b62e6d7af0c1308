"""Whether the dashboard as a whole is down."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

DOWN_AFTER = 5
"""Consecutive failures, over at least two items, that open the circuit breaker."""

_KNOWN_EVERY = 8
"""One of this many probes requests something that succeeded before; the others request the items that failed."""


class CircuitBreaker:
    """Opens after `DOWN_AFTER` consecutive failures over different items, or when `open` is called.

    While it is open, requests are sent one at a time, as probes. The first probe and each eighth one request something
    that succeeded before. A success closes the breaker. The outage is confirmed if a probe failed before that.

    Not thread-safe.
    """

    def __init__(self, down_since: datetime | None = None) -> None:
        """`down_since`: when the outage began that the previous runner confirmed, if it ended while it was open."""
        self.down_since = down_since
        self.probes = 1 if down_since else 0
        """Failed probes since the breaker opened."""
        self._failures: Counter[str] = Counter()
        self._failing_since: datetime | None = None

    @property
    def is_down(self) -> bool:
        return self.down_since is not None

    @property
    def is_failing(self) -> bool:
        """Whether it is open or the last request failed."""
        return self.is_down or bool(self._failures)

    @property
    def probes_known(self) -> bool:
        """Whether the next probe requests something that succeeded before."""
        return self.is_down and self.probes % _KNOWN_EVERY == 0

    def failed(self, item: str, now: datetime) -> None:
        """Count the failure of a request that is not a probe; ignored while the breaker is open."""
        if self.is_down:
            return
        self._failures[item] += 1
        self._failing_since = self._failing_since or now
        if self._failures.total() >= DOWN_AFTER and len(self._failures) > 1:
            self.open(now)

    def open(self, now: datetime) -> None:
        """The outage began with the first of the consecutive failures, or at `now` if there are none."""
        self.down_since = self.down_since or self._failing_since or now

    def probe_failed(self) -> None:
        self.probes += 1

    def close(self) -> bool:
        """A request succeeded. Return whether it ends a confirmed outage."""
        is_confirmed = self.probes > 0
        self._failures.clear()
        self._failing_since = self.down_since = None
        self.probes = 0
        return is_confirmed
