"""Where results are computed: in the runner's own threads, or in processes that use every core."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from traceback import format_tb

from backfill.errors import BackfillError
from backfill.work.computing import Computed, Source, compute

EXECUTORS = ("threads", "processes")
"""What BACKFILL_EXECUTOR may be."""

_ATTEMPTS_ALONE = 3
"""Of an item whose process died, before it is taken for the cause."""

Results = list[Computed | Exception]


class ComputingDied(BackfillError):
    """The process that computed an item ended without an answer, each time."""

    code = "COMPUTING_DIED"


class Computer(ABC):
    """Computes bundles; called from several threads at once."""

    concurrency: int
    """How many bundles it can make use of at a time."""

    @abstractmethod
    def compute(self, sources: Sequence[Source]) -> Results:
        """As `computing.compute`."""

    def close(self) -> None:  # noqa: B027 - threads are the caller's own
        """End what it has started."""


class Here(Computer):
    """In the calling thread. Two bundles at a time: one is computed while the other is read or stored."""

    concurrency = 2

    def compute(self, sources: Sequence[Source]) -> Results:
        return compute(sources)


class Processes(Computer):
    """In one process for each core."""

    def __init__(self, new_pool: Callable[[], Executor] | None = None) -> None:
        cores = os.cpu_count() or 1
        self.concurrency = cores + 1
        self._new_pool = new_pool or (lambda: _pool(cores))
        self._lock, self._one_by_one = threading.Lock(), threading.Lock()
        self._pool: Executor | None = None

    def compute(self, sources: Sequence[Source]) -> Results:
        try:
            return self._submit(sources)
        except BrokenExecutor:
            # Some item of some bundle has killed its process. One by one it is found, and only that one fails.
            with self._one_by_one:
                return [self._alone(source) for source in sources]

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _alone(self, source: Source) -> Computed | Exception:
        for _ in range(_ATTEMPTS_ALONE):
            try:
                return self._submit([source])[0]
            except BrokenExecutor as exc:
                died = exc
        return ComputingDied(
            f"The process that computed it ended without an answer {_ATTEMPTS_ALONE} times ({died}). "
            "See whether it is short of memory."
        )

    def _submit(self, sources: Sequence[Source]) -> Results:
        with self._lock:
            if self._pool is None:
                self._pool = self._new_pool()
            pool = self._pool
        try:
            return pool.submit(_compute_there, sources).result()
        except BrokenExecutor:
            with self._lock:
                if self._pool is pool:
                    self._pool = None  # the next bundle gets a whole one
            raise


def computer(name: str) -> Computer:
    """That of BACKFILL_EXECUTOR. ValueError where there is none of that name."""
    if name not in EXECUTORS:
        raise ValueError(f"BACKFILL_EXECUTOR is {name!r}; it must be one of: {', '.join(EXECUTORS)}.")
    return Here() if name == "threads" else Processes()


def _pool(cores: int) -> Executor:
    # Spawned, since a fork would take along the locks and connections of this process, which has threads.
    return ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _compute_there(sources: Sequence[Source]) -> Results:
    """With the traceback of a fault as its note, since it does not come along to the parent."""
    results = compute(sources)
    for one in results:
        if isinstance(one, Exception) and not isinstance(one, BackfillError):
            one.add_note("".join(format_tb(one.__traceback__)))
    return results


def _end_with_parent() -> None:
    """A parent that is killed closes nothing: its children would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
