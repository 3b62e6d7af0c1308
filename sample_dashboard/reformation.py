"""The district reformation of 1 July 2026: some districts are dissolved, new ones are formed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sample_dashboard.rng import Rng

REFORMATION_YEAR = 2026
"""The first calendar year of the program year in which it takes effect."""

_FIRST_NEW_NUMBER = 201
_MOVED_PERCENT = 25


@dataclass(frozen=True, slots=True)
class Reformation:
    """A new district succeeds each dissolved one; some clubs join another existing district instead."""

    successors: Mapping[str, str]
    """The new district of each dissolved one."""
    neighbour: str
    """The existing district that some clubs join; empty if no numbered district continues."""

    @classmethod
    def of(cls, numbered: int) -> Reformation:
        """Return the reformation of a world with districts 1 to `numbered`. The first third is dissolved."""
        dissolved = max(1, numbered // 3)
        return cls(
            {f"{n:02d}": str(_FIRST_NEW_NUMBER + n - 1) for n in range(1, dissolved + 1)},
            f"{dissolved + 1:02d}" if dissolved < numbered else "",
        )

    def districts(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the numbered districts after the reformation, in the dashboard's order."""
        return (*(district for district in before if district not in self.successors), *self.successors.values())

    def origins(self, district: str) -> tuple[str, ...]:
        """Return the former districts of the clubs of a district; empty for a dissolved district."""
        if district in self.successors:
            return ()
        former = tuple(old for old, new in self.successors.items() if new == district)
        return former or ((district, *self.successors) if district == self.neighbour else (district,))

    def district_of(self, club: str, origin: str, rng: Rng) -> str:
        """Return the district of the club with the key `club`, which was in district `origin`."""
        if origin not in self.successors:
            return origin
        moves = bool(self.neighbour) and rng.happens(_MOVED_PERCENT, "moves", club)
        return self.neighbour if moves else self.successors[origin]
