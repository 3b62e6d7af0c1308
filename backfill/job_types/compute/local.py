"""Where results are computed: in the runner's own threads, in processes that use every core, or on a Dask cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context, parent_process
from urllib.parse import urlsplit

from backfill.job_types.compute.base import ComputeBackend, RemoteCompute, Results, compute_in_worker
from backfill.job_types.compute.dask import DaskCompute
from backfill.job_types.compute.tasks import ComputeInput, compute
from backfill.rate_limit import Limiter

EXECUTORS = ("threads", "processes", "tcp://HOST:PORT of a Dask scheduler")
"""What BACKFILL_EXECUTOR may be."""


class LocalCompute(ComputeBackend):
    """In the calling thread. Two bundles at a time: one is computed while the other is read or stored."""

    concurrency = 2

    def __init__(self) -> None:
        self._one = threading.Lock()

    def compute(self, sources: Sequence[ComputeInput]) -> Results:
        with self._one:  # two threads that compute would only take Python's lock from each other
            return compute(sources)


class ProcessCompute(RemoteCompute):
    """In one process for each core."""

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

    def _submit(self, sources: Sequence[ComputeInput]) -> Results:
        with self._lock:
            if self._pool is None:
                self._pool = self._new_pool()
            pool = self._pool
        try:
            return pool.submit(compute_in_worker, sources).result()
        except BrokenExecutor:
            with self._lock:
                if self._pool is pool:
                    self._pool = None  # the next bundle gets a whole one
            raise


def trouble_with(executor: str) -> str:
    """What is wrong with a BACKFILL_EXECUTOR, and what to do; empty where nothing is."""
    if executor in {"threads", "processes"}:
        return ""
    if not _is_address(executor):
        return f"BACKFILL_EXECUTOR is {executor!r}; it must be one of: {', '.join(EXECUTORS)}."
    if find_spec("distributed") is None:
        return (
            f"BACKFILL_EXECUTOR is {executor!r}, a Dask scheduler, and the package distributed is not installed. "
            "Install it as docs/dask.md says, and start the service again."
        )
    return ""


def compute_backend_factory(executor: str) -> Callable[[Limiter], ComputeBackend]:
    """What makes a job's computer, which waits by the job's limiter. ValueError says what is wrong with `executor`."""
    if trouble := trouble_with(executor):
        raise ValueError(trouble)
    if executor == "threads":
        return lambda _: LocalCompute()
    return (lambda _: ProcessCompute()) if executor == "processes" else (lambda limiter: DaskCompute(executor, limiter))


def _is_address(executor: str) -> bool:
    try:
        parts = urlsplit(executor)
        port = parts.port
    except ValueError:
        return False
    rest = (parts.path, parts.query, parts.fragment, parts.username, parts.password)
    return parts.scheme == "tcp" and bool(parts.hostname) and bool(port) and not any(rest)


def _pool(cores: int) -> Executor:
    # Spawned, since a fork would take along the locks and connections of this process, which has threads.
    return ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A parent that is killed closes nothing: its children would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
