"""The roster of a district: its clubs, joined from the three reports, in the order of their numbers.

Source: clubperformance joined by club number (without leading zeros) with districtperformance and divisionperformance.
Units: members, goals and payments are counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import compress
from typing import NamedTuple

from backfill.analytics.cells import difference, words
from backfill.analytics.charters import COLUMN as CHARTER_COLUMN
from backfill.analytics.charters import note_blank, read_charters
from backfill.analytics.inputs import DistrictInputs, Table
from backfill.analytics.ordered_rows import Id, Key, Rows, named, ordered
from backfill.analytics.quality import Code, Notes

CLUBS, DISTRICT, DIVISIONS = "clubperformance", "districtperformance", "divisionperformance"

PAYMENT_COLUMNS = {
    "new": "New",
    "late": "Late Ren.",
    "october": "Oct. Ren.",
    "april": "Apr. Ren.",
    "charter": "Total Chart",
    "total": "Total to Date",
}

_CLUB_COLUMNS = (
    "Club Name",
    "Division",
    "Area",
    "Club Status",
    "Active Members",
    "Mem. Base",
    "Goals Met",
    "Club Distinguished Status",
)


class Status(StrEnum):
    ACTIVE = "Active"
    LOW = "Low"
    INELIGIBLE = "Ineligible"
    SUSPENDED = "Suspended"


_STATUSES = {status.value.casefold(): status for status in Status}


class Club(NamedTuple):
    """A row of clubperformance. Unknown values are None. A club that is missing from that report has no figures."""

    number: str
    name: str
    division: str
    area: str
    status: Status | None
    members: int | None
    """Active Members."""
    base: int | None
    """Mem. Base, the members at the start of the program year."""
    growth: int | None
    """Net growth, in members."""
    goals: int | None
    """Goals Met as reported."""
    code: str
    """The reported distinguished code: D, S, P, M or empty."""


VisitRow = tuple[str, str, int | None, int | None]
"""Division, area, and the visits of a club in the first and second round; None if unknown."""


@dataclass(frozen=True, slots=True)
class OpenColumns:
    """The columns of clubperformance of the open clubs."""

    table: Table
    """The report."""
    cells: Sequence[Sequence[str]]
    """The cells of all clubs by column position, in the order of the clubs."""
    is_open: Sequence[bool]

    def column(self, at: int) -> list[str]:
        """The cells of the open clubs at a column position of the report."""
        return list(compress(self.cells[at], self.is_open))


@dataclass(frozen=True, slots=True)
class ClubRows:
    """A district's clubs, by number."""

    clubs: list[Club]
    """Every club of any of the three reports."""
    open: list[Club]
    """Clubs with a known status other than suspended."""
    open_columns: OpenColumns
    """The columns of clubperformance of the open clubs, in their order."""
    payments: dict[str, list[int | None]]
    """The payment columns of districtperformance by the field names of the result."""
    payment_keys: list[Key]
    """The clubs of those columns."""
    charters: list[tuple[str, date]] | None
    """Club numbers and charter dates from districtperformance; None if they are unknown."""
    visits: list[VisitRow] | None
    """The club visits of each row of divisionperformance; None without those columns."""


def read_club_rows(inputs: DistrictInputs, notes: Notes) -> ClubRows:
    """Join the three reports. Raises UnreadableSnapshot if one has no rows or lacks a required column."""
    rows = ordered(inputs.clubs, CLUBS, "Club Number", notes)
    payment_rows = ordered(inputs.districts, DISTRICT, "Club", notes)
    division_rows = ordered(inputs.divisions, DIVISIONS, "Club", notes)
    clubs = _clubs(inputs.clubs, rows, notes)
    is_open = [club.status is not None and club.status is not Status.SUSPENDED for club in clubs]
    every, known = list(clubs), set(rows.ids)
    for table, others in ((inputs.districts, payment_rows), (inputs.divisions, division_rows)):
        if not known.issuperset(others.ids):
            every += _clubs_not_in(table, others, known)
            known.update(others.ids)
    if len(every) > len(clubs):
        every.sort(key=lambda club: (len(club.number), club.number))
    _note_missing(known, {CLUBS: rows, DISTRICT: payment_rows, DIVISIONS: division_rows}, notes)
    return ClubRows(
        every,
        list(compress(clubs, is_open)),
        OpenColumns(inputs.clubs, rows.cells, is_open),
        _payment_columns(inputs, payment_rows, notes),
        payment_rows.keys,
        _charters(inputs, payment_rows, notes),
        _visits(inputs, division_rows, notes),
    )


def read_open_clubs(table: Table) -> tuple[str, ...]:
    """The open clubs of clubperformance, equal to `points.open_clubs` of the result.

    Raises UnreadableSnapshot if the report has no rows or lacks a required column.
    """
    notes = Notes()
    rows = ordered(table, CLUBS, "Club Number", notes)
    name_at, status_at = table.needed(CLUBS, "Club Name", "Club Status")
    statuses = _statuses(rows.cells[status_at], rows.keys, notes)
    return tuple(
        number or words(name)
        for (number, *_), name, status in zip(rows.keys, rows.cells[name_at], statuses, strict=True)
        if status is not None and status is not Status.SUSPENDED
    )


def _clubs(table: Table, rows: Rows, notes: Notes) -> list[Club]:
    columns = [rows.cells[at] for at in table.needed(CLUBS, *_CLUB_COLUMNS)]
    names, divisions, areas, statuses, member_cells, base_cells, goal_cells, codes = columns
    numbers = [number for number, *_ in rows.keys]
    members = notes.numbers("Active Members", member_cells, numbers)
    base = notes.numbers("Mem. Base", base_cells, numbers)
    clubs = list(
        map(
            Club,
            numbers,
            map(words, names),
            map(words, divisions),
            map(words, areas),
            _statuses(statuses, rows.keys, notes),
            members,
            base,
            map(difference, members, base),
            notes.numbers("Goals Met", goal_cells, numbers),
            map(_code, codes),
        )
    )
    _note_codes(clubs, notes)
    return clubs


def _code(cell: str) -> str:
    return cell.strip().upper()


def _statuses(cells: Sequence[str], keys: Sequence[Key], notes: Notes) -> list[Status | None]:
    statuses = [_STATUSES.get(cell.strip().casefold()) for cell in cells]
    if None in statuses:
        for status, cell, (number, name, _) in zip(statuses, cells, keys, strict=True):
            if status is None:
                text = cell.strip()[:40]
                notes.add(
                    Code.UNKNOWN_STATUS,
                    f'The status of {named(number, name)} is unknown: "{text}"; it counts in the total only.',
                    club=number,
                    found=text,
                )
    return statuses


def _note_codes(clubs: Sequence[Club], notes: Notes) -> None:
    for club in clubs:
        if club.code not in ("", "D", "S", "P", "M"):
            text = club.code[:40]
            notes.add(
                Code.UNKNOWN_LEVEL,
                f'The level of {named(club.number, club.name)} is unknown: "{text}"; it counts in no level.',
                club=club.number,
                found=text,
            )


def _clubs_not_in(table: Table, rows: Rows, known: set[Id]) -> list[Club]:
    """The clubs of a report that are not in `known`, without figures."""
    columns = [
        rows.cells[at] if (at := table.position(name)) is not None else [""] * len(rows.keys)
        for name in ("Club Name", "Division", "Area")
    ]
    return [
        Club(key[0], words(name), words(division), words(area), None, None, None, None, None, "")
        for key, name, division, area in zip(rows.keys, *columns, strict=True)
        if key[:2] not in known
    ]


def _note_missing(every: set[Id], reports: dict[str, Rows], notes: Notes) -> None:
    for report, rows in reports.items():
        missing = every.difference(rows.ids)
        for number, name in sorted(missing, key=lambda key: (len(key[0]), key)):
            notes.add(
                Code.CLUB_MISSING,
                f"{report} has no row of {named(number, name)}; the values from it are null.",
                club=number,
            )


def _payment_columns(inputs: DistrictInputs, rows: Rows, notes: Notes) -> dict[str, list[int | None]]:
    positions = inputs.districts.needed(DISTRICT, *PAYMENT_COLUMNS.values())
    numbers = [number for number, *_ in rows.keys]
    return {
        name: notes.numbers(f"{PAYMENT_COLUMNS[name]} of {DISTRICT}", rows.cells[at], numbers)
        for name, at in zip(PAYMENT_COLUMNS, positions, strict=True)
    }


def _charters(inputs: DistrictInputs, rows: Rows, notes: Notes) -> list[tuple[str, date]] | None:
    """None if the column is missing or blank in every row of every district of the date."""
    at = inputs.districts.position(CHARTER_COLUMN)
    if at is None:
        notes.column(DISTRICT, CHARTER_COLUMN)
        return None
    cells = [(key[0], cell) for key, cell in zip(rows.keys, rows.cells[at], strict=True) if cell.strip()]
    if not cells and inputs.are_dates_blank:
        note_blank(DISTRICT, notes)
        return None
    return read_charters(cells, notes)


VISIT_COLUMNS = ("Nov Visit award", "May Visit award")
"""The columns of divisionperformance with the club visits of both rounds."""


def _visits(inputs: DistrictInputs, rows: Rows, notes: Notes) -> list[VisitRow] | None:
    table = inputs.divisions
    division, area, *rounds = (table.position(name) for name in ("Division", "Area", *VISIT_COLUMNS))
    missing = [name for name, at in zip(VISIT_COLUMNS, rounds, strict=True) if at is None]
    if missing:
        notes.column(DIVISIONS, *missing)
        return None
    if division is None or area is None:  # read_units raises the error
        return None
    numbers = [number for number, *_ in rows.keys]
    marks = [
        _marks(name, rows.cells[at], numbers, notes)
        for name, at in zip(VISIT_COLUMNS, rounds, strict=True)
        if at is not None
    ]
    first, second = marks
    return list(zip(map(words, rows.cells[division]), map(words, rows.cells[area]), first, second, strict=True))


def _marks(name: str, cells: Sequence[str], numbers: Sequence[str], notes: Notes) -> list[int | None]:
    if not any(map(str.strip, cells)):
        notes.add(Code.COLUMN_BLANK, f"In {DIVISIONS}, the column {name} is blank in every row; visits are null.")
        return [None] * len(cells)
    return notes.numbers(f"{name} of {DIVISIONS}", cells, numbers)
