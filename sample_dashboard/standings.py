"""The published figures of a club on a day, and the rules of goals and levels.

The rules are those of the real exports, so that computed figures can be compared with those of a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sample_dashboard.seasons import GOOD_STANDING, Season, ordinal

LAST_LEGACY_YEAR = 2019
"""The last program year in which legacy awards (CC, AC, CL, AL, DTM) counted for the learning goals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The figures of a club on a day, as the reports show them."""

    season: Season
    division: str
    area: str
    status: str
    members: int
    new: int
    late: int
    october: int
    april: int
    charter: int
    levels: tuple[int, ...]
    awards: tuple[int, ...]
    trained: tuple[int, int]
    october_on_time: int
    april_on_time: int
    officer_lists: int
    has_plan: bool
    visits: tuple[int, int]
    goals: int
    code: str
    """D, S, P, M or empty."""
    note: str
    """`Charter 01/11/24`, ` Susp 09/30/24` or empty."""

    @property
    def renewals(self) -> int:
        return self.october + self.april + self.late

    @property
    def payments(self) -> int:
        return self.new + self.renewals + self.charter


def distinguished_code(year: int, goals: int, members: int, growth: int, has_plan: bool, *, district: str = "") -> str:
    """Return the level of a club under the rules of its program year. District U requires one goal less."""
    if district == "U" and goals < 9:
        goals += 1
    if year < 2025:
        if members < 20 and growth < (3 if year >= 2022 else 5):
            return ""
        return "P" if goals >= 9 else "S" if goals >= 7 else "D" if goals >= 5 else ""
    if not has_plan:
        return ""
    rules = (
        ("M", 10, members >= 25),
        ("P", 9, members >= 20),
        ("S", 7, members >= 20 or growth >= 5),
        ("D", 5, members >= 20 or growth >= 3),
    )
    return next((code for code, needed, is_big_enough in rules if goals >= needed and is_big_enough), "")


def goals_met(year: int, levels: tuple[int, ...], awards: tuple[int, ...], others: tuple[bool, ...]) -> int:
    """Return how many of the ten goals are met: six learning goals and the four `others`."""
    ones, twos, threes, fours, fives = levels
    if year > LAST_LEGACY_YEAR:
        learning = (ones >= 4, twos >= 2, twos >= 4, threes >= 2, fours >= 1, fours >= 2)
    else:
        competent, advanced, leaders = awards
        learning = (
            competent >= 2 or ones >= 4,
            competent >= 4 or twos >= 2,
            advanced >= 1 or twos >= 4,
            advanced >= 2 or threes >= 2,
            leaders >= 1 or fours >= 1,
            leaders >= 2 or fives >= 1,
        )
    return sum(learning) + sum(others)


def standing_on(season: Season, as_of: date) -> Standing:
    """Return the figures of a club on a day. The figures of a suspended club do not change."""
    club, year = season.club, season.year
    is_suspended = season.suspended_on is not None and season.suspended_on <= as_of
    day = min(as_of, season.suspended_on).toordinal() if season.suspended_on else as_of.toordinal()
    new, levels = season.joined.at(day), tuple(level.at(day) for level in season.levels)
    awards = tuple(award.at(day) for award in season.awards)
    trained = (season.trained[0].at(day), season.trained[1].at(day))
    october_on_time = season.october_on_time and day >= ordinal(year, 10, 1)
    april_on_time = season.april_on_time and day >= ordinal(year, 4, 1)
    lists, has_plan = season.officer_lists.at(day), season.success_plan.at(day) > 0
    members = 0 if is_suspended else season.base + new - season.left.at(day)
    is_late = season.is_new and club.chartered_on is not None and club.chartered_on >= date(year, 9, 1)
    others = (
        new >= 4,
        new >= 8,
        (trained[1] if is_late else min(trained)) >= 4,
        (october_on_time or april_on_time) and lists >= 1,
    )
    goals = goals_met(year, levels, awards, others)
    is_recognised = not is_suspended and day >= ordinal(year, 4, 1)
    if is_suspended and season.suspended_on:
        note = f" Susp {season.suspended_on:%m/%d/%y}"
    else:
        note = f"Charter {club.chartered_on:%m/%d/%y}" if season.is_new else ""
    return Standing(
        season=season,
        division="0D" if season.is_new else club.division,
        area="0A" if season.is_new else club.area,
        status=_status(season, day, members, is_suspended),
        members=members,
        new=new,
        late=season.late.at(day),
        october=season.october.at(day),
        april=season.april.at(day),
        charter=season.charter_payments,
        levels=levels,
        awards=awards,
        trained=trained,
        october_on_time=int(october_on_time),
        april_on_time=int(april_on_time),
        officer_lists=lists,
        has_plan=has_plan,
        visits=(season.visits[0].at(day), season.visits[1].at(day)),
        goals=goals,
        note=note,
        code=distinguished_code(
            year, goals, members, members - season.base, has_plan, district=club.key.partition("/")[0]
        )
        if is_recognised
        else "",
    )


def _status(season: Season, day: int, members: int, is_suspended: bool) -> str:
    if is_suspended:
        return "Suspended"
    if any(first <= day < end for first, end in season.unpaid):
        return "Ineligible"
    return "Active" if members >= GOOD_STANDING else "Low"
