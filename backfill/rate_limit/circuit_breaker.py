"""Whether the dashboard as a whole, or one kind of report of it, is down."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

DOWN_AFTER = 5
"""Consecutive failures, over at least two items, that open the circuit breaker."""

_KNOWN_EVERY = 8
"""One of this many probes requests something that succeeded before; the others request the items that failed."""


class CircuitBreaker:
    """Opens after `DOWN_AFTER` consecutive failures over different items, or when `open` is called.

    Failures are consecutive until a request of the same report succeeds: if the dashboard rejects one kind of report,
    the success of another kind says nothing about it. Only a success of a report that failed closes the breaker.

    While it is open, requests are sent one at a time, as probes. The first probe and each eighth one request something
    that succeeded before. The outage is confirmed if a probe failed before the breaker closes.

    Not thread-safe.
    """

    def __init__(self, down_since: datetime | None = None) -> None:
        """`down_since`: when the outage began that the previous runner confirmed, if it ended while it was open."""
        self.down_since = down_since
        self.probes = 1 if down_since else 0
        """Failed probes since the breaker opened."""
        self._failures: dict[str, Counter[str]] = {}
        """Consecutive failures of each report, by item."""
        self._down_reports: set[str] = set()
        """The reports that failed when it opened, or since; if there are none, the success of any report closes it."""
        self._failing_since: datetime | None = None

    @property
    def is_down(self) -> bool:
        return self.down_since is not None

    @property
    def is_failing(self) -> bool:
        """Whether it is open or the last request of a report failed."""
        return self.is_down or bool(self._failures)

    @property
    def probes_known(self) -> bool:
        """Whether the next probe requests something that succeeded before."""
        return self.is_down and self.probes % _KNOWN_EVERY == 0

    @property
    def failed_requests(self) -> int:
        """The number of consecutive failures."""
        return sum(items.total() for items in self._failures.values())

    @property
    def failed_items(self) -> int:
        """The number of items with consecutive failures."""
        return len({item for items in self._failures.values() for item in items if item})

    def concerns(self, report: str) -> bool:
        """Whether a request of this report is a probe while the breaker is open."""
        return not self._down_reports or report in self._down_reports

    def failed(self, item: str, now: datetime, report: str = "") -> None:
        """Count the failure of a request that is not a probe. While the breaker is open, it concerns the report too."""
        self._count(item, report)
        self._failing_since = self._failing_since or now
        if self.is_down:
            if self._down_reports:
                self._down_reports.add(report)
        elif self.failed_requests >= DOWN_AFTER and self.failed_items > 1:
            self.open(now)

    def open(self, now: datetime) -> None:
        """The outage began with the first of the consecutive failures, or at `now` if there are none."""
        if not self.is_down:
            self.down_since = self._failing_since or now
            self._down_reports = set(self._failures)

    def probe_failed(self, item: str = "", report: str = "") -> None:
        """`item` is empty if the probe requested something that succeeded before."""
        self._count(item, report)
        self.probes += 1

    def succeeded(self, report: str = "") -> None:
        """A request of this report succeeded that does not close the breaker."""
        self._failures.pop(report, None)
        if not self.is_failing:
            self._failing_since = None

    def close(self) -> bool:
        """A probe succeeded. Return whether it ends a confirmed outage."""
        is_confirmed = self.probes > 0
        self._failures.clear()
        self._down_reports.clear()
        self._failing_since = self.down_since = None
        self.probes = 0
        return is_confirmed

    def _count(self, item: str, report: str) -> None:
        self._failures.setdefault(report, Counter())[item] += 1
