"""A clock whose time passes only while every thread waits, so that tests of threads take no time and are repeatable.

The thread that creates the clock and the threads that the clock creates belong to it. While one of them computes,
time does not pass. When all of them wait, time jumps to the earliest moment at which one of them continues. The result
of a test does not depend on the load of the machine.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Any

from backfill.domain.clock import Clock
from tests.unit.fakes import NOW

_STUCK_AFTER = 300.0
"""Seconds of real time after which a waiting thread is considered stuck, because another one computes or blocks."""

_SHORTEST_STEP = 1e-6
"""The shortest step in seconds, so that a wait for the rest of a rounding error ends."""


@dataclass(eq=False)
class _Waiter:
    is_ready: Callable[[], bool]
    ends: float
    continues: threading.Event = field(default_factory=threading.Event)
    is_stuck: bool = False


class VirtualTime:
    """The current time, and the threads that compute or wait."""

    def __init__(self, at: datetime) -> None:
        self._lock = threading.Lock()
        self._started_at, self._seconds = at, 0.0
        self._waiters: list[_Waiter] = []
        self._members = {threading.get_ident()}
        self._computing = 1

    def now(self) -> datetime:
        return self._started_at + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return 1000.0 + self._seconds

    def wait(self, is_ready: Callable[[], bool], seconds: float | None) -> bool:
        """Waits until `is_ready` returns true, at most that long. Returns whether it did."""
        waiter = _Waiter(is_ready, inf if seconds is None else self._seconds + max(seconds, 0.0))
        with self._lock:
            assert threading.get_ident() in self._members, "This thread was not made by the clock that it waits with."
            if is_ready():
                return True
            self._waiters.append(waiter)
            self._computing -= 1
            self._advance()
        assert waiter.continues.wait(_STUCK_AFTER), f"Stuck: {self._computing} other threads do not wait."
        assert not waiter.is_stuck, "Every thread waits for another one, and none of them for a time."
        return is_ready()

    def changed(self) -> None:
        """Wakes the threads whose condition is met. Called after each change that may meet one."""
        with self._lock:
            self._wake([waiter for waiter in self._waiters if waiter.is_ready()])

    def joined(self) -> None:
        """Counts a thread that is about to start. Its creator calls this, so that time does not pass meanwhile."""
        with self._lock:
            self._computing += 1

    def started(self) -> None:
        with self._lock:
            self._members.add(threading.get_ident())

    def left(self) -> None:
        with self._lock:
            self._members.discard(threading.get_ident())
            self._computing -= 1
            self._wake([waiter for waiter in self._waiters if waiter.is_ready()])
            self._advance()

    def _wake(self, waiters: Iterable[_Waiter]) -> None:
        for waiter in waiters:
            self._waiters.remove(waiter)
            self._computing += 1
            waiter.continues.set()

    def _advance(self) -> None:
        """Advances to the next moment at which a thread continues, if no thread computes."""
        if self._computing or not self._waiters:
            return
        first = min(self._waiters, key=lambda waiter: waiter.ends)
        if first.ends == inf:
            for waiter in self._waiters:
                waiter.is_stuck = True
            self._wake([*self._waiters])
            return
        self._seconds = max(self._seconds + _SHORTEST_STEP, first.ends)
        self._wake([first])


class _Event(threading.Event):
    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def set(self) -> None:
        super().set()
        self._time.changed()

    def wait(self, timeout: float | None = None) -> bool:
        return self._time.wait(self.is_set, timeout)


class _Condition(threading.Condition):
    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time
        self._tickets: list[threading.Event] = []

    def wait(self, timeout: float | None = None) -> bool:
        ticket = threading.Event()
        self._tickets.append(ticket)
        self.release()
        try:
            return self._time.wait(ticket.is_set, timeout)
        finally:
            self.acquire()
            with suppress(ValueError):
                self._tickets.remove(ticket)

    def notify(self, n: int = 1) -> None:
        notified, self._tickets = self._tickets[:n], self._tickets[n:]
        for ticket in notified:
            ticket.set()
        self._time.changed()

    def notify_all(self) -> None:
        self.notify(len(self._tickets))


class _Queue(queue.SimpleQueue[Any]):
    _time: VirtualTime

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._time.changed()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        ends = None if timeout is None else self._time.monotonic() + timeout
        while True:
            try:
                return super().get_nowait()
            except queue.Empty:
                left = None if ends is None else ends - self._time.monotonic()
                if not block or (left is not None and left <= 0):
                    raise
            self._time.wait(lambda: not self.empty(), left)


class _Thread(threading.Thread):
    def __init__(self, time: VirtualTime, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._time, self._is_over = time, False

    def start(self) -> None:
        self._time.joined()
        super().start()

    def run(self) -> None:
        self._time.started()
        try:
            super().run()
        finally:
            self._is_over = True
            self._time.left()

    def join(self, timeout: float | None = None) -> None:
        if self._time.wait(lambda: self._is_over, timeout):
            super().join()


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualClock(Clock):
    """A clock for the thread that creates it and for the threads that are created with it."""

    time: VirtualTime

    @classmethod
    def at(cls, at: datetime = NOW) -> VirtualClock:
        time = VirtualTime(at)
        return cls(now=time.now, monotonic=time.monotonic, time=time)

    def event(self) -> threading.Event:
        return _Event(self.time)

    def condition(self) -> threading.Condition:
        return _Condition(self.time)

    def queue(self) -> queue.SimpleQueue[Any]:
        created = _Queue()
        created._time = self.time
        return created

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        return _Thread(self.time, target, name)

    def sleep(self, seconds: float) -> None:
        self.time.wait(lambda: False, seconds)

    def eventually(self, holds: Callable[[], object], within: float = 10.0, every: float = 0.01) -> bool:
        """Returns whether `holds` returns true in time. It is called while every other thread waits."""
        ends = self.monotonic() + within
        while not holds():
            if self.monotonic() >= ends:
                return False
            self.sleep(every)
        return True
