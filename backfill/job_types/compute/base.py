"""The interface of a compute backend, and what backends with worker processes share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from traceback import format_tb

from backfill.errors import BackfillError
from backfill.job_types.compute.tasks import ComputeInput, ComputeOutput, Results, compute

_ATTEMPTS_ALONE = 3
"""An item fails after its process has died this often while it computed only this item."""


class ComputeProcessDied(BackfillError):
    """The process that computed an item died at every attempt."""

    code = "COMPUTING_DIED"


class ComputeBackend(ABC):
    """Computes bundles of inputs. `compute` is called from several threads."""

    concurrency: int
    """The number of bundles that the backend can use at a time."""

    @abstractmethod
    def compute(self, inputs: Sequence[ComputeInput]) -> Results:
        """The same results as `tasks.compute`. Raises Stopped if the job stops while the backend waits."""

    def close(self) -> None:  # noqa: B027 - LocalCompute holds no resources
        """Release the resources of the backend."""


class RemoteCompute(ComputeBackend):
    """Computes in other processes. An item that kills its process fails, and the other items of its bundle do not."""

    def __init__(self) -> None:
        self._one_by_one = threading.Lock()

    def compute(self, inputs: Sequence[ComputeInput]) -> Results:
        try:
            return self._submit(inputs)
        except BrokenExecutor:
            # An item of any bundle in flight has killed its process. Computing items one by one finds it.
            with self._one_by_one:
                return [self._compute_alone(one) for one in inputs]

    def _compute_alone(self, one: ComputeInput) -> ComputeOutput | Exception:
        for _ in range(_ATTEMPTS_ALONE):
            try:
                return self._submit([one])[0]
            except BrokenExecutor as exc:
                cause = exc
        return ComputeProcessDied(
            f"The process that computed the item died {_ATTEMPTS_ALONE} times ({cause}). "
            "Check whether it runs out of memory."
        )

    @abstractmethod
    def _submit(self, inputs: Sequence[ComputeInput]) -> Results:
        """Run `compute_in_worker` in another process. Raises BrokenExecutor if the process dies."""


def compute_in_worker(inputs: Sequence[ComputeInput]) -> Results:
    """Run `compute`. Tracebacks become notes of the errors, because pickling drops tracebacks."""
    results = compute(inputs)
    for one in results:
        if isinstance(one, Exception) and not isinstance(one, BackfillError):
            one.add_note("".join(format_tb(one.__traceback__)))
    return results
