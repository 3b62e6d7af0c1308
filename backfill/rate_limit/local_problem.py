"""Network problems of this machine, which prevent requests from being sent."""

from __future__ import annotations

import logging
import random

from backfill.domain import RateLimits, WaitReason

logger = logging.getLogger(__name__)


class LocalProblemWait:
    """Spaces the attempts of this process until a request is sent. Other processes are not held.

    Times are seconds of a monotonic clock. Not thread-safe.
    """

    def __init__(self, *, is_logged: bool) -> None:
        """`is_logged` is False for a preview, which reports the problem to its operator itself."""
        self._is_logged = is_logged
        self._failures = 0
        self._sentence = ""
        self._ends = 0.0

    def __bool__(self) -> bool:
        return self._failures > 0

    def failed(self, cause: str, limits: RateLimits, now: float) -> None:
        """A request could not be sent; `cause` is a sentence."""
        self._failures += 1
        self._ends = now + limits.backoff(self._failures, random.random()).total_seconds()
        sentence = (
            f"The dashboard cannot be reached from this machine. {cause} This does not count against any item, and "
            "the job continues automatically once the problem is fixed."
        )
        if self._is_logged and sentence != self._sentence:
            logger.warning("%s", sentence)
        self._sentence = sentence

    def end(self) -> None:
        """A request was sent."""
        if self._is_logged and self._failures:
            logger.info("Requests reach the dashboard again.")
        self._failures, self._sentence = 0, ""

    def try_now(self, now: float) -> None:
        """Make the next attempt without waiting."""
        self._ends = min(self._ends, now)

    def left(self, now: float) -> float:
        """Seconds until the next attempt."""
        return max(self._ends - now, 0.0) if self._failures else 0.0

    def as_hold(self) -> tuple[WaitReason, float, str] | None:
        return (WaitReason.LOCAL, self._ends, self._sentence) if self._failures else None
