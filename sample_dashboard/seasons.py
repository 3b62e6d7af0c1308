"""A fictitious club, and its program year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

EPOCH = 2007
"""The first simulated program year; the first published one is 2008-2009."""

GOOD_STANDING = 8
"""A club with fewer members is `Low`."""


def ordinal(year: int, month: int, day: int) -> int:
    """Return the ordinal of a day of the program year that begins in `year`."""
    return date(year if month >= 7 else year + 1, month, day).toordinal()


class Ramp(NamedTuple):
    """A counter that increases evenly from 0 before `first` to `total` on `last` (ordinals of days)."""

    total: int
    first: int
    last: int

    def at(self, day: int) -> int:
        if day >= self.last:
            return self.total
        return self.total * (day - self.first + 1) // (self.last - self.first + 1) if day >= self.first else 0


@dataclass(frozen=True, slots=True)
class Club:
    """The constant attributes of a club."""

    key: str
    number: str
    """Eight digits with leading zeros."""
    name: str
    division: str
    area: str
    size: int
    """The typical number of members."""
    chartered_on: date | None
    """None for clubs that exist from the start."""

    @property
    def charter_year(self) -> int:
        if self.chartered_on is None:
            return EPOCH - 1
        return self.chartered_on.year if self.chartered_on.month >= 7 else self.chartered_on.year - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """One program year of one club."""

    club: Club
    year: int
    is_new: bool
    """Chartered in this program year: listed from its charter date on, without an area."""
    base: int
    was_paid: bool
    """The club is part of the Paid Club Base."""
    charter_payments: int
    suspended_on: date | None
    unpaid: tuple[tuple[int, int], ...]
    """Ranges of days (ordinals, end excluded) on which the club is `Ineligible`."""
    joined: Ramp
    left: Ramp
    october: Ramp
    april: Ramp
    late: Ramp
    levels: tuple[Ramp, ...]
    """Pathways levels 1 to 5."""
    awards: tuple[Ramp, ...]
    """Legacy awards: CC, AC, and the sum of CL, AL and DTM."""
    trained: tuple[Ramp, Ramp]
    october_on_time: bool
    april_on_time: bool
    officer_lists: Ramp
    success_plan: Ramp
    visits: tuple[Ramp, Ramp]
