"""The figures of each club of a district on a date: one row per club, for tables and comparisons.

Source: the roster, with the rules of health, goals and levels that the result of the district uses.
Units: members, goals and payments are counts.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, NamedTuple

from backfill.analytics.club_rows import PAYMENT_COLUMNS, Club, ClubRows, Status, read_club_rows
from backfill.analytics.distinguished import LEVELS, ClubLevel, club_levels, rule_of
from backfill.analytics.goals import GOALS, met_goals
from backfill.analytics.health import club_category
from backfill.analytics.inputs import DistrictInputs
from backfill.analytics.ordered_rows import Key
from backfill.analytics.quality import Notes


class ClubFigures(NamedTuple):
    """A club on a date; `backfill.analytics.dictionary` defines each field. Unknown values are None."""

    club_number: str
    club_name: str
    division: str
    area: str
    status: str | None
    members: int | None
    base: int | None
    net_growth: int | None
    goals: int | None
    goal_1: bool | None
    goal_2: bool | None
    goal_3: bool | None
    goal_4: bool | None
    goal_5: bool | None
    goal_6: bool | None
    goal_7: bool | None
    goal_8: bool | None
    goal_9: bool | None
    goal_10: bool | None
    payments_new: int | None
    payments_late: int | None
    payments_october: int | None
    payments_april: int | None
    payments_charter: int | None
    payments_total: int | None
    charter_date: date | None
    health: str | None
    reported_level: str | None
    qualifying_level: str | None
    next_level: str | None
    goals_to_next_level: int | None
    members_to_next_level: int | None
    plan_missing: bool | None

    @property
    def is_suspended(self) -> bool:
        return self.status == Status.SUSPENDED


_NO_GOALS: tuple[bool | None, ...] = (None,) * len(GOALS)
_NO_PAYMENTS: tuple[int | None, ...] = (None,) * len(PAYMENT_COLUMNS)


def club_figures(inputs: DistrictInputs) -> list[ClubFigures]:
    """Every club of any of the three reports, by number, including suspended ones.

    Figures of a report are those of the club's row. Health, goals, the qualifying level and the distance to the next
    one are known of open clubs only. If a club has several rows in a report, its first rows are joined, then its second
    ones. Raises UnreadableSnapshot as `district_result` does.
    """
    notes = Notes()  # the result of the district contains the notes
    club_rows = read_club_rows(inputs, notes)
    met = met_goals(club_rows, inputs.program_year, notes)
    levels = club_levels(club_rows, rule_of(inputs.program_year, inputs.district), notes)
    assessed = iter(
        zip(
            [club_category(club, inputs.data_month.month) for club in club_rows.open],
            _goals_by_club(met, len(club_rows.open)),
            [None] * len(club_rows.open) if levels is None else levels,
            strict=True,
        )
    )
    paid = dict(zip(club_rows.payment_keys, zip(*club_rows.payments.values(), strict=True), strict=True))
    charters = dict(club_rows.charters or ())
    figures = []
    for key, club in _keyed(club_rows):
        health, goals, level = next(assessed) if _is_open(club) else (None, _NO_GOALS, None)
        figures.append(
            ClubFigures._make(
                (
                    club.number,
                    club.name,
                    club.division,
                    club.area,
                    club.status.value if club.status else None,
                    club.members,
                    club.base,
                    club.growth,
                    club.goals,
                    *goals,
                    *paid.get(key, _NO_PAYMENTS),
                    charters.get(club.number),
                    health.value if health else None,
                    LEVELS.get(club.code),
                    *_level_fields(level),
                )
            )
        )
    return figures


def _is_open(club: Club) -> bool:
    return club.status is not None and club.status is not Status.SUSPENDED


def _keyed(club_rows: ClubRows) -> list[tuple[Key, Club]]:
    """Each club with its key, as the rows of districtperformance have."""
    seen = Counter[tuple[str, str]]()
    keyed = []
    for club in club_rows.clubs:
        number, name = club.number, "" if club.number else club.name
        keyed.append(((number, name, seen[number, name]), club))
        seen[number, name] += 1
    return keyed


def _goals_by_club(met: list[list[bool] | None] | None, clubs: int) -> list[tuple[bool | None, ...]]:
    if met is None:
        return [_NO_GOALS] * clubs
    return list(zip(*([None] * clubs if column is None else column for column in met), strict=True))


def _level_fields(level: ClubLevel | None) -> tuple[Any, ...]:
    """The qualifying level, the next level, what is missing to it, and whether the Club Success Plan is missing."""
    if level is None:
        return (None,) * 5
    qualifying = LEVELS[level.code] if level.code else None
    return (qualifying, *level[1:])
