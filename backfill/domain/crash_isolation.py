"""Which items are at work, and at which deaths of runners they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

QUARANTINED_AFTER = 3
"""Deaths in a row at which an item was at work, after which it is set aside."""

_DEATHS_THAT_MOVE = 3
"""Takeovers in a row that count as movement, though nothing was settled between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashIsolation:
    """What a takeover needs to know to tell an item that kills its runner from one that was there by chance.

    An item counts as at work from the record that names it, which most of the time is written once a second. After a
    death items begin one at a time and only once they are recorded, so that one that kills within milliseconds is
    seen at the next deaths, alone. What merely waits, because the source is held or down, kills nothing.
    """

    items: tuple[str, ...] = ()
    """Keys of the items at work, as last recorded."""
    deaths: int = 0
    """Runners that died in a row without a word, nothing being settled between."""
    suspects: Mapping[str, int] = field(default_factory=dict)
    """Items that were at work when the last runner died, and at how many deaths in a row each was."""

    @property
    def quarantined(self) -> tuple[str, ...]:
        return tuple(key for key, deaths in self.suspects.items() if deaths >= QUARANTINED_AFTER)

    @property
    def nearly_quarantined(self) -> tuple[str, ...]:
        """Those that one more death would set aside."""
        return tuple(key for key, deaths in self.suspects.items() if deaths == QUARANTINED_AFTER - 1)

    @property
    def moves(self) -> bool:
        """Whether taking the job over shows that it moves. A job that kills each runner at its start does not."""
        return self.deaths <= _DEATHS_THAT_MOVE

    def died(self) -> CrashIsolation:
        """The runner is dead. An item that was not at work this time is cleared of suspicion."""
        suspects = {key: self.suspects.get(key, 0) + 1 for key in self.items}
        return CrashIsolation(deaths=self.deaths + 1, suspects=suspects)

    def recorded(self, items: tuple[str, ...], *, is_settling: bool) -> CrashIsolation:
        """With the items at work now; `is_settling`: something was settled since."""
        return replace(self, items=items, deaths=0 if is_settling else self.deaths)
