"""What is known of the source by how requests ended, and what follows of each end."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from backfill.domain import CircuitBreaker, RateLimits
from backfill.errors import DashboardError, NoRows, Overloaded, RefusedAnswer, Throttled, WrongReport
from backfill.rate_limit.status import down_sentence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestStart:
    """A request that was let go."""

    item: str
    at: datetime
    is_probe: bool
    asks_for_known: bool


class ResponseAction(NamedTuple):
    """What a failure means for every request of every process."""

    is_slower: bool = False
    """The pace is to be halved."""
    hold: tuple[datetime, str] | None = None
    """The source is to be left alone until then, and why."""


class ResponsePolicy:
    """Not for several threads."""

    def __init__(self, down_since: datetime | None = None) -> None:
        """`down_since`: that of the runner before this one, which found the source down."""
        self.health = CircuitBreaker(down_since)
        self._down_reason = "The dashboard was in trouble when it was asked last; one request finds out."
        self._throttled_in_row = 0

    @property
    def down_reason(self) -> str:
        """Empty where it is not down."""
        return self._down_reason if self.health.is_down else ""

    def answered(self) -> None:
        if self.health.is_down:
            logger.info("The dashboard answers again.")
        self.health.answered()
        self._throttled_in_row = 0

    def failed(self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime) -> ResponseAction:
        is_slower = self._asks_for_less(exc, start)
        if isinstance(exc, Throttled) and exc.retry_at is not None:  # it lives, and says what it wants
            return ResponseAction(is_slower, (exc.retry_at, self._sentence(exc, exc.retry_at)))
        if isinstance(exc, NoRows | RefusedAnswer | WrongReport):
            self.answered()
            if not start.asks_for_known:
                self.health.charge(start.item)
            return ResponseAction(is_slower)
        if not exc.is_retryable:  # it could not even be asked
            return ResponseAction(is_slower)
        return ResponseAction(is_slower, self._hold_after(exc, start, limits, now))

    def _asks_for_less(self, exc: DashboardError, start: RequestStart) -> bool:
        """A 429 does, and a 503 unless nothing is answered anyway: then the rate is not what is wrong."""
        is_in_trouble = start.is_probe or self.health.is_in_trouble
        return isinstance(exc, Throttled) or (isinstance(exc, Overloaded) and not is_in_trouble)

    def _hold_after(
        self, exc: DashboardError, start: RequestStart, limits: RateLimits, now: datetime
    ) -> tuple[datetime, str] | None:
        health, was_down = self.health, self.health.is_down
        if start.is_probe:
            health.probe_failed()
        elif start.item:
            health.failed(start.item, now)
        self._throttled_in_row += isinstance(exc, Throttled)
        goes_down = health.is_down and not was_down
        distance = health.probes + 1 if health.is_down else self._throttled_in_row
        until = now + limits.backoff(distance, random.random())
        sentence = self._sentence(exc, until)
        if goes_down:
            logger.warning("%s", sentence)
        is_held = start.is_probe or goes_down or isinstance(exc, Throttled)
        return (until, sentence) if is_held else None

    def _sentence(self, exc: DashboardError, until: datetime) -> str:
        """Why the source is left alone until then."""
        if (since := self.health.down_since) is None:
            return exc.message
        self._down_reason = down_sentence(since, exc.message, until)
        return self._down_reason
