"""Waits that end early when the job drains or stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from backfill.domain.clock import Clock
from backfill.errors import Stopped
from backfill.rate_limit.status import RETRY_STORE

_LONGEST_SLEEP = 5.0
_SHORTEST_BACKOFF = 0.01
"""Seconds, also if the longest delay is 0: a thread that waits for the result of others must let them run."""

_Stored = TypeVar("_Stored")


class Waits:
    """The lock that guards a limiter's state, and the waits for it to change. Call the methods with the lock held."""

    def __init__(self, clock: Clock, is_wanted: Callable[[], bool] | None = None) -> None:
        """`is_wanted` is None if only `is_stopped` and `is_draining` end the waits."""
        self.changed = clock.condition()
        self.is_stopped = self.is_draining = self.is_storing = False
        self._clock, self._is_wanted = clock.monotonic, is_wanted
        self._backing_off: dict[int, tuple[float, str]] = {}
        self._ended_waits = 0

    @property
    def first_backoff(self) -> tuple[float, str] | None:
        """When the first of the current back-offs ends, and its reason."""
        return min(self._backing_off.values(), default=None)

    def check(self, *, may_drain: bool = False) -> None:
        """Raise Stopped if the job stops, or drains and `may_drain` is False."""
        if self.is_stopped or (self.is_draining and not may_drain):
            raise Stopped("The job is stopping; the item is not processed.")
        if self._is_wanted is not None and not self._is_wanted():
            raise Stopped("No caller waits for this request any more.")

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a change; callers check their condition again."""
        self.changed.wait(_LONGEST_SLEEP if seconds is None else min(seconds, _LONGEST_SLEEP))

    def wait_until(self, ends: float, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Return whether `end_all` ended the wait. Raises Stopped as `check` does."""
        before = self._ended_waits
        while (left := ends - self._clock()) > 0 and not is_over() and self._ended_waits == before:
            self.check()
            self.wait(left)
        return self._ended_waits != before

    def end_all(self) -> None:
        """End the current waits for a time."""
        self._ended_waits += 1
        self.changed.notify_all()

    def back_off(self, seconds: float, reason: str, is_over: Callable[[], bool]) -> None:
        """Raises Stopped as `check` does."""
        thread, ends = threading.get_ident(), self._clock() + max(seconds, _SHORTEST_BACKOFF)
        self._backing_off[thread] = (ends, reason)
        try:
            self.wait_until(ends, is_over)
        finally:
            del self._backing_off[thread]

    def while_storing(self, store: Callable[[], _Stored | None]) -> _Stored | None:
        """Call `store` without the lock, in one thread at a time; wait, and return None, if it returns None."""
        self.is_storing = True
        try:
            self.changed.release()
            try:
                result = store()
            finally:
                self.changed.acquire()
            ends = self._clock() + RETRY_STORE
            while result is None and (left := ends - self._clock()) > 0 and not self.is_stopped:
                self.wait(left)
            return result
        finally:
            self.is_storing = False
            self.changed.notify_all()
