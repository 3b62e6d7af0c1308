"""Quality: what of a district does not add up, told club by club and figure by figure, never hidden.

Source: the three reports of a district held against each other, and against the district's row of the district summary.
An empty list means that everything reconciled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from backfill.analytics.cells import is_blank, number
from backfill.analytics.inputs import normalised_cells
from backfill.domain import normalise_column


class Code(StrEnum):
    SUMMARY_MISSING = "SUMMARY_MISSING"
    """The date has no district summary, or it has no row of this district."""
    YEAR_BEFORE_UNREADABLE = "YEAR_BEFORE_UNREADABLE"
    """The snapshot to compare with cannot be read; there is no comparison."""
    SUMMARY_DIFFERS = "SUMMARY_DIFFERS"
    """A sum over the clubs is not what the summary says."""
    COLUMN_MISSING = "COLUMN_MISSING"
    """A column that can be done without is not there; what comes from it is null."""
    COLUMN_BLANK = "COLUMN_BLANK"
    """A column is blank in every row; what comes from it is null."""
    COLUMN_TWICE = "COLUMN_TWICE"
    """A report has a column under its old and its new name; the one with figures counts."""
    CELL_BLANK = "CELL_BLANK"
    """A cell that should hold a figure is empty or `N/A`; it is left out of sums."""
    CELL_UNREADABLE = "CELL_UNREADABLE"
    """A cell holds what is no figure; it is left out of sums."""
    CLUB_MISSING = "CLUB_MISSING"
    """A club stands in another report but not in this one."""
    CLUB_TWICE = "CLUB_TWICE"
    """A report has more than one row of a club, and the rows differ; each is kept."""
    ROW_REPEATED = "ROW_REPEATED"
    """A report has rows that are the same to the letter; they count once."""
    CLUB_WITHOUT_NUMBER = "CLUB_WITHOUT_NUMBER"
    """A row has no club number, or what is none; it is kept, and matched between reports by what stands there."""
    UNKNOWN_STATUS = "UNKNOWN_STATUS"
    """None of Active, Low, Ineligible, Suspended; the club counts in the total only."""
    UNKNOWN_LEVEL = "UNKNOWN_LEVEL"
    """A distinguished code that is none of D, S, P, M; it counts in no level."""
    GOALS_DIFFER = "GOALS_DIFFER"
    """The ten goal columns do not add up to Goals Met; Goals Met is what is used."""
    ROWS_DIFFER = "ROWS_DIFFER"
    """The rows of an area or a division do not agree about it; the figure is null."""


_FLAGS = {"Y": True, "N": False}


class Notes:
    """The list of quality in the making, in the order in which it is found."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def add(
        self,
        code: Code,
        message: str,
        *,
        club: str | None = None,
        expected: int | None = None,
        found: int | str | None = None,
    ) -> None:
        """`expected` is what the dashboard says of itself, `found` what the rows give, or the cell as it stands."""
        self.found.append(
            {"code": code.value, "message": message, "clubNumber": club or None, "expected": expected, "found": found}
        )

    def cell(self, where: str, cell: str, *, club: str | None = None) -> None:
        """A cell that gave no figure. `where` names its column (and its report or unit, if need be)."""
        if is_blank(cell):
            self.add(Code.CELL_BLANK, f"{where} is blank; it is left out.", club=club, found=cell.strip())
        else:
            text = cell.strip()[:40]
            self.add(
                Code.CELL_UNREADABLE,
                f'{where} is "{text}", which cannot be read; it is left out.',
                club=club,
                found=text,
            )

    def column(self, report: str, *columns: str) -> None:
        """Columns that can be done without and are not there."""
        names = ", ".join(columns)
        self.add(Code.COLUMN_MISSING, f"{report} is without the columns: {names}. What comes from them is null.")

    def numbers(self, where: str, cells: Sequence[str], clubs: Iterable[str]) -> list[int | None]:
        """The counts of a column; each cell that gives none is noted for its club."""
        values = [number(cell) for cell in cells]
        if None in values:
            for value, cell, club in zip(values, cells, clubs, strict=True):
                if value is None:
                    self.cell(where, cell, club=club)
        return values


class Summary:
    """This district's row of the district summary, read once; every figure is None where there is no row."""

    def __init__(self, row: Mapping[str, str] | None, notes: Notes) -> None:
        if row is None:
            notes.add(
                Code.SUMMARY_MISSING,
                "The district summary of this date is missing or has no row of this "
                "district; what comes from it is null. Collect the date's summary.",
            )
        self.is_missing = row is None
        self._notes = notes
        self._cells = normalised_cells(row or {})
        self._counts: dict[str, int | None] = {}

    def count(self, column: str) -> int | None:
        """A figure of the row; its absence is noted once."""
        if self.is_missing:
            return None
        if column not in self._counts:
            cell = self._cells.get(normalise_column(column))
            self._counts[column] = None if cell is None else number(cell)
            if cell is None:
                self._notes.column("districtsummary", column)
            elif self._counts[column] is None:
                self._notes.cell(f"{column} of the district summary", cell)
        return self._counts[column]

    def flag(self, column: str) -> bool | None:
        """Whether a Y/N cell of the row is Y; None, with a note, where it is neither."""
        if self.is_missing:
            return None
        cell = self._cells.get(normalise_column(column))
        if cell is None:
            self._notes.column("districtsummary", column)
            return None
        met = _FLAGS.get(cell.strip().upper())
        if met is None:
            self._notes.cell(f"{column} of the district summary", cell)
        return met


def reconcile(
    summary: Summary,
    notes: Notes,
    *,
    payments: Mapping[str, int | None],
    open_clubs: int,
    distinguished: int,
) -> None:
    """Hold the sums over the clubs against the summary: payments, open clubs and distinguished clubs (all counts).

    A sum of which nothing can be read is not compared: its cells have their notes.
    """
    for what, column, found in (
        ("new payments", "New Payments", payments["new"]),
        ("late payments", "Late Payments", payments["late"]),
        ("October payments", "October Payments", payments["october"]),
        ("April payments", "April Payments", payments["april"]),
        ("payments in total", "Total YTD Payments", payments["total"]),
        ("open clubs", "Active Clubs", open_clubs),
        ("distinguished clubs", "Total Distinguished Clubs", distinguished),
    ):
        expected = summary.count(column)
        if expected is not None and found is not None and expected != found:
            notes.add(
                Code.SUMMARY_DIFFERS,
                f"The rows give {found} {what}; the district summary says {expected}.",
                expected=expected,
                found=found,
            )
