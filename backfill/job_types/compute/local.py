"""Computes results in the threads of the runner."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from backfill.job_types.compute.base import ComputeBackend
from backfill.job_types.compute.tasks import ComputeInput, Results, compute


class LocalCompute(ComputeBackend):
    """Computes in the calling thread, one bundle at a time."""

    concurrency = 1

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def compute(self, inputs: Sequence[ComputeInput]) -> Results:
        with self._lock:  # two computing threads would only contend for Python's interpreter lock
            return compute(inputs)
