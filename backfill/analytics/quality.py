"""Quality notes: contradictions and gaps in the figures of a district.

Source: the three reports of a district compared with each other and with the district's row of the district summary.
An empty list means that all figures agree.
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
    """The date has no district summary, or the summary has no row of this district."""
    YEAR_BEFORE_UNREADABLE = "YEAR_BEFORE_UNREADABLE"
    """The snapshot to compare with is unreadable; there is no comparison."""
    SUMMARY_DIFFERS = "SUMMARY_DIFFERS"
    """A sum over the clubs differs from the summary."""
    COLUMN_MISSING = "COLUMN_MISSING"
    """An optional column is missing; dependent values are null."""
    COLUMN_BLANK = "COLUMN_BLANK"
    """A column is blank in every row; dependent values are null."""
    COLUMN_TWICE = "COLUMN_TWICE"
    """A report has a column under its old and its new name; the one with figures is used."""
    CELL_BLANK = "CELL_BLANK"
    """A cell that should hold a figure is empty or `N/A`; it is omitted from sums."""
    CELL_UNREADABLE = "CELL_UNREADABLE"
    """A cell is not a figure; it is omitted from sums."""
    CLUB_MISSING = "CLUB_MISSING"
    """A club of another report is missing from this one."""
    CLUB_TWICE = "CLUB_TWICE"
    """A report has different rows of a club; each is kept."""
    ROW_REPEATED = "ROW_REPEATED"
    """A report has identical rows; they count once."""
    CLUB_WITHOUT_NUMBER = "CLUB_WITHOUT_NUMBER"
    """A row has no valid club number; it is kept and matched between reports by that text or its name."""
    UNKNOWN_STATUS = "UNKNOWN_STATUS"
    """A status other than Active, Low, Ineligible, Suspended; the club counts in the total only."""
    UNKNOWN_LEVEL = "UNKNOWN_LEVEL"
    """A distinguished code other than D, S, P, M; the club counts in no level."""
    GOALS_DIFFER = "GOALS_DIFFER"
    """The ten goal columns do not add up to Goals Met; Goals Met is used."""
    ROWS_DIFFER = "ROWS_DIFFER"
    """The rows of an area or a division contradict each other; the figure is null."""


_FLAGS = {"Y": True, "N": False}


class Notes:
    """Collects quality notes in the order in which they are found."""

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
        """`expected` is the figure that the dashboard reports, `found` that of the rows or the text of the cell."""
        self.found.append(
            {"code": code.value, "message": message, "clubNumber": club or None, "expected": expected, "found": found}
        )

    def cell(self, where: str, cell: str, *, club: str | None = None) -> None:
        """Note a cell without a figure. `where` names its column and, if necessary, its report or unit."""
        if is_blank(cell):
            self.add(Code.CELL_BLANK, f"{where} is blank and is left out.", club=club, found=cell.strip())
        else:
            text = cell.strip()[:40]
            self.add(
                Code.CELL_UNREADABLE,
                f'{where} is "{text}", which is unreadable and is left out.',
                club=club,
                found=text,
            )

    def column(self, report: str, *columns: str) -> None:
        """Note missing optional columns."""
        names = ", ".join(columns)
        self.add(Code.COLUMN_MISSING, f"{report} lacks the columns: {names}. The values from them are null.")

    def numbers(self, where: str, cells: Sequence[str], clubs: Iterable[str]) -> list[int | None]:
        """The counts of a column. Each unreadable cell is noted for its club."""
        values = list(map(number, cells))
        if None in values:
            for value, cell, club in zip(values, cells, clubs, strict=True):
                if value is None:
                    self.cell(where, cell, club=club)
        return values


class Summary:
    """The district's row of the district summary. Every figure is None if there is no row."""

    def __init__(self, row: Mapping[str, str] | None, notes: Notes) -> None:
        if row is None:
            notes.add(
                Code.SUMMARY_MISSING,
                "The district summary of this date is missing or has no row of this district; the values from it are "
                "null. Collect the summary of the date.",
            )
        self.is_missing = row is None
        self._notes = notes
        self._cells = normalised_cells(row or {})
        self._counts: dict[str, int | None] = {}

    def count(self, column: str) -> int | None:
        """A figure of the row. A missing figure is noted once."""
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
        """Whether a Y/N cell of the row is Y. Any other text is noted and gives None."""
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
    """Compare the sums over the clubs with the summary: payments, open clubs and distinguished clubs (all counts).

    A sum without any readable cell is not compared; its cells are noted.
    """
    for what, column, found in (
        ("new payments", "New Payments", payments["new"]),
        ("late payments", "Late Payments", payments["late"]),
        ("October payments", "October Payments", payments["october"]),
        ("April payments", "April Payments", payments["april"]),
        ("total payments", "Total YTD Payments", payments["total"]),
        ("open clubs", "Active Clubs", open_clubs),
        ("distinguished clubs", "Total Distinguished Clubs", distinguished),
    ):
        expected = summary.count(column)
        if expected is not None and found is not None and expected != found:
            notes.add(
                Code.SUMMARY_DIFFERS,
                f"The rows add up to {found} {what}; the district summary reports {expected}.",
                expected=expected,
                found=found,
            )
