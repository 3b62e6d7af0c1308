"""Distinguished Club Program: the reported levels and those that the clubs' current figures qualify for.

Source: Club Distinguished Status, Active Members, Mem. Base, Goals Met and CSP of clubperformance.
Units: clubs, goals and members are counts; `percentOfBase` is percent points with two digits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from backfill.analytics.cells import percentage
from backfill.analytics.club_rows import CLUBS, Club, ClubRows
from backfill.analytics.quality import Notes
from backfill.domain import ProgramYear

LEVELS = {"D": "distinguished", "S": "select", "P": "presidents", "M": "smedley"}
"""The dashboard's codes, lowest level first, and their names in the result."""


class Step(NamedTuple):
    """The requirements of a level: goals, and members or, if allowed, a net growth instead."""

    code: str
    goals: int
    members: int
    growth: int | None

    def members_missing(self, members: int, growth: int) -> int:
        short = self.members - members
        if self.growth is not None:
            short = min(short, self.growth - growth)
        return max(0, short)

    def is_met(self, members: int, growth: int, goals: int) -> bool:
        return goals >= self.goals and self.members_missing(members, growth) == 0


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, because it is part of the key of a cache
class Rule:
    """The levels of a program year, lowest first; each requires at least as much as the one before."""

    steps: tuple[Step, ...]
    needs_plan: bool
    """Only clubs with a Club Success Plan (CSP = Y) earn any level."""

    def earned(self, members: int, growth: int, goals: int, *, has_plan: bool) -> int:
        """The number of levels that a club reaches."""
        earned = 0
        if self.needs_plan and not has_plan:
            return earned
        for step in self.steps:
            if not step.is_met(members, growth, goals):
                break
            earned += 1
        return earned


TO_2021 = Rule((Step("D", 5, 20, 5), Step("S", 7, 20, 5), Step("P", 9, 20, 5)), needs_plan=False)
"""Distinguished Club Program, program years to 2021-2022: 20 members or a net growth of 5; 5, 7 and 9 goals."""
FROM_2022 = Rule((Step("D", 5, 20, 3), Step("S", 7, 20, 3), Step("P", 9, 20, 3)), needs_plan=False)
"""Distinguished Club Program, program years 2022-2023 to 2024-2025: 20 members or a net growth of 3; 5, 7, 9 goals."""
FROM_2025 = Rule(
    (Step("D", 5, 20, 3), Step("S", 7, 20, 5), Step("P", 9, 20, None), Step("M", 10, 25, None)), needs_plan=True
)
"""Distinguished Club Program, program years from 2025-2026: a growth of 3 or 5 replaces 20 members in the two
lower levels only, Smedley requires 25 members and 10 goals, and every level requires a Club Success Plan."""


UNDISTRICTED = "U"
"""The district of clubs without a district. There is no officer training, so it has one goal less."""


@lru_cache(maxsize=64)
def rule_of(year: ProgramYear, district: str = "") -> Rule:
    """The levels of a program year in a district.

    Years before 2014-2015 are assumed to follow the oldest known rule; no available data contradicts it. District U
    requires 4, 6 and 8 goals instead of 5, 7 and 9, as the dashboard's club pages state; June 2013 confirms it for 271
    of 271 clubs. Smedley requires 10 goals there too.
    """
    rule = FROM_2025 if year.start >= 2025 else FROM_2022 if year.start >= 2022 else TO_2021
    if district != UNDISTRICTED:
        return rule
    steps = (step if step.code == "M" else step._replace(goals=step.goals - 1) for step in rule.steps)
    return replace(rule, steps=tuple(steps))


def plans(club_rows: ClubRows, rule: Rule, notes: Notes) -> list[bool] | None:
    """Which open clubs have a Club Success Plan; None if the rule requires it and the report lacks the column.

    A cell that is neither Y nor N counts as no plan and is noted.
    """
    if not rule.needs_plan:
        return [False] * len(club_rows.open)
    at = club_rows.open_columns.table.position("CSP")
    if at is None:
        notes.column(CLUBS, "CSP")
        return None
    cells = [cell.strip().upper() for cell in club_rows.open_columns.column(at)]
    for club, cell in zip(club_rows.open, cells, strict=True):
        if cell not in ("Y", "N"):
            notes.cell("CSP", cell, club=club.number)
    return [cell == "Y" for cell in cells]


def _counts(codes: Sequence[str | None]) -> dict[str, int]:
    found = Counter(codes)
    counts = {name: found[code] for code, name in LEVELS.items()}
    return {**counts, "total": sum(counts.values())}


class ClubLevel(NamedTuple):
    """The level that an open club's figures qualify for, and the way to the next one."""

    code: str | None
    """A key of LEVELS; None if the club qualifies for no level or a figure is unreadable."""
    next_level: str | None
    """A name in LEVELS; None at the highest level or if a figure is unreadable."""
    goals_missing: int | None
    """0 at the highest level; None if a figure is unreadable, like the members."""
    members_missing: int | None
    plan_missing: bool | None
    """Whether the club lacks a Club Success Plan and can earn no level; None if levels require none."""


def club_levels(club_rows: ClubRows, rule: Rule, notes: Notes) -> list[ClubLevel] | None:
    """The levels of the open clubs; None if the rule requires a plan and the report lacks that column."""
    has_plan = plans(club_rows, rule, notes)
    if has_plan is None:
        return None
    return [
        _level(club.members, club.growth, club.goals, planned, rule)
        for club, planned in zip(club_rows.open, has_plan, strict=True)
    ]


@lru_cache(maxsize=65536)
def _level(members: int | None, growth: int | None, goals: int | None, planned: bool, rule: Rule) -> ClubLevel:
    plan_missing = not planned if rule.needs_plan else None
    if members is None or growth is None or goals is None:
        return ClubLevel(None, None, None, None, plan_missing)
    earned = rule.earned(members, growth, goals, has_plan=planned)
    code = rule.steps[earned - 1].code if earned else None
    if earned == len(rule.steps):
        return ClubLevel(code, None, 0, 0, plan_missing)
    step = rule.steps[earned]
    return ClubLevel(
        code,
        LEVELS[step.code],
        max(0, step.goals - goals),
        step.members_missing(members, growth),
        plan_missing,
    )


def distinguished(club_rows: ClubRows, rule: Rule, base: int | None, notes: Notes) -> dict[str, Any]:
    """Reported and qualifying levels, the share of `base` (the summary's Paid Club Base), and what is missing."""
    levels = club_levels(club_rows, rule, notes)
    reported = _counts([club.code for club in club_rows.open])
    return {
        "reported": reported,
        "qualifying": None if levels is None else _counts([level.code for level in levels]),
        "percentOfBase": percentage(reported["total"], base, 2),
        "toGo": None if levels is None else list(map(_to_go, club_rows.open, levels)),
    }


def _to_go(club: Club, level: ClubLevel) -> dict[str, Any]:
    line = {
        "clubNumber": club.number,
        "level": level.next_level,
        "goals": level.goals_missing,
        "members": level.members_missing,
    }
    if level.plan_missing is not None:
        line["planMissing"] = level.plan_missing
    return line
