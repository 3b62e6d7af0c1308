"""Waits for a signal that ends the process."""

from __future__ import annotations

import math
import signal
import time
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

_POLL_SECONDS = 0.5
"""A signal that arrives just before the thread blocks is handled only when the thread runs again."""


_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
"""Signals that end a process without a handler. Windows has only the first two."""


class StopSignals:
    """Context in which signals that would end the process end `wait` and interrupt nothing else.

    A signal that the process was started to ignore, as `nohup` does with SIGHUP, is still ignored.
    """

    def __init__(self) -> None:
        # SimpleQueue.put is reentrant: a signal handler may call it while the same thread is in get.
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._is_stopped = False

    def __enter__(self) -> Self:
        numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
        self._before = {
            number: signal.signal(number, lambda received, _frame: self._signals.put(received))
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN
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
        """Return whether a signal arrived, after at most `seconds`; None waits without limit."""
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while not self._is_stopped:
            left = ends - time.monotonic()
            try:
                self._signals.get(timeout=max(min(left, _POLL_SECONDS), 0))
            except Empty:
                if left <= _POLL_SECONDS:
                    return False
            else:
                self._is_stopped = True
        return True
