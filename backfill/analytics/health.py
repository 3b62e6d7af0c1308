"""Health: which clubs thrive, which are vulnerable, and which require intervention.

Source: Active Members, Mem. Base and Goals Met of clubperformance, compared with the checkpoint of the data month.
Units: members and goals are counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any

from backfill.analytics.cells import counted
from backfill.analytics.club_rows import Club

CHECKPOINTS = {7: 0, 8: 0, 9: 1, 10: 2, 11: 2, 12: 3, 1: 3, 2: 4, 3: 4, 4: 5, 5: 5, 6: 5}
"""The goals that a thriving club has met by the end of a calendar month."""

FEWEST, ENOUGH, GROWTH = 12, 20, 3
"""A club with fewer members requires intervention, a club with enough members can thrive, and a net growth replaces
either number."""

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Category(StrEnum):
    INTERVENTION = "interventionRequired"
    THRIVING = "thriving"
    VULNERABLE = "vulnerable"


def category(members: int, growth: int, goals: int, month: int) -> Category:
    """The health of an open club in a data month (1 to 12).

    Intervention: under 12 members with a net growth under 3. Thriving: 20 members or a net growth of 3, and the goals
    of the month's checkpoint. Vulnerable: the rest.
    """
    if members < FEWEST and growth < GROWTH:
        return Category.INTERVENTION
    if (members >= ENOUGH or growth >= GROWTH) and goals >= CHECKPOINTS[month]:
        return Category.THRIVING
    return Category.VULNERABLE


def _members_reason(members: int, growth: int) -> str:
    if members >= ENOUGH:
        return f"{members} members; {ENOUGH} are required."
    if growth >= GROWTH:
        return f"{counted(members, 'member')} and a net growth of {growth}; a growth of {GROWTH} is required."
    least = FEWEST if members < FEWEST else ENOUGH
    return (
        f"{counted(members, 'member')} and a net growth of {growth}; {least} members or a growth of {GROWTH} are "
        "required."
    )


def _goals_reason(goals: int, month: int) -> str:
    return f"{counted(goals, 'goal')} met; {CHECKPOINTS[month]} expected by the end of {_MONTHS[month - 1]}."


def club_category(club: Club, month: int) -> Category | None:
    """The health of an open club in a data month (1 to 12); None if members, base or goals are unreadable."""
    found, _ = _assessed(club.members, club.growth, club.goals, month)
    return None if found is None else Category(found)


@lru_cache(maxsize=65536)
def _assessed(
    members: int | None, growth: int | None, goals: int | None, month: int
) -> tuple[str | None, tuple[str, ...]]:
    """The category of a club as in the result, and the reasons for it."""
    if members is None or growth is None or goals is None:
        return None, ("Members, base or goals are unreadable; see the quality notes.",)
    found = category(members, growth, goals, month)
    if found is Category.INTERVENTION:
        return found.value, (_members_reason(members, growth),)
    return found.value, (_members_reason(members, growth), _goals_reason(goals, month))


def health(clubs: Sequence[Club], data_month: date) -> dict[str, Any]:
    """Count the open clubs by category and list each club with the reasons for its category.

    A club with an unreadable figure has no category (null), is not counted and has a quality note.
    """
    month = data_month.month
    lines = []
    for number, name, division, area, _, members, base, growth, goals, _ in clubs:
        found, reasons = _assessed(members, growth, goals, month)
        lines.append(
            {
                "clubNumber": number,
                "clubName": name,
                "division": division,
                "area": area,
                "members": members,
                "base": base,
                "netGrowth": growth,
                "goals": goals,
                "category": found,
                "reasons": [*reasons],
            }
        )
    counts = Counter(line["category"] for line in lines)
    return {**{kind.value: counts[kind.value] for kind in Category}, "clubs": lines}
