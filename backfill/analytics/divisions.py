"""Divisions and areas: their reported figures, the level that these qualify for, and the gap to the next level.

Source: divisionperformance for base, paid and distinguished clubs, goals of the levels, club visits and the reported
level; clubperformance for open clubs, members and goals. An area is identified by its division and its number,
because numbers repeat in every division. Units: clubs, members and goals are counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from operator import itemgetter
from typing import Any, NamedTuple

from backfill.analytics.cells import number, total, words
from backfill.analytics.club_rows import DIVISIONS, Club, VisitRow
from backfill.analytics.inputs import Table
from backfill.analytics.quality import Code, Notes
from backfill.analytics.rankings import ranks

UNALIGNED_DIVISION, UNALIGNED_AREA = "0D", "0A"
"""The division and area of clubs without one. They earn no level."""

LEVELS = ("Distinguished", "Select Distinguished", "President's Distinguished")
"""Lowest first, as in divisionperformance."""

_GOAL_ENDS = ("Dist.", "Select Dist.", "Pres. Dist.")

Key = tuple[str, ...]
"""(division,) or (division, area)."""


class Unit(NamedTuple):
    """The figures of an area or a division in divisionperformance; None if unknown."""

    base: int | None = None
    paid: int | None = None
    distinguished: int | None = None
    reported: str = ""
    paid_goals: tuple[int | None, ...] = (None, None, None)
    distinguished_goals: tuple[int | None, ...] = (None, None, None)

    def steps(self) -> int | None:
        """The number of levels reached; each requires paid and distinguished clubs. None if unknown."""
        paid, distinguished = self.paid, self.distinguished
        if paid is None or distinguished is None:
            return None
        reached = 0
        for step, (paid_goal, goal) in enumerate(zip(self.paid_goals, self.distinguished_goals, strict=True), start=1):
            if paid_goal is None or goal is None:
                return None
            if paid >= paid_goal and distinguished >= goal:
                reached = step
        return reached

    def gap(self, steps: int) -> dict[str, int] | None:
        """The clubs missing to the next level; None at the highest level or if unknown."""
        if steps == len(LEVELS):
            return None
        paid_goal, goal = self.paid_goals[steps], self.distinguished_goals[steps]
        if self.paid is None or self.distinguished is None or paid_goal is None or goal is None:
            return None
        return {"paidClubs": max(0, paid_goal - self.paid), "distinguishedClubs": max(0, goal - self.distinguished)}


def _unit_columns(kind: str) -> tuple[str, ...]:
    return (
        f"{kind} Club Base",
        f"Total Paid {kind} Clubs",
        f"Total Dist. {kind} Clubs",
        *(f"{kind} Paid Club Goal for {end}" for end in _GOAL_ENDS),
        *(f"{kind} Dist. Club Goal for {end}" for end in _GOAL_ENDS),
        f"Distinguished {kind}",
    )


_COLUMNS = {kind: _unit_columns(kind) for kind in ("Division", "Area")}


def read_units(table: Table, kind: str, notes: Notes) -> dict[Key, Unit]:
    """The units in divisionperformance (`kind` is `Division` or `Area`). Each row of a unit repeats its figures.

    Figures with contradictory rows and unreadable cells are None and noted. Missing columns are noted once. Raises
    UnreadableSnapshot if the columns Division and Area are missing.
    """
    keys = table.needed(DIVISIONS, *(("Division",) if kind == "Division" else ("Division", "Area")))
    positions = [table.position(column) for column in _COLUMNS[kind]]
    missing = [column for column, at in zip(_COLUMNS[kind], positions, strict=True) if at is None]
    if missing:
        notes.column(DIVISIONS, *missing)
    # A missing column is read from the key and replaced by None.
    pick, width = itemgetter(*keys, *(keys[0] if at is None else at for at in positions)), len(keys)
    found: dict[Key, set[tuple[str | None, ...]]] = defaultdict(set)
    for cells in {pick(row) for row in table.rows}:
        figures: tuple[str | None, ...] = cells[width:]
        if missing:
            figures = tuple(None if at is None else cell for at, cell in zip(positions, figures, strict=True))
        found[tuple(map(words, cells[:width]))].add(figures)
    return {key: _unit(f"{kind} {'/'.join(key)}", _COLUMNS[kind], found[key], notes) for key in sorted(found)}


def _unit(where: str, columns: Sequence[str], rows: set[tuple[str | None, ...]], notes: Notes) -> Unit:
    if len(rows) == 1:
        (row,) = rows
        values = [None if cell is None else number(cell) for cell in row[:-1]]
        if None in values:
            for column, cell, value in zip(columns[:-1], row[:-1], values, strict=True):
                if value is None and cell is not None:
                    notes.cell(f"{column} of {where}", cell)
        level = words(row[-1] or "")
    else:
        *counts, levels = zip(*rows, strict=True)
        values = [_agreed(where, column, cells, notes) for column, cells in zip(columns[:-1], counts, strict=True)]
        reported = {words(cell or "") for cell in levels}
        level = next(iter(reported))
        if len(reported) > 1:
            level = ""
            _note_disagreement(where, columns[-1], notes)
    return Unit(values[0], values[1], values[2], level, tuple(values[3:6]), tuple(values[6:9]))


def _agreed(where: str, column: str, cells: Iterable[str | None], notes: Notes) -> int | None:
    """The count that all rows of a unit share; None if they differ."""
    texts = sorted({cell for cell in cells if cell is not None})
    counts = {number(text) for text in texts}
    if len(counts) > 1:
        _note_disagreement(where, column, notes)
        return None
    if counts == {None}:
        notes.cell(f"{column} of {where}", texts[0])
    return next(iter(counts), None)


def _note_disagreement(where: str, column: str, notes: Notes) -> None:
    notes.add(Code.ROWS_DIFFER, f"The rows of {where} contradict each other in {column}; it is null.")


Visits = tuple[int | None, int | None]
"""Visited clubs of an area in the first and the second round; None if unreadable."""


def visits_needed(base: int) -> int:
    """The visited clubs that an area needs in each round for any level: 75 % of its club base.

    Source: the Distinguished Area Program requires reports of visits to 75 % of the club base by 30 November and by
    31 May. With this rule 29 of 29 areas of district 61 get their reported level in June 2026, without it
    28.
    """
    return -(-3 * base // 4)


def area_visits(rows: Iterable[VisitRow]) -> dict[Key, Visits]:
    """The visited clubs of each area, from the rows of divisionperformance."""
    visited: dict[Key, list[int | None]] = {}
    for (division, area, *marks), clubs in Counter(rows).items():
        of_area = visited.setdefault((division, area), [None, None])
        for round_, mark in enumerate(marks):
            if mark is not None:
                of_area[round_] = (of_area[round_] or 0) + (clubs if mark > 0 else 0)
    return {key: (first, second) for key, (first, second) in visited.items()}


def _missing_visits(unit: Unit, visits: Visits | None) -> dict[str, int] | None:
    """The missing visits of each round; None if unknown."""
    if unit.base is None or visits is None or visits[0] is None or visits[1] is None:
        return None
    least = visits_needed(unit.base)
    return {"firstVisits": max(0, least - visits[0]), "secondVisits": max(0, least - visits[1])}


def divisions(clubs: Sequence[Club], units: Mapping[Key, Unit]) -> list[dict[str, Any]]:
    """Each division by letter, ranked by distinguished clubs per base, then by goals per open club.

    Ties share a rank. The unaligned division and divisions with unknown figures have none.
    """
    lines = _lines(clubs, units, 1)
    places = ranks({line["id"]: order for line in lines if (order := _order(line)) is not None})
    return [{**line, "rank": places.get(line["id"])} for line in lines]


def areas(
    clubs: Sequence[Club], units: Mapping[Key, Unit], visit_rows: Iterable[VisitRow] | None
) -> list[dict[str, Any]]:
    """Each area, by division and number; its `id` is both (`J/04`). Its level requires club visits in both rounds.

    `visit_rows` are the rows of divisionperformance, None if it lacks the visit columns.
    """
    return _lines(clubs, units, 2, area_visits(visit_rows or ()))


def _order(line: Mapping[str, Any]) -> tuple[Fraction, Fraction] | None:
    base, distinguished, clubs, goals = line["base"], line["distinguished"], line["clubs"], line["goals"]
    if line["id"] == UNALIGNED_DIVISION or not base or distinguished is None or not clubs or goals is None:
        return None
    return Fraction(distinguished, base), Fraction(goals, clubs)


def _lines(
    clubs: Sequence[Club], units: Mapping[Key, Unit], width: int, visits: Mapping[Key, Visits] | None = None
) -> list[dict[str, Any]]:
    """`visits` are those of areas by key; None for divisions, which need no visits."""
    members: dict[Key, list[Club]] = defaultdict(list)
    for club in clubs:
        members[(club.division, club.area)[:width]].append(club)
    lines = []
    for key in sorted(units.keys() | members.keys()):
        unit = units.get(key, Unit())
        missing = {} if visits is None else _missing_visits(unit, visits.get(key))
        lines.append(_line(key, members.get(key, []), unit, missing))
    return lines


def _line(key: Key, clubs: Sequence[Club], unit: Unit, missing_visits: dict[str, int] | None) -> dict[str, Any]:
    """`missing_visits` of an area are None if unknown; of a division they are empty."""
    is_aligned = key[0] != UNALIGNED_DIVISION and key[-1] != UNALIGNED_AREA
    steps, gap = None, None
    if is_aligned and missing_visits is not None:
        steps = unit.steps()
        if steps and any(missing_visits.values()):
            steps = 0
    if steps is not None and missing_visits is not None:
        gap = unit.gap(steps)
        gap = gap and {**gap, **missing_visits}
    place = {} if len(key) == 1 else {"division": key[0], "area": key[1]}
    return {
        "id": "/".join(key),
        **place,
        "clubs": len(clubs),
        "paid": unit.paid,
        "base": unit.base,
        "members": total([club.members for club in clubs]),
        "goals": total([club.goals for club in clubs]),
        "distinguished": unit.distinguished,
        "reported": unit.reported if is_aligned and unit.reported else None,
        "qualifying": LEVELS[steps - 1] if steps else None,
        "gap": gap,
    }
