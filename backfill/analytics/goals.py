"""The ten goals of the Distinguished Club Program, and how many clubs have met each.

Source: clubperformance's own columns from program year 2020-2021 on; earlier columns do not show the goals. The
columns are separate counts: `New Members` stops at 4 and the rest is in `Add. New Members`. Charter dates are those of
districtperformance.
Units: clubs; percent points with one digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from backfill.analytics.cells import number, percentage, total
from backfill.analytics.charters import is_late
from backfill.analytics.club_rows import CLUBS, ClubRows, OpenColumns
from backfill.analytics.quality import Code, Notes
from backfill.domain import ProgramYear

FIRST_YEAR = ProgramYear(2020)


class Goal(NamedTuple):
    """Met if one column of every group is at least `least`. A `*` ends a name that varies between years."""

    groups: tuple[tuple[str, ...], ...]
    least: int


GOALS = (
    Goal((("Level 1s",),), 4),
    Goal((("Level 2s*",),), 2),
    Goal((("Add. Level 2s*",),), 2),
    Goal((("Level 3s",),), 2),
    Goal((("Level 4s*",),), 1),
    Goal((("Add. Level 4s*",),), 1),
    Goal((("New Members",),), 4),
    Goal((("Add. New Members",),), 4),
    Goal((("Off. Trained Round 1",), ("Off. Trained Round 2",)), 4),
    Goal((("Mem. dues on time Oct", "Mem. dues on time Apr"), ("Off. List On Time",)), 1),
)
"""Goals 1 to 10. `Level 4s*` is `Level 4s, Level 5s, or DTM award` and its successors, `Level 2s*` also
`Level 2s or EOM`."""

_TRAINING = 8
"""The index of goal 9 in GOALS."""


def _columns(club_rows: ClubRows, notes: Notes) -> dict[str, list[int | None]]:
    """The columns of the goals by their names in GOALS, without missing and unreadable columns."""
    columns, clubs = club_rows.open_columns, [club.number for club in club_rows.open]
    found: dict[str, list[int | None]] = {}
    missing = []
    for name in (name for goal in GOALS for group in goal.groups for name in group):
        at = _position(columns, name, notes)
        if at is None:
            missing.append(name)
        else:
            values = notes.numbers(columns.table.columns[at], columns.column(at), clubs)
            if total(values) is not None:
                found[name] = values
    if missing:
        notes.column(CLUBS, *missing)
    return found


def _position(columns: OpenColumns, name: str, notes: Notes) -> int | None:
    """The position of a column. If it exists under its old and its new name, the one with figures is used and noted."""
    table = columns.table
    if not name.endswith("*"):
        return table.position(name)
    places = table.positions_of_prefix(name[:-1])
    if len(places) < 2:
        return places[0] if places else None
    figures = {at: list(map(number, columns.column(at))) for at in places}
    used = max(places, key=lambda at: (any(figures[at]), total(figures[at]) is not None, -at))
    names = " and ".join(f'"{table.columns[at]}"' for at in places)
    notes.add(
        Code.COLUMN_TWICE,
        f'{CLUBS} has the columns {names}; "{table.columns[used]}" is used, because it has the figures.',
    )
    return used


def _met(goal: Goal, columns: dict[str, list[int | None]]) -> list[bool] | None:
    """Whether each open club has met a goal; an unreadable cell does not meet it."""
    if any(name not in columns for group in goal.groups for name in group):
        return None
    least = goal.least
    reached = [
        [[value is not None and value >= least for value in columns[name]] for name in group] for group in goal.groups
    ]
    parts = [_each(any, group) for group in reached]
    return _each(all, parts)


def _each(holds: Callable[[Iterable[bool]], bool], columns: list[list[bool]]) -> list[bool]:
    """Apply `any` or `all` to each row of the columns."""
    return columns[0] if len(columns) == 1 else list(map(holds, zip(*columns, strict=True)))


def met_goals(club_rows: ClubRows, year: ProgramYear, notes: Notes) -> list[list[bool] | None] | None:
    """Which open clubs have met each of the ten goals; None before program year 2020-2021.

    A goal is None if one of its columns is missing or unreadable. Clubs whose ten goals do not add up to Goals Met are
    noted, and Goals Met is used.
    """
    if year < FIRST_YEAR:
        return None
    columns = _columns(club_rows, notes)
    met = [_met(goal, columns) for goal in GOALS]
    _apply_late_charters(met, columns, club_rows, year)
    known = [column for column in met if column is not None]
    if len(known) == len(GOALS):
        _compare(club_rows, zip(*known, strict=True), notes)
    return met


def goals(club_rows: ClubRows, year: ProgramYear, notes: Notes) -> list[dict[str, Any]] | None:
    """How many open clubs have met each goal; None before program year 2020-2021. A goal is null as in `met_goals`."""
    met = met_goals(club_rows, year, notes)
    if met is None:
        return None
    return [_line(place, column, len(club_rows.open)) for place, column in enumerate(met, start=1)]


def _apply_late_charters(
    met: list[list[bool] | None], columns: dict[str, list[int | None]], club_rows: ClubRows, year: ProgramYear
) -> None:
    """Apply that goal 9 of clubs chartered on or after 1 September requires training round 2 only.

    Source: the announcement of Toastmasters International of September 2013. With this rule the goals add up to
    Goals Met in all 9,509 real rows of district 91 with a charter date; without it they do not in 33.
    """
    training = met[_TRAINING]
    late = {club for club, day in club_rows.charters or () if is_late(day, year)}
    if training is None or not late:
        return
    least, second = GOALS[_TRAINING].least, columns["Off. Trained Round 2"]
    met[_TRAINING] = [
        (value is not None and value >= least) if club.number in late else flag
        for club, flag, value in zip(club_rows.open, training, second, strict=True)
    ]


def _compare(club_rows: ClubRows, met: Iterable[Sequence[bool]], notes: Notes) -> None:
    for club, flags in zip(club_rows.open, met, strict=True):
        if club.goals is not None and sum(flags) != club.goals:
            notes.add(
                Code.GOALS_DIFFER,
                f"The goal columns of club {club.number[:40]} add up to {sum(flags)}; "
                f"Goals Met is {club.goals} and is used.",
                club=club.number,
                expected=club.goals,
                found=sum(flags),
            )


def _line(place: int, met: list[bool] | None, clubs: int) -> dict[str, Any]:
    achieved = None if met is None else sum(met)
    return {"goal": place, "achieved": achieved, "percent": percentage(achieved, clubs, 1)}
