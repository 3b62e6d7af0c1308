"""Whether trouble is of an item, or of the source as a whole."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

ATTEMPTS = 5
"""Failures of an item, before it is recorded as failed."""

DOWN_AFTER = 5
"""Failures in a row over different items, after which the source is taken to be down."""

_KNOWN_EVERY = 8
"""Of how many probes one asks for what is known; the others ask for the items in trouble, which is work done."""


class CircuitBreaker:
    """Counts failures, and decides against whom they count.

    A failure counts against its item only once the source has answered something after it: until then it stands in
    the row, and an item whose last attempt stands there waits for the verdict. The row grows until the source

    - answers: then the failures in it are the items' own, and count;
    - or is down: five failures over different items stand in it, or every item that is being asked for waits for a
      verdict. Then one request at a time probes it, and what fails meanwhile counts against nobody.

    The first probe, and each eighth one, asks for something known: what has been answered before. It takes the place
    of the "others" where an item has none, because it is the last one or has all of the concurrency for itself. If the
    first probe is answered, then the source was never down, and the row counts after all. If a later one is answered,
    then it was, and the row is forgotten.

    Items are named by their keys. Not for several threads.
    """

    def __init__(self, down_since: datetime | None = None) -> None:
        """`down_since`: that of the runner before this one, which found the source down."""
        self.down_since = down_since
        self._probes = 1 if down_since else 0
        self._counted: dict[str, int] = {}
        self._row: Counter[str] = Counter()
        self._row_since: datetime | None = None

    @property
    def is_down(self) -> bool:
        return self.down_since is not None

    @property
    def is_in_trouble(self) -> bool:
        """Whether the last that was asked for failed."""
        return self.is_down or bool(self._row)

    @property
    def probes(self) -> int:
        """That have failed since the source was found to be down."""
        return self._probes

    @property
    def asks_for_known(self) -> bool:
        """Whether the next probe asks for something known."""
        return self.is_down and self._probes % _KNOWN_EVERY == 0

    # Items.

    def begin(self, item: str) -> None:
        self._counted.setdefault(item, 0)

    def forget(self, item: str, now: datetime) -> None:
        """It is settled, or is not to go on."""
        self._counted.pop(item, None)
        self._judge(now)

    def counted(self, item: str) -> int:
        """Failures that count against an item."""
        return self._counted.get(item, 0)

    def failures(self, item: str) -> int:
        """Those, and the ones whose verdict is open."""
        return self.counted(item) + self._row[item]

    def has_failed(self, item: str) -> bool:
        return self.counted(item) >= ATTEMPTS

    def awaits_verdict(self, item: str) -> bool:
        return not self.is_down and not self.has_failed(item) and self.failures(item) >= ATTEMPTS

    # Answers.

    def failed(self, item: str, now: datetime) -> None:
        """Of a request that was no probe. Where it outlasted the moment in which the source went down: nothing new."""
        if not self.is_down:
            self._row[item] += 1
            self._row_since = self._row_since or now
            self._judge(now)

    def found_down(self, now: datetime) -> None:
        """By a request that belongs to no item."""
        self.down_since = self.down_since or now

    def probe_failed(self) -> None:
        self._probes += 1

    def answered(self) -> None:
        """Something was answered, in whatever way."""
        if not self._probes:
            for item, failures in self._row.items():
                self.charge(item, failures)
        self._row.clear()
        self._row_since = self.down_since = None
        self._probes = 0

    def charge(self, item: str, failures: int = 1) -> None:
        """Failures that are the item's own, whatever the source does."""
        if item in self._counted:
            self._counted[item] += failures

    def _judge(self, now: datetime) -> None:
        asked_for = [self.awaits_verdict(item) for item in self._counted]
        is_row_long = self._row.total() >= DOWN_AFTER and len(self._row) > 1
        if not self.is_down and self._row and (is_row_long or (asked_for and all(asked_for))):
            self.down_since, self._probes = self._row_since or now, 0
