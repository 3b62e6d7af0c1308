"""What a result is computed from: parsed reports and the facts about them. Nothing here is fetched or stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backfill.domain import ProgramYear, normalise_column, normalised_district
from backfill.errors import BackfillError


class UnreadableSnapshot(BackfillError):
    """A result cannot be computed from the snapshot at all; the sentence names the report and what is wrong."""

    code = "UNREADABLE_SNAPSHOT"


def normalised_cells(row: Mapping[str, str]) -> dict[str, str]:
    """A row by its folded column names; the first of two columns of one name counts."""
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
    begin = normalise_column(prefix)
    return tuple(at for name, at in _positions(columns).items() if name.startswith(begin))


@dataclass(frozen=True, slots=True)
class Table:
    """A report's cells as they stand. Raises UnreadableSnapshot where a row is not as long as the header."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if any(map(len(self.columns).__ne__, map(len, self.rows))):
            raise UnreadableSnapshot("A row does not have as many cells as its report's header; collect this day anew.")

    def position(self, column: str) -> int | None:
        """Where a column stands, by its name without regard to case and spaces; None where there is none."""
        return _positions(self.columns).get(normalise_column(column))

    def positions_of_prefix(self, prefix: str) -> list[int]:
        """As `position`, by how the name begins, from left to right."""
        return list(_positions_of_prefix(self.columns, prefix))

    def needed(self, report: str, *columns: str) -> list[int]:
        """The positions of columns without which nothing can be computed. Raises UnreadableSnapshot naming them all."""
        found = [self.position(column) for column in columns]
        missing = [column for column, at in zip(columns, found, strict=True) if at is None]
        if missing:
            raise UnreadableSnapshot(
                f"{report} is without needed columns: {', '.join(missing)}. The export's format may have changed."
            )
        return [at for at in found if at is not None]

    def require_rows(self, report: str) -> None:
        if not self.rows:
            raise UnreadableSnapshot(f"{report} has no rows; collect this day anew.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictInputs:
    """A district's snapshot and its neighbours."""

    date: dt.date
    district: str
    """Normalised: `01`, `91`, `F`."""
    program_year: ProgramYear
    data_month: dt.date
    """The last day of the month that the figures are for."""
    as_of: dt.date
    is_final: bool
    """It is the close of its month."""
    source_hash: str
    clubs: Table
    """The rows of clubperformance."""
    districts: Table
    """The rows of districtperformance."""
    divisions: Table
    """The rows of divisionperformance."""
    summary: Mapping[str, str] | None = None
    """This district's row of the date's district summary, by the report's column names; None where there is none."""
    is_summary_repeated: bool = False
    """The district summary has more than one row of this district, with the same figures."""
    are_dates_blank: bool = False
    """The charter and suspend dates are blank in every row of every district of the date."""
    world_line: Mapping[str, Any] | None = None
    """This district's entry of the date's world result."""
    previous: Mapping[str, Any] | None = None
    """The `point` of the same data month's last snapshot of the program year before."""
    previous_clubs: Collection[str] | None = None
    """The open clubs of that snapshot, as `open_clubs` gives them; None where they are not known."""
    previous_error: str = ""
    """Why there is no point although there is a snapshot; empty where that is not so."""


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

    A district that stands twice with the same figures is one. Raises UnreadableSnapshot where there is no row, no
    DISTRICT column, or a row names no district or one named before with other figures.
    """
    return _read_summary(summary)[0]


def repeated_districts(summary: Table) -> frozenset[str]:
    """The districts that stand more than once in a district summary, with the same figures. Raises as above."""
    return _read_summary(summary)[1]


def _read_summary(summary: Table) -> tuple[dict[str, dict[str, str]], frozenset[str]]:
    summary.require_rows("districtsummary")
    (at,) = summary.needed("districtsummary", "DISTRICT")
    lines: dict[str, dict[str, str]] = {}
    repeated: set[str] = set()
    for row in sorted(summary.rows, key=tuple):  # which of two equal rows is kept does not depend on their order
        try:
            district = normalised_district(row[at])
        except ValueError as exc:
            raise UnreadableSnapshot(
                f'districtsummary has a row for "{row[at].strip()[:20]}", which is no district; collect this day anew.'
            ) from exc
        line = dict(zip(summary.columns, row, strict=True))
        if district in lines:
            if _figures(lines[district]) != _figures(line):
                raise UnreadableSnapshot(
                    f"districtsummary has two rows for district {district} that differ; collect this day anew."
                )
            repeated.add(district)
            continue
        lines[district] = line
    return lines, frozenset(repeated)


def _figures(line: Mapping[str, str]) -> dict[str, str]:
    """The cells of a summary row that are about the district, without those that name it."""
    return {
        name: " ".join(cell.split())
        for name, cell in line.items()
        if normalise_column(name) not in ("district", "region")
    }
