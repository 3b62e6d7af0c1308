"""Finds items that kill their runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

QUARANTINED_AFTER = 3
"""Consecutive crashes during an item after which it is quarantined."""

_MAX_DEATHS_AS_PROGRESS = 3
"""Consecutive takeovers that count as progress, although no item was settled between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashIsolation:
    """Distinguishes an item that kills its runner from items that were in progress by chance.

    Items count as in progress once they are recorded, normally once a second. After a crash, items begin one at a time
    and only after they are recorded, so that an item that kills within milliseconds is soon the only suspect. Items
    that wait because the dashboard is held or down are not suspects.
    """

    items: tuple[str, ...] = ()
    """Keys of the items in progress, as last recorded."""
    deaths: int = 0
    """Consecutive crashes of runners between which no item was settled."""
    suspects: Mapping[str, int] = field(default_factory=dict)
    """Items in progress at the last crash, and the number of consecutive crashes during each."""

    @property
    def quarantined(self) -> tuple[str, ...]:
        return tuple(key for key, deaths in self.suspects.items() if deaths >= QUARANTINED_AFTER)

    @property
    def nearly_quarantined(self) -> tuple[str, ...]:
        """Suspect items that one more crash quarantines."""
        return tuple(key for key, deaths in self.suspects.items() if deaths == QUARANTINED_AFTER - 1)

    @property
    def counts_as_progress(self) -> bool:
        """Whether a takeover counts as progress: not if several runners died without settling an item."""
        return self.deaths <= _MAX_DEATHS_AS_PROGRESS

    def died(self) -> CrashIsolation:
        """Return the value after a crash. Items that were not in progress are no longer suspects."""
        suspects = {key: self.suspects.get(key, 0) + 1 for key in self.items}
        return CrashIsolation(deaths=self.deaths + 1, suspects=suspects)

    def recorded(self, items: tuple[str, ...], *, is_settling: bool) -> CrashIsolation:
        """Return a copy with the items in progress. `is_settling`: an item was settled since the last record."""
        return replace(self, items=items, deaths=0 if is_settling else self.deaths)
