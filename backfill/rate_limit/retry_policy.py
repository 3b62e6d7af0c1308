"""Whether an item is tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

ATTEMPTS = 5
"""Counted failures after which an item is given up."""


class FailureKind(Enum):
    UNUSABLE = auto()
    """No response, or one that cannot be used."""
    SLOW = auto()
    """The response was incomplete at the deadline of the request, which blocks one of the few slots until then."""
    PAUSED = auto()
    """The dashboard asked for a pause until a given time. It is not counted as an attempt."""


_LIMITS: Mapping[FailureKind, int] = {FailureKind.SLOW: 2, FailureKind.PAUSED: ATTEMPTS}
"""Counted failures of one kind after which an item is given up."""


class _Pending(NamedTuple):
    item: str
    report: str
    kind: FailureKind


class RetryPolicy:
    """Counts the failures of items.

    A failure is pending until another request of the same report succeeds, which shows whether the item or the
    dashboard causes it: `resolve` then counts or discards the pending failures. An item that is given up if its pending
    failures count waits for that. Items are named by their keys.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._counted: dict[str, Counter[FailureKind]] = {}
        self._pending: Counter[_Pending] = Counter()

    def begin(self, item: str) -> None:
        self._counted.setdefault(item, Counter())

    def end(self, item: str) -> None:
        """The item is settled or left undone."""
        self._counted.pop(item, None)

    def counted(self, item: str, *, with_pauses: bool = False) -> int:
        """Counted failures, with or without the requested pauses."""
        failures = self._counted.get(item, Counter())
        return failures.total() if with_pauses else _attempts(failures)

    def failures(self, item: str) -> int:
        """Counted and pending failures of every kind."""
        return self._with_pending(item).total()

    def is_given_up(self, item: str) -> bool:
        return _is_over(self._counted.get(item, Counter()))

    def is_unresolved(self, item: str) -> bool:
        """Whether the pending failures decide if the item is given up."""
        return not self.is_given_up(item) and _is_over(self._with_pending(item))

    def are_all_unresolved(self) -> bool:
        """Whether no item in progress is left that could still succeed and so resolve the pending failures."""
        return bool(self._counted) and all(self.is_unresolved(item) for item in self._counted)

    def failed(self, item: str, report: str = "", kind: FailureKind = FailureKind.UNUSABLE) -> None:
        self._pending[_Pending(item, report, kind)] += 1

    def count(self, item: str, failures: int = 1, kind: FailureKind = FailureKind.UNUSABLE) -> None:
        """Count failures that the item itself causes."""
        if item in self._counted:
            self._counted[item][kind] += failures

    def resolve(self, *, are_counted: bool, report: str | None = None) -> None:
        """A request of this report succeeded, or the breaker closes (None): count or discard pending failures.

        They are discarded if the dashboard was down.
        """
        for pending, failures in list(self._pending.items()):
            if report is None or pending.report == report:
                del self._pending[pending]
                if are_counted:
                    self.count(pending.item, failures, pending.kind)

    def _with_pending(self, item: str) -> Counter[FailureKind]:
        failures = Counter(self._counted.get(item, Counter()))
        for pending, number in self._pending.items():
            if pending.item == item:
                failures[pending.kind] += number
        return failures


def _attempts(failures: Counter[FailureKind]) -> int:
    return failures.total() - failures[FailureKind.PAUSED]


def _is_over(failures: Counter[FailureKind]) -> bool:
    return _attempts(failures) >= ATTEMPTS or any(failures[kind] >= limit for kind, limit in _LIMITS.items())
