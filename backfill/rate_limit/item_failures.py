"""The failures of items: how many an item has, and how long it waits before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from backfill.domain import RateLimits
from backfill.rate_limit.circuit_breaker import CircuitBreaker
from backfill.rate_limit.response_policy import ResponsePolicy
from backfill.rate_limit.retry_policy import RetryPolicy
from backfill.rate_limit.shared_schedule import SharedSchedule
from backfill.rate_limit.waits import Waits


class ItemFailures:
    """The part of the limiter that concerns items and their attempts. The limiter sets the attributes."""

    _limits: RateLimits
    _now: Callable[[], datetime]
    _waits: Waits
    _shared: SharedSchedule
    _responses: ResponsePolicy
    _breaker: CircuitBreaker
    _retries: RetryPolicy

    @contextmanager
    def item(self, item: str) -> Iterator[None]:
        """Count failures of the item's requests separately inside the block."""
        with self._waits.changed:
            self._retries.begin(item)
        try:
            yield
        finally:
            with self._waits.changed:
                is_slowed_alone = self._responses.end_item(item, self._now())
                self._waits.changed.notify_all()
            self._shared.end_slowing(item, restore=is_slowed_alone)

    def back_off(self, failures: int, reason: str) -> None:
        """Wait after consecutive failures, exponentially longer. Raises Stopped."""
        with self._waits.changed:
            self._back_off(failures, reason, lambda: False)

    def wait_after_failure(self, item: str, reason: str) -> None:
        """Wait after an item's failure, exponentially longer. Raises Stopped.

        Returns early if the circuit breaker opens, since probes have their own distance. An item without attempts
        left waits until its pending failures are resolved.
        """
        retries, responses = self._retries, self._responses
        with self._waits.changed:
            self._back_off(retries.failures(item), reason, lambda: self._breaker.is_down or retries.is_given_up(item))
            while responses.is_unresolved(item):
                self._back_off(retries.failures(item), reason, lambda: not responses.is_unresolved(item))

    def _back_off(self, failures: int, reason: str, is_over: Callable[[], bool]) -> None:
        self._waits.back_off(self._limits.backoff(failures, random.random()).total_seconds(), reason, is_over)

    def failures(self, item: str) -> int:
        """The item's counted failures, without the pauses that the dashboard asked for."""
        with self._waits.changed:
            return self._retries.counted(item)

    def attempts(self, item: str) -> int:
        """The item's counted failures of every kind."""
        with self._waits.changed:
            return self._retries.counted(item, with_pauses=True)
