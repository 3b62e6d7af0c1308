"""Processes that run the same function on one store at the same time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import TypeVar

from backfill.storage import Storage
from tests.contract.backends import Backend

T = TypeVar("T")
Synchronize = Callable[[], object]
"""Blocks until every process has called it."""

_MAX_WAIT = 60.0
"""Seconds that a process waits for the others before all of them fail."""

_barriers: list[Barrier] = []


def _initialize(barrier: Barrier) -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    _barriers.append(barrier)


def _run(backend: Backend, function: Callable[[Storage, Synchronize, int], T], number: int) -> T:
    (barrier,) = _barriers
    try:
        with backend.patient().opened() as storage:
            storage.control.ping()
            barrier.wait(_MAX_WAIT)
            return function(storage, lambda: barrier.wait(_MAX_WAIT), number)
    except BaseException:
        barrier.abort()
        raise


class ConcurrentProcesses:
    """Reusable processes, each with its own Django and its own connection."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share connections with the tests
        self._count = count
        self._barrier = context.Barrier(count)
        self._pool = ProcessPoolExecutor(count, context, _initialize, (self._barrier,))

    def run(self, backend: Backend, function: Callable[[Storage, Synchronize, int], T]) -> Sequence[T]:
        """Return the result of each process. Raises the first error, in preference to the time-outs that follow it."""
        self._barrier.reset()
        # Each run waits for the others at the start, so no process can execute two of them.
        runs = [self._pool.submit(_run, backend, function, number) for number in range(self._count)]
        wait(runs, 2 * _MAX_WAIT)
        errors = [error for run in runs if run.done() and (error := run.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
            raise error
        return [run.result(0) for run in runs]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
