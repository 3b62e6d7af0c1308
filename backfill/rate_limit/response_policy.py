"""What follows from the end of a request: for the circuit breaker, the retries, the rate and the next requests."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backfill.domain import RateLimits
from backfill.errors import (
    DashboardError,
    NotPublished,
    NotSent,
    Overloaded,
    Throttled,
    WrongReport,
)
from backfill.rate_limit.circuit_breaker import CircuitBreaker
from backfill.rate_limit.retry_policy import FailureKind, RetryPolicy
from backfill.rate_limit.status import down_sentence, paused_sentence, probe_sentence, response_name

logger = logging.getLogger(__name__)

_SLOW = 60.0
"""Seconds; a failed request that took as long blocked one of the few slots."""


@dataclass(frozen=True, slots=True)
class RequestStart:
    """A request that the limiter has started."""

    item: str
    report: str
    """What is requested: the dashboard may reject one kind of report and send the others."""
    at: datetime
    began: float
    """The same time by the monotonic clock."""
    is_probe: bool
    asks_for_known: bool


class ResponseAction(NamedTuple):
    """What a failure means for the requests of all processes."""

    is_slower: bool = False
    """The rate is halved."""
    hold: tuple[datetime, str] | None = None
    """No request is sent before this time, for this reason."""


class ResponsePolicy:
    """Connects the circuit breaker and the retry policy: a confirmed outage does not count against any item.

    Not thread-safe.
    """

    def __init__(self, down_since: datetime | None = None) -> None:
        """`down_since`: as for CircuitBreaker."""
        self.breaker, self.retries = CircuitBreaker(down_since), RetryPolicy()
        self._down_reason = "The dashboard was down at the last request; one request checks whether it responds again."
        self._throttled_in_row = self._successes = 0
        self._responses: set[str] = set()
        """The names of the consecutive unusable responses."""
        self._slowed: dict[str, int] = {}
        """The items whose last response asked for fewer requests, and the number of successes at that time."""

    @property
    def down_reason(self) -> str:
        """Empty if the breaker is closed."""
        return self._down_reason if self.breaker.is_down else ""

    def is_unresolved(self, item: str) -> bool:
        return not self.breaker.is_down and self.retries.is_unresolved(item)

    def end_item(self, item: str, now: datetime) -> bool:
        """Return whether the item was given up although it alone was asked for fewer requests."""
        is_slowed_alone = self._slowed.pop(item, None) is not None and self.retries.is_given_up(item)
        self.retries.end(item)
        self._open_if_unresolved(now)
        return is_slowed_alone

    def succeeded(self, report: str = "", item: str = "") -> None:
        """The dashboard responded to a request of this report, with whatever content."""
        self._successes += 1
        self._slowed.pop(item, None)
        self._throttled_in_row = 0
        breaker = self.breaker
        if breaker.is_down and breaker.concerns(report):
            logger.info("The dashboard responds again.")
            is_outage = breaker.close()
            self.retries.resolve(are_counted=not is_outage)
        else:
            breaker.succeeded(report)
            self.retries.resolve(are_counted=True, report=report)
        if not breaker.is_failing:
            self._responses.clear()

    def item_failed(self, item: str, now: datetime, report: str = "", kind: FailureKind = FailureKind.UNUSABLE) -> None:
        """A request that is not a probe failed.

        It does not count against the item if the breaker opened after the request started.
        """
        is_down = self.breaker.is_down
        if kind is not FailureKind.PAUSED:  # the dashboard works, and says when to continue
            self.breaker.failed(item, now, report)
        if not is_down:
            self.retries.failed(item, report, kind)
            self._open_if_unresolved(now)

    def failed(
        self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime, took: float = 0.0
    ) -> ResponseAction:
        """`took`: seconds from the start of the request to its failure."""
        if isinstance(exc, NotSent):
            return ResponseAction()
        is_slower = self._lowers_rate(exc, start)
        if isinstance(exc, NotPublished | WrongReport):
            self.succeeded(start.report, start.item)
            if not start.asks_for_known:
                self.retries.count(start.item)
            return ResponseAction(is_slower)
        self._responses.add(response_name(exc))
        return ResponseAction(is_slower, self._hold_after(exc, start, limits, now, took))

    def _open_if_unresolved(self, now: datetime) -> None:
        if self.retries.are_all_unresolved():
            self.breaker.open(now)

    def _lowers_rate(self, exc: DashboardError, start: RequestStart) -> bool:
        """A 429 lowers the rate. A 503 does so unless all requests fail: then the rate is not the cause.

        The rate is not the cause either if an item gets the same response again and others succeeded in between.
        """
        is_outage = start.is_probe or self.breaker.is_failing
        is_slower = isinstance(exc, Throttled) or (isinstance(exc, Overloaded) and not is_outage)
        if is_slower and start.item:
            is_slower = self._slowed.get(start.item, self._successes) == self._successes
            self._slowed[start.item] = self._successes
        return is_slower

    def _hold_after(
        self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime, took: float
    ) -> tuple[datetime, str] | None:
        breaker, was_down = self.breaker, self.breaker.is_down
        pause_ends = exc.retry_at if isinstance(exc, Throttled) else None
        if start.is_probe:
            breaker.probe_failed("" if start.asks_for_known else start.item, start.report)
        elif start.item:
            self.item_failed(start.item, now, start.report, _kind_of(exc, took))
        if pause_ends is not None:
            return pause_ends, self._sentence(exc, pause_ends)
        self._throttled_in_row += isinstance(exc, Throttled)
        opens = breaker.is_down and not was_down
        failures = breaker.probes + 1 if breaker.is_down else self._throttled_in_row
        until = now + limits.backoff(failures, random.random())
        sentence = self._sentence(exc, until)
        if opens:
            logger.warning("%s", sentence)
        is_held = start.is_probe or opens or isinstance(exc, Throttled)
        return (until, sentence) if is_held else None

    def _sentence(self, exc: DashboardError, until: datetime) -> str:
        """Why no request is sent before `until`."""
        breaker = self.breaker
        if (since := breaker.down_since) is None:
            return paused_sentence(exc.message, until)
        row = breaker.failed_requests, breaker.failed_items
        self._down_reason = down_sentence(since, exc, row, is_uniform=len(self._responses) == 1)
        return probe_sentence(self._down_reason, since, until)


def _kind_of(exc: DashboardError, took: float) -> FailureKind:
    if isinstance(exc, Throttled) and exc.retry_at is not None:
        return FailureKind.PAUSED
    return FailureKind.SLOW if took >= _SLOW else FailureKind.UNUSABLE
