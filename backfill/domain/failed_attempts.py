"""When items that could not be collected are tried again: after 1, 2, 4, and then every 8 days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from backfill.domain.job_types import JobType
from backfill.domain.plan import WorkItem

_DELAYS = (1, 2, 4, 8)
"""Days after the first, second, third and every later attempt."""

MOST_ATTEMPTS = 50_000
"""The most items that are remembered, so that the record stays small. Others are tried again at each check."""


class AttemptKey(NamedTuple):
    job_type: JobType
    item: WorkItem


class FailedAttempt(NamedTuple):
    """The attempts of one item that failed, or for which the dashboard had nothing."""

    attempts: int
    first: date
    """The local date of the first attempt."""
    last: date
    """The local date of the last attempt."""
    reason: str
    """The error code of the last attempt, or `not-published`."""

    @property
    def next(self) -> date:
        """The first local date on which it is tried again."""
        return self.last + timedelta(days=_DELAYS[min(self.attempts, len(_DELAYS)) - 1])

    def is_due(self, today: date) -> bool:
        """Whether it may be tried on a local date. A date before the last attempt means that a clock was set back."""
        return not self.last <= today < self.next


@dataclass(frozen=True)
class FailedAttempts:
    """The failed attempts of automatic jobs by job type and item. Reconciliation removes stored items."""

    by_key: Mapping[AttemptKey, FailedAttempt] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_key)

    def __iter__(self) -> Iterator[tuple[AttemptKey, FailedAttempt]]:
        return iter(self.by_key.items())

    def added(self, job_type: JobType, failed: Iterable[tuple[WorkItem, str]], day: date) -> FailedAttempts:
        """With one more attempt on `day` for each item, and its reason. Items beyond MOST_ATTEMPTS are left out."""
        found = dict(self.by_key)
        for item, reason in failed:
            key = AttemptKey(job_type, item)
            before = found.get(key)
            if before is None and len(found) >= MOST_ATTEMPTS:
                continue
            found[key] = (
                FailedAttempt(before.attempts + 1, before.first, day, reason)
                if before
                else FailedAttempt(1, day, day, reason)
            )
        return FailedAttempts(found)


NO_ATTEMPTS = FailedAttempts()
