"""Clubs, membership and payments: the roster of a district, and its plain counts and sums.

Source: clubperformance joined by club number (without leading zeros) with districtperformance and divisionperformance.
Units: clubs, members and payments are counts; percentages are percent points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from backfill.domain import ProgramYear
from backfill.metrics.cells import club_number, difference, percentage, rounded, words
from backfill.metrics.quality import Code, Notes, Summary
from backfill.metrics.source import DistrictSource, Table

CLUBS, DISTRICT, DIVISIONS = "clubperformance", "districtperformance", "divisionperformance"

_CHARTERED = re.compile(r"Charter (\d{1,2})/(\d{1,2})/(\d{2})", re.ASCII | re.IGNORECASE)

PAYMENT_COLUMNS = {
    "new": "New",
    "late": "Late Ren.",
    "october": "Oct. Ren.",
    "april": "Apr. Ren.",
    "charter": "Total Chart",
    "total": "Total to Date",
}


class Status(StrEnum):
    ACTIVE = "Active"
    LOW = "Low"
    INELIGIBLE = "Ineligible"
    SUSPENDED = "Suspended"


_STATUSES = {status.value.casefold(): status for status in Status}


class Club(NamedTuple):
    """A row of clubperformance. What a cell does not say is None; a club that is not in that report has no figures."""

    number: str
    name: str
    division: str
    area: str
    status: Status | None
    members: int | None
    """Active Members."""
    base: int | None
    """Mem. Base, the members at the program year's beginning."""
    growth: int | None
    """Net growth, in members."""
    goals: int | None
    """Goals Met, as the dashboard says."""
    code: str
    """The distinguished code as it stands: D, S, P, M or empty."""


Key = tuple[str, str, int]
"""What a club is matched by between reports: its number, else its name, and which of several such rows it is."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A report's rows in the order of club numbers, whatever order they came in."""

    keys: list[Key]
    cells: list[Sequence[str]]
    """By column position."""


def ordered(table: Table, report: str, number_column: str, notes: Notes) -> Rows:
    """Sort a report by club number, and note rows without one and clubs with several. UnreadableSnapshot if empty."""
    table.require_rows(report)
    (at,) = table.needed(report, number_column)
    numbers = [club_number(row[at]) for row in table.rows]
    if all(map(_is_number, numbers)) and len(set(numbers)) == len(numbers):  # so nearly always, and much faster
        in_order = sorted(zip(map(len, numbers), numbers, table.rows, strict=True))
        return Rows([(text, "", 0) for _, text, _ in in_order], list(zip(*(row for *_, row in in_order), strict=True)))
    return _ordered_with_notes(table, report, numbers, notes)


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii()


def _ordered_with_notes(table: Table, report: str, numbers: list[str], notes: Notes) -> Rows:
    in_order = sorted((len(text), text, tuple(row)) for text, row in zip(numbers, table.rows, strict=True))
    name_at = table.position("Club Name")
    keys: list[Key] = []
    seen = Counter[tuple[str, str]]()
    for _, text, row in in_order:
        name = "" if text or name_at is None else words(row[name_at])
        occurrence = seen[text, name]
        seen[text, name] += 1
        keys.append((text, name, occurrence))
        if not _is_number(text):
            which = f'"{text[:40]}", which is no number' if text else f'no number (its name is "{name[:60]}")'
            notes.add(Code.CLUB_WITHOUT_NUMBER, f"A club in {report} has {which}; it is kept.", club=text[:40])
        if occurrence == 1:
            notes.add(
                Code.CLUB_TWICE, f"{report} has more than one row of {_named(text, name)}; each is kept.", club=text
            )
    return Rows(keys, list(zip(*(row for *_, row in in_order), strict=True)))


@dataclass(frozen=True, slots=True)
class Roster:
    """A district's clubs, by number."""

    clubs: list[Club]
    """Every club of any of the three reports."""
    open: list[Club]
    """Those that are known not to be suspended."""
    open_rows: Table
    """The rows of clubperformance of the open clubs, in their order."""
    payments: dict[str, list[int | None]]
    """The columns of districtperformance by the names of the result, every row of it."""
    charter_cells: list[tuple[str, str]] | None
    """Club number and cell where districtperformance has a charter or suspend date; None without that column."""


def read_roster(source: DistrictSource, notes: Notes) -> Roster:
    """Join the three reports. Raises UnreadableSnapshot where one has no rows or is without a needed column."""
    positions = source.clubs.needed(
        CLUBS,
        "Club Name",
        "Division",
        "Area",
        "Club Status",
        "Active Members",
        "Mem. Base",
        "Goals Met",
        "Club Distinguished Status",
    )
    rows = ordered(source.clubs, CLUBS, "Club Number", notes)
    payment_rows = ordered(source.districts, DISTRICT, "Club", notes)
    division_rows = ordered(source.divisions, DIVISIONS, "Club", notes)
    names, divisions, areas, statuses, *_ = (rows.cells[at] for at in positions)
    read_statuses = _statuses(statuses, rows.keys, notes)
    is_open = [status is not None and status is not Status.SUSPENDED for status in read_statuses]
    numbers = [number for number, *_ in rows.keys]
    members, base, goals = (
        notes.numbers(name, rows.cells[at], numbers)
        for name, at in zip(("Active Members", "Mem. Base", "Goals Met"), positions[4:7], strict=True)
    )
    clubs = list(
        map(
            Club,
            numbers,
            map(words, names),
            map(words, divisions),
            map(words, areas),
            read_statuses,
            members,
            base,
            map(difference, members, base),
            goals,
            map(_code, rows.cells[positions[7]]),
        )
    )
    _note_codes(clubs, notes)
    known = set(rows.keys)
    open_clubs = [club for club, wanted in zip(clubs, is_open, strict=True) if wanted]
    open_cells = [row for row, wanted in zip(zip(*rows.cells, strict=True), is_open, strict=True) if wanted]
    for other, report in ((source.districts, DISTRICT), (source.divisions, DIVISIONS)):
        other_rows = payment_rows if report == DISTRICT else division_rows
        clubs += _strangers(other, other_rows, known)
        known.update(other_rows.keys)
    clubs.sort(key=lambda club: (len(club.number), club.number))
    _note_missing(known, {CLUBS: rows, DISTRICT: payment_rows, DIVISIONS: division_rows}, notes)
    return Roster(
        clubs,
        open_clubs,
        Table(source.clubs.columns, open_cells),
        _payment_columns(source, payment_rows, notes),
        _charter_cells(source, payment_rows, notes),
    )


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
                    f'The status of {_named(number, name)} is "{text}", which is '
                    "none that is known; it counts in the total only.",
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
                f'The distinguished status of {_named(club.number, club.name)} is "{text}", '
                "which is none that is known; it counts in no level.",
                club=club.number,
                found=text,
            )


def _strangers(table: Table, rows: Rows, known: set[Key]) -> list[Club]:
    """The clubs of a report that are in none read before, without figures."""
    if known.issuperset(rows.keys):
        return []
    columns = [
        rows.cells[at] if (at := table.position(name)) is not None else [""] * len(rows.keys)
        for name in ("Club Name", "Division", "Area")
    ]
    return [
        Club(key[0], words(name), words(division), words(area), None, None, None, None, None, "")
        for key, name, division, area in zip(rows.keys, *columns, strict=True)
        if key not in known
    ]


def _note_missing(every: set[Key], reports: dict[str, Rows], notes: Notes) -> None:
    for report, rows in reports.items():
        missing = every.difference(rows.keys)
        for number, name, _ in sorted(missing, key=lambda key: (len(key[0]), key)):
            notes.add(
                Code.CLUB_MISSING,
                f"{report} has no row of {_named(number, name)}; what comes from it is null.",
                club=number,
            )


def _payment_columns(source: DistrictSource, rows: Rows, notes: Notes) -> dict[str, list[int | None]]:
    positions = source.districts.needed(DISTRICT, *PAYMENT_COLUMNS.values())
    numbers = [number for number, *_ in rows.keys]
    return {
        name: notes.numbers(f"{PAYMENT_COLUMNS[name]} of {DISTRICT}", rows.cells[at], numbers)
        for name, at in zip(PAYMENT_COLUMNS, positions, strict=True)
    }


def _charter_cells(source: DistrictSource, rows: Rows, notes: Notes) -> list[tuple[str, str]] | None:
    at = source.districts.position("Charter Date/Suspend Date")
    if at is None:
        notes.column(DISTRICT, "Charter Date/Suspend Date")
        return None
    return [(key[0], cell) for key, cell in zip(rows.keys, rows.cells[at], strict=True) if cell]


def _named(number: str, name: str) -> str:
    return f"club {number[:40]}" if number else f'the club "{name[:60]}"'


def total(values: Sequence[int | None]) -> int:
    """The sum of what is known; each unknown has its note."""
    return sum(filter(None, values))


def club_counts(roster: Roster, summary: Summary, year: ProgramYear) -> dict[str, Any]:
    """Clubs by status. `base` and so `netGrowth` are of the district summary (its Paid Club Base); the rest is counted.

    `chartered` are open clubs whose charter date (`Charter MM/DD/YY` of districtperformance) is in the program year.
    """
    counts = Counter(club.status for club in roster.clubs)
    base = summary.count("Paid Club Base")
    suspended = [club for club in roster.clubs if club.status is Status.SUSPENDED]
    return {
        "total": len(roster.clubs),
        "open": len(roster.open),
        "paid": counts[Status.ACTIVE],
        "low": counts[Status.LOW],
        "ineligible": counts[Status.INELIGIBLE],
        "suspended": len(suspended),
        "base": base,
        "netGrowth": difference(counts[Status.ACTIVE], base),
        "chartered": _chartered(roster, year),
        "suspendedClubs": [{"clubNumber": club.number, "clubName": club.name} for club in suspended],
    }


def _chartered(roster: Roster, year: ProgramYear) -> int | None:
    if roster.charter_cells is None:
        return None
    open_numbers = {club.number for club in roster.open}
    return sum(number in open_numbers and _is_charter_of(cell, year) for number, cell in roster.charter_cells)


def _is_charter_of(cell: str, year: ProgramYear) -> bool:
    match = _CHARTERED.fullmatch(words(cell))
    if match is None:
        return False
    try:
        return ProgramYear.of(date(2000 + int(match[3]), int(match[1]), int(match[2]))) == year
    except ValueError:
        return False


def membership(roster: Roster) -> dict[str, Any]:
    """Members of the open clubs: Active Members and Mem. Base of clubperformance. `averagePerClub` has one digit."""
    members = [club.members for club in roster.open]
    base, known = total([club.base for club in roster.open]), sum(count is not None for count in members)
    return {
        "total": total(members),
        "base": base,
        "netGrowth": total(members) - base,
        "averagePerClub": rounded(total(members), known, 1),
    }


def payments(roster: Roster, summary: Summary) -> dict[str, Any]:
    """Membership payments: sums over all rows of districtperformance, those of suspended clubs too.

    `base` is the district summary's Payment Base; `growthPercent` has two digits.
    """
    sums: dict[str, Any] = {name: total(values) for name, values in roster.payments.items()}
    base = summary.count("Payment Base")
    growth = difference(sums["total"], base)
    return {**sums, "base": base, "growth": growth, "growthPercent": percentage(growth, base, 2)}
