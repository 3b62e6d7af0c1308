"""Whether an item is tried again."""

from __future__ import annotations

from collections import Counter

ATTEMPTS = 5
"""Counted failures after which an item is given up."""


class RetryPolicy:
    """Counts the failures of items.

    A failure is pending until another request succeeds, which shows whether the item or the dashboard causes it:
    `resolve` then counts or discards all pending failures. An item with five failures, some of them pending, waits
    for that. Items are named by their keys.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._pending: Counter[str] = Counter()

    def begin(self, item: str) -> None:
        self._counted.setdefault(item, 0)

    def end(self, item: str) -> None:
        """The item is settled or left undone."""
        self._counted.pop(item, None)

    def counted(self, item: str) -> int:
        return self._counted.get(item, 0)

    def failures(self, item: str) -> int:
        """Counted and pending failures."""
        return self.counted(item) + self._pending[item]

    def is_given_up(self, item: str) -> bool:
        return self.counted(item) >= ATTEMPTS

    def is_unresolved(self, item: str) -> bool:
        """Whether the pending failures decide if the item is given up."""
        return not self.is_given_up(item) and self.failures(item) >= ATTEMPTS

    def are_all_unresolved(self) -> bool:
        """Whether no item in progress is left that could still succeed and so resolve the pending failures."""
        return bool(self._counted) and all(self.is_unresolved(item) for item in self._counted)

    def failed(self, item: str) -> None:
        self._pending[item] += 1

    def count(self, item: str, failures: int = 1) -> None:
        """Count failures that the item itself causes."""
        if item in self._counted:
            self._counted[item] += failures

    def resolve(self, *, are_counted: bool) -> None:
        """A request succeeded: count the pending failures, or discard them because the dashboard was down."""
        if are_counted:
            for item, failures in self._pending.items():
                self.count(item, failures)
        self._pending.clear()
