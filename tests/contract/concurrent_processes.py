"""ProcessCompute that do the same thing to one store at the same moment."""

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
Meet = Callable[[], object]
"""Returns once every racer has called it."""

_MAX_WAIT = 60.0
"""Seconds after which a racer that waits for the others gives up, and with it all of them."""

_start: list[Barrier] = []


def _begin(barrier: Barrier) -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    _start.append(barrier)


def _race(backend: Backend, act: Callable[[Storage, Meet, int], T], number: int) -> T:
    barrier = _start[0]
    try:
        with backend.patient().opened() as storage:
            storage.control.ping()
            barrier.wait(_MAX_WAIT)
            return act(storage, lambda: barrier.wait(_MAX_WAIT), number)
    except BaseException:
        barrier.abort()
        raise


class Racers:
    """A field of processes, each with a Django and a connection of its own, which can race many times."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # what is forked would share connections with the tests
        self._count = count
        self._barrier = context.Barrier(count)
        self._pool = ProcessPoolExecutor(count, context, _begin, (self._barrier,))

    def race(self, backend: Backend, act: Callable[[Storage, Meet, int], T]) -> Sequence[T]:
        """What each made of it; raises what one of them met, and not that the others then waited for it in vain."""
        self._barrier.reset()
        # Each takes part in the meeting at the start, so no process can take two of these.
        runs = [self._pool.submit(_race, backend, act, number) for number in range(self._count)]
        wait(runs, 2 * _MAX_WAIT)
        met = [trouble for run in runs if run.done() and (trouble := run.exception()) is not None]
        for trouble in sorted(met, key=lambda trouble: isinstance(trouble, BrokenBarrierError)):
            raise trouble
        return [run.result(0) for run in runs]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
