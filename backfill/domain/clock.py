"""Time and waiting, in one object that tests replace."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time of day, a steady clock, and what threads wait with.

    Code that waits with a timeout gets its events, conditions, queues and threads from here, so that a test can let
    the same code run in virtual time.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that go on evenly, whatever is done to the time of day."""

    def event(self) -> threading.Event:
        return threading.Event()

    def condition(self) -> threading.Condition:
        return threading.Condition()

    def queue(self) -> queue.SimpleQueue[Any]:
        return queue.SimpleQueue()

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """One that ends with the process; it is not started yet."""
        return threading.Thread(target=target, name=name, daemon=True)


SYSTEM_CLOCK = Clock()
