"""Ctrl-C and SIGTERM as something to wait for."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self


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
        if not self._is_asked:
            try:
                self._got.get(timeout=seconds)
            except Empty:
                return False
            self._is_asked = True
        return True
