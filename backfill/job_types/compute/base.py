"""What computes bundles of sources, and what a process that computes for another one is asked to do."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from traceback import format_tb

from backfill.errors import BackfillError
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, compute

_ATTEMPTS_ALONE = 3
"""Of an item whose process died, before it is taken for the cause."""

Results = list[ComputeOutput | Exception]


class ComputeProcessDied(BackfillError):
    """The process that computed an item ended without an answer, each time."""

    code = "COMPUTING_DIED"


class ComputeBackend(ABC):
    """Computes bundles; called from several threads at once."""

    concurrency: int
    """How many bundles it can make use of at a time."""

    @abstractmethod
    def compute(self, sources: Sequence[ComputeInput]) -> Results:
        """As `computing.compute`. Raises Stopped where it had to wait, and is to wait no longer."""

    def close(self) -> None:  # noqa: B027 - threads are the caller's own
        """End what it has started."""


class RemoteCompute(ComputeBackend):
    """In other processes, which an item may kill."""

    def __init__(self) -> None:
        self._one_by_one = threading.Lock()

    def compute(self, sources: Sequence[ComputeInput]) -> Results:
        try:
            return self._submit(sources)
        except BrokenExecutor:
            # Some item of some bundle has killed its process. One by one it is found, and only that one fails.
            with self._one_by_one:
                return [self._alone(source) for source in sources]

    def _alone(self, source: ComputeInput) -> ComputeOutput | Exception:
        for _ in range(_ATTEMPTS_ALONE):
            try:
                return self._submit([source])[0]
            except BrokenExecutor as exc:
                died = exc
        return ComputeProcessDied(
            f"The process that computed it ended without an answer {_ATTEMPTS_ALONE} times ({died}). "
            "See whether it is short of memory."
        )

    @abstractmethod
    def _submit(self, sources: Sequence[ComputeInput]) -> Results:
        """The results of `compute_in_worker`. Raises BrokenExecutor where a process that computed them died."""


def compute_in_worker(sources: Sequence[ComputeInput]) -> Results:
    """With the traceback of a fault as its note, since it does not come along to who asked."""
    results = compute(sources)
    for one in results:
        if isinstance(one, Exception) and not isinstance(one, BackfillError):
            one.add_note("".join(format_tb(one.__traceback__)))
    return results
