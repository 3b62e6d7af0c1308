"""The inputs of a result: parsed reports and their metadata."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backfill.domain import ProgramYear, normalise_column, normalised_district
from backfill.errors import BackfillError


class UnreadableSnapshot(BackfillError):
    """No result can be computed from a snapshot. The message names the report and the problem."""

    code = "UNREADABLE_SNAPSHOT"


def normalised_cells(row: Mapping[str, str]) -> dict[str, str]:
    """A row by normalised column names. The first of two columns with the same name is used."""
    cells: dict[str, str] = {}
    for column, cell in row.items():
        cells.setdefault(normalise_column(column), cell)
    return cells


@lru_cache(maxsize=256)
def _positions(columns: tuple[str, ...]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for position, column in enumerate(columns):
        found.setdefault(normalise_column(column), position)
    return found


@lru_cache(maxsize=256)
def _positions_of_prefix(columns: tuple[str, ...], prefix: str) -> tuple[int, ...]:
    normalised = normalise_column(prefix)
    return tuple(at for name, at in _positions(columns).items() if name.startswith(normalised))


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a report. Raises UnreadableSnapshot if a row has another length than the header."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if any(map(len(self.columns).__ne__, map(len, self.rows))):
            raise UnreadableSnapshot(
                "A row has another number of cells than the header of its report; collect this date again."
            )

    def position(self, column: str) -> int | None:
        """The position of a column, ignoring case and extra spaces in its name; None if it is missing."""
        return _positions(self.columns).get(normalise_column(column))

    def positions_of_prefix(self, prefix: str) -> list[int]:
        """The positions of the columns whose names start with a prefix, from left to right."""
        return list(_positions_of_prefix(self.columns, prefix))

    def needed(self, report: str, *columns: str) -> list[int]:
        """The positions of required columns. Raises UnreadableSnapshot with the names of missing ones."""
        found = [self.position(column) for column in columns]
        missing = [column for column, at in zip(columns, found, strict=True) if at is None]
        if missing:
            raise UnreadableSnapshot(
                f"{report} lacks required columns: {', '.join(missing)}. The format of the export may have changed."
            )
        return [at for at in found if at is not None]

    def require_rows(self, report: str) -> None:
        if not self.rows:
            raise UnreadableSnapshot(f"{report} has no rows; collect this date again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictInputs:
    """A district's snapshot and the other inputs of its result."""

    date: dt.date
    district: str
    """Normalised: `01`, `91`, `F`."""
    program_year: ProgramYear
    data_month: dt.date
    """The last day of the month that the figures are for."""
    as_of: dt.date
    is_final: bool
    """Whether it is the final close of its month."""
    source_hash: str
    clubs: Table
    """The rows of clubperformance."""
    districts: Table
    """The rows of districtperformance."""
    divisions: Table
    """The rows of divisionperformance."""
    summary: Mapping[str, str] | None = None
    """This district's row of the date's district summary, by the report's column names; None if missing."""
    is_summary_repeated: bool = False
    """The district summary has more than one row of this district, with the same figures."""
    are_dates_blank: bool = False
    """The charter and suspend dates are blank in every row of every district of the date."""
    world_line: Mapping[str, Any] | None = None
    """This district's entry of the date's world result."""
    previous: Mapping[str, Any] | None = None
    """The `point` of the last snapshot of the same data month of the previous program year."""
    previous_clubs: Collection[str] | None = None
    """The open clubs of that snapshot, as returned by `open_clubs`; None if unknown."""
    previous_error: str = ""
    """Why that snapshot has no point; empty if it has one or there is no snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldInputs:
    """A date's district summary."""

    date: dt.date
    data_month: dt.date
    as_of: dt.date
    is_final: bool
    source_hash: str
    summary: Table


def summary_lines(summary: Table) -> dict[str, dict[str, str]]:
    """The rows of a district summary by normalised district id, each by the report's column names.

    Rows of a district with equal figures count once. Raises UnreadableSnapshot if there are no rows, the DISTRICT
    column is missing, a row names no district, or two rows of a district differ.
    """
    return _read_summary(summary)[0]


def repeated_districts(summary: Table) -> frozenset[str]:
    """The districts with several rows of equal figures in a summary. Raises the same errors as `summary_lines`."""
    return _read_summary(summary)[1]


def _read_summary(summary: Table) -> tuple[dict[str, dict[str, str]], frozenset[str]]:
    summary.require_rows("districtsummary")
    (at,) = summary.needed("districtsummary", "DISTRICT")
    lines: dict[str, dict[str, str]] = {}
    repeated: set[str] = set()
    for row in sorted(summary.rows, key=tuple):  # the choice between equal rows does not depend on their order
        try:
            district = normalised_district(row[at])
        except ValueError as exc:
            raise UnreadableSnapshot(
                f'districtsummary has a row for "{row[at].strip()[:20]}", which is no district; collect it again.'
            ) from exc
        line = dict(zip(summary.columns, row, strict=True))
        if district in lines:
            if _figures(lines[district]) != _figures(line):
                raise UnreadableSnapshot(
                    f"districtsummary has two different rows for district {district}; collect this date again."
                )
            repeated.add(district)
            continue
        lines[district] = line
    return lines, frozenset(repeated)


def _figures(line: Mapping[str, str]) -> dict[str, str]:
    """The cells of a summary row without those that name the district and region."""
    return {
        name: " ".join(cell.split())
        for name, cell in line.items()
        if normalise_column(name) not in ("district", "region")
    }
