"""Ctrl-C and SIGTERM as something to wait for."""

from __future__ import annotations

import math
import signal
import time
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

_LONGEST = 0.5
"""Seconds of one wait. A signal that comes when the thread is just about to wait is handled only once it runs again."""


class StopSignals:
    """While it is entered, SIGINT and SIGTERM interrupt nothing: they end `wait`."""

    def __init__(self) -> None:
        # A queue, since its put may be called from a signal handler at any point of the thread that waits in get.
        self._got: SimpleQueue[int] = SimpleQueue()
        self._is_asked = False

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, lambda got, _frame: self._got.put(got))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it was asked to stop, at the latest after so many seconds; None waits as long as it takes."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while not self._is_asked:
            left = ends - time.monotonic()
            try:
                self._got.get(timeout=max(min(left, _LONGEST), 0))
            except Empty:
                if left <= _LONGEST:
                    return False
            else:
                self._is_asked = True
        return True
