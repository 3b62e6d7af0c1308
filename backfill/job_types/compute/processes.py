"""Computes results in one process per core."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process

from backfill.job_types.compute.base import RemoteCompute, compute_in_worker
from backfill.job_types.compute.tasks import ComputeInput, Results


class ProcessCompute(RemoteCompute):
    def __init__(self, new_pool: Callable[[], Executor] | None = None) -> None:
        super().__init__()
        cores = os.cpu_count() or 1
        self.concurrency = cores + 1
        self._new_pool = new_pool or (lambda: _pool(cores))
        self._lock = threading.Lock()
        self._pool: Executor | None = None

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, inputs: Sequence[ComputeInput]) -> Results:
        with self._lock:
            if self._pool is None:
                self._pool = self._new_pool()
            pool = self._pool
        try:
            return pool.submit(compute_in_worker, inputs).result()
        except BrokenExecutor:
            with self._lock:
                if self._pool is pool:
                    self._pool = None  # the next bundle starts a new pool
            raise


def _pool(cores: int) -> Executor:
    # Spawned: a fork would copy the locks and connections of this process, which has several threads.
    return ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_exit_with_parent)


def _exit_with_parent() -> None:
    """Exit when the parent ends. A killed parent does not close the pool, and its children would wait forever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
