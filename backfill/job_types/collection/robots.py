"""Reads robots.txt before any other request: once a day per process, within the rate limits."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from backfill.dashboard.client import DashboardClient
from backfill.dashboard.robots import NO_RULES, PRODUCT, RobotRules
from backfill.domain import WaitReason
from backfill.errors import (
    DashboardError,
    DisallowedByRobots,
    HtmlPage,
    LocalProblem,
    RobotsUnavailable,
    TooLarge,
    UnexpectedStatus,
)
from backfill.rate_limit import Limiter

MAX_AGE = timedelta(days=1)

_PREVIEW_WAITS = 10.0
"""Seconds that a preview waits while a job of the same process reads robots.txt; then it reads the file itself."""


class Robots:
    """The rules of the dashboard's robots.txt. Thread-safe."""

    def __init__(self, client: DashboardClient, *, now: Callable[[], datetime]) -> None:
        self._client, self._now = client, now
        self._reading = threading.Lock()
        self._read: tuple[RobotRules, datetime] | None = None
        self._unavailable: tuple[str, datetime] | None = None
        """Why the file could not be read, and when a job tries again."""
        self._failures = 0

    def check(self, limiter: Limiter, path: str) -> None:
        """Check that a path may be requested, and apply the crawl delay.

        Raises DisallowedByRobots, and RobotsUnavailable or LocalProblem if robots.txt cannot be read.
        """
        self._check(self._client, limiter, path, max_wait=_PREVIEW_WAITS)

    def wait(self, client: DashboardClient, limiter: Limiter, path: str) -> None:
        """Wait until a path may be requested. Raises Stopped.

        `client` is that of the job, so that a request of robots.txt is aborted with the job.
        """
        is_held = False
        while True:
            try:
                self._check(client, limiter, path, max_wait=math.inf)
            except LocalProblem:
                limiter.resume()  # the limiter waits before the next attempt and reports why
                is_held = False
            except DisallowedByRobots as exc:
                sentence = f"{exc.message} This does not count against any item."
                if limiter.hold_for(WaitReason.ROBOTS, sentence, self._seconds_to_next_read()):
                    self._forget()
                is_held = True
            except RobotsUnavailable as exc:
                sentence = (
                    f"The dashboard counts as down. {exc.message} The job retries and then continues automatically. "
                    "This does not count against any item."
                )
                if limiter.hold_for(WaitReason.DOWN, sentence, self._seconds_to_retry()):
                    self._forget()
                is_held = True
            else:
                if is_held:
                    limiter.resume()
                return

    def _forget(self) -> None:
        """Read the file again before the next request: an operator does not want to wait."""
        self._read = self._unavailable = None

    def _check(self, client: DashboardClient, limiter: Limiter, path: str, max_wait: float) -> None:
        rules = self._current() or self._fetched(client, limiter, max_wait)
        limiter.set_crawl_delay(rules.crawl_delay)
        if not rules.allows(path):
            _, read_at = self._read or (rules, self._now())
            raise DisallowedByRobots(
                f"The dashboard's robots.txt does not allow {PRODUCT} to request {path.partition('?')[0]}. It is read "
                f"again at {read_at + MAX_AGE:%Y-%m-%d %H:%M} UTC, or when the service starts. If the owners of the "
                "dashboard agree to these requests, set BACKFILL_IGNORE_ROBOTS=true."
            )

    def _current(self) -> RobotRules | None:
        if self._read is None:
            return None
        rules, read_at = self._read
        # abs(): a clock that was set back must not keep old rules for longer than a day.
        return rules if abs(self._now() - read_at) < MAX_AGE else None

    def _fetched(self, client: DashboardClient, limiter: Limiter, max_wait: float) -> RobotRules:
        """Read robots.txt. One thread reads while the others wait."""
        ends = time.monotonic() + max_wait
        while not (is_reader := self._reading.acquire(timeout=0.5)) and time.monotonic() < ends:
            limiter.check()
        try:
            if (rules := self._current()) is not None:
                return rules
            if self._unavailable is not None and max_wait == math.inf and self._seconds_to_retry() > 0:
                raise RobotsUnavailable(self._unavailable[0])  # another thread has just tried
            rules = self._request(client, limiter)
            self._read, self._unavailable, self._failures = (rules, self._now()), None, 0
            return rules
        finally:
            if is_reader:
                self._reading.release()

    def _request(self, client: DashboardClient, limiter: Limiter) -> RobotRules:
        try:
            with limiter.request(report="robots.txt", is_first=True):
                return client.robot_rules()
        except (UnexpectedStatus, TooLarge, HtmlPage):
            return NO_RULES  # a missing file allows everything
        except LocalProblem:
            raise
        except DashboardError as exc:
            if not exc.is_retryable:
                return NO_RULES  # the requests that follow report the error
            self._failures += 1
            pause = limiter.limits.backoff(self._failures, random.random())
            message = f"Its robots.txt cannot be read, so no other requests are sent: {exc.message}"
            self._unavailable = message, self._now() + pause
            raise RobotsUnavailable(message) from exc

    def _seconds_to_next_read(self) -> float:
        return self._seconds_to(self._read[1] + MAX_AGE if self._read else self._now())

    def _seconds_to_retry(self) -> float:
        return self._seconds_to(self._unavailable[1] if self._unavailable else self._now())

    def _seconds_to(self, moment: datetime) -> float:
        return max((moment - self._now()).total_seconds(), 0.0)
