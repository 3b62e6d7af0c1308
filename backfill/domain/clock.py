"""Time and synchronisation primitives, in one object that tests replace."""

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
    """The time of day, a monotonic clock, and events, conditions, queues and threads.

    Code that waits with a timeout creates them here, so that tests run the same code in virtual time.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    """Seconds, unaffected by changes of the time of day."""

    def event(self) -> threading.Event:
        return threading.Event()

    def condition(self) -> threading.Condition:
        return threading.Condition()

    def queue(self) -> queue.SimpleQueue[Any]:
        return queue.SimpleQueue()

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """A daemon thread that is not started yet."""
        return threading.Thread(target=target, name=name, daemon=True)


SYSTEM_CLOCK = Clock()
