"""What follows from the end of a request: for the circuit breaker, the retries, the rate and the next requests."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backfill.domain import RateLimits
from backfill.errors import DashboardError, NoRows, Overloaded, RefusedAnswer, Throttled, WrongReport
from backfill.rate_limit.circuit_breaker import CircuitBreaker
from backfill.rate_limit.retry_policy import RetryPolicy
from backfill.rate_limit.status import down_sentence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestStart:
    """A request that the limiter has started."""

    item: str
    at: datetime
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
        self._throttled_in_row = 0

    @property
    def down_reason(self) -> str:
        """Empty if the breaker is closed."""
        return self._down_reason if self.breaker.is_down else ""

    def is_unresolved(self, item: str) -> bool:
        return not self.breaker.is_down and self.retries.is_unresolved(item)

    def end_item(self, item: str, now: datetime) -> None:
        self.retries.end(item)
        self._open_if_unresolved(now)

    def succeeded(self) -> None:
        """The dashboard responded, with whatever content."""
        if self.breaker.is_down:
            logger.info("The dashboard responds again.")
        is_outage = self.breaker.close()
        self.retries.resolve(are_counted=not is_outage)
        self._throttled_in_row = 0

    def item_failed(self, item: str, now: datetime) -> None:
        """A request that is not a probe failed. It is ignored if the breaker opened after the request started."""
        if not self.breaker.is_down:
            self.breaker.failed(item, now)
            self.retries.failed(item)
            self._open_if_unresolved(now)

    def failed(self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime) -> ResponseAction:
        is_slower = self._lowers_rate(exc, start)
        if isinstance(exc, Throttled) and exc.retry_at is not None:  # the dashboard works, and says when to continue
            return ResponseAction(is_slower, (exc.retry_at, self._sentence(exc, exc.retry_at)))
        if isinstance(exc, NoRows | RefusedAnswer | WrongReport):
            self.succeeded()
            if not start.asks_for_known:
                self.retries.count(start.item)
            return ResponseAction(is_slower)
        if not exc.is_retryable:  # the request could not be sent
            return ResponseAction(is_slower)
        return ResponseAction(is_slower, self._hold_after(exc, start, limits, now))

    def _open_if_unresolved(self, now: datetime) -> None:
        if self.retries.are_all_unresolved():
            self.breaker.open(now)

    def _lowers_rate(self, exc: DashboardError, start: RequestStart) -> bool:
        """A 429 lowers the rate. A 503 does so unless all requests fail: then the rate is not the cause."""
        is_outage = start.is_probe or self.breaker.is_failing
        return isinstance(exc, Throttled) or (isinstance(exc, Overloaded) and not is_outage)

    def _hold_after(
        self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime
    ) -> tuple[datetime, str] | None:
        breaker, was_down = self.breaker, self.breaker.is_down
        if start.is_probe:
            breaker.probe_failed()
        elif start.item:
            self.item_failed(start.item, now)
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
        if (since := self.breaker.down_since) is None:
            return exc.message
        self._down_reason = down_sentence(since, exc.message, exc.status, until)
        return self._down_reason
