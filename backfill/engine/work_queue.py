"""The items of a claimed job that have no outcome yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backfill.domain import PlannedDay, WorkItem
from backfill.engine.claim import Claim
from backfill.job_types.base import Execution

Bundle = tuple[PlannedDay, tuple[WorkItem, ...]]
"""Items of one day that are processed together."""


def _batched(items: Sequence[WorkItem], size: int) -> Iterator[Sequence[WorkItem]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class WorkQueue:
    """Bundles in plan order. It holds one day at a time, so memory does not grow with the number of items."""

    def __init__(self, claim: Claim, execution: Execution) -> None:
        self._claim, self._execution = claim, execution
        self._next_day = 0
        self._bundles_of_day: list[Bundle] = []

    @property
    def is_empty(self) -> bool:
        return not self._bundles_of_day and self._next_day >= len(self._claim.plan.days)

    def next(self) -> Bundle | None:
        """Return the next bundle, or None if a day needs no work, so that the caller can check the job in between.

        Loses nothing when it raises StorageUnavailable: the next call continues with the same day.
        """
        if not self._bundles_of_day:
            day = self._claim.plan.days[self._next_day]
            if any(item not in self._claim.settled for item in day.items()):
                self._claim.note(self._execution.skips(day))
            left = [item for item in day.items() if item not in self._claim.settled]
            self._bundles_of_day = [(day, tuple(items)) for items in _batched(left, self._execution.bundle_size)]
            self._bundles_of_day.reverse()
            self._next_day += 1
        return self._bundles_of_day.pop() if self._bundles_of_day else None

    def put_back(self, bundle: Bundle) -> None:
        self._bundles_of_day.append(bundle)
