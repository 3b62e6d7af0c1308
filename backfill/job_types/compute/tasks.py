"""Pure functions that compute the result of a snapshot. Their arguments and results can be pickled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from backfill.analytics import (
    CHARTER_COLUMN,
    ClubFigures,
    DistrictInputs,
    Table,
    WorldInputs,
    club_figures,
    district_result,
    open_clubs,
    read_open_clubs,
    repeated_districts,
    summary_lines,
    world_result,
)
from backfill.dashboard.reports import parse
from backfill.domain import SUMMARY, ReportName, Snapshot
from backfill.errors import BackfillError


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeInput:
    """A snapshot and the values that its result also depends on."""

    snapshot: Snapshot
    """Includes the bytes of its reports."""
    summary: Mapping[str, str] | None = None
    """The district's row in the summary of the date."""
    world_line: Mapping[str, Any] | None = None
    """The district's entry in the world result of the date."""
    previous: Mapping[str, Any] | Snapshot | None = None
    """The point of the previous program year, or the snapshot to compute it from."""
    previous_clubs: Sequence[str] | None = None
    """The open clubs of that point. They are computed if `previous` is a snapshot."""
    is_summary_repeated: bool = False
    """The summary of the date has more than one row of the district, with equal figures."""
    are_dates_blank: bool = False
    """The charter and suspend dates are blank in every row of every district of the date."""


@dataclass(frozen=True, slots=True)
class ComputeOutput:
    """A result as JSON, and the parts of it that are stored separately."""

    body: bytes
    point: Mapping[str, Any] | None
    quality: Mapping[str, int]
    clubs: tuple[str, ...] = ()
    """The open clubs of a district."""


Results = list[ComputeOutput | Exception]
"""An output or an error for each input: a BackfillError for unreadable data, otherwise an unexpected exception."""


@dataclass(frozen=True, slots=True)
class WorldContext:
    """The summary of a date, parsed once for all districts."""

    rows: Mapping[str, Mapping[str, str]]
    repeated: frozenset[str]
    """Districts with more than one row; the rows are equal."""
    result: Mapping[str, Any]

    @property
    def lines(self) -> Mapping[str, Mapping[str, Any]]:
        districts: Mapping[str, Mapping[str, Any]] = self.result["districts"]
        return districts


def compute(inputs: Sequence[ComputeInput]) -> Results:
    """Compute the result of each input. Errors are returned, so that one item does not fail its bundle."""
    return [_output_or_error(one) for one in inputs]


def _output_or_error(one: ComputeInput) -> ComputeOutput | Exception:
    try:
        return _output(one)
    except Exception as exc:  # noqa: BLE001 - the caller reports it as the outcome of the item
        return exc


def _output(compute_input: ComputeInput) -> ComputeOutput:
    if compute_input.snapshot.district == SUMMARY:
        return ComputeOutput(as_json(world_of(compute_input.snapshot).result), None, {})
    previous, clubs, previous_error = compute_input.previous, compute_input.previous_clubs, ""
    if isinstance(previous, Snapshot):
        try:
            before = _district(ComputeInput(snapshot=previous), None, None)
            previous, clubs = before["point"], open_clubs(before)
        except BackfillError as exc:  # the item of that snapshot fails, and this one lacks a comparison
            previous_error = f"the snapshot of {previous.date} cannot be read: {exc.message}"
            previous = None
    result = _district(compute_input, previous, clubs, previous_error)
    quality = dict(Counter(note["code"] for note in result["quality"]))
    return ComputeOutput(as_json(result), result["point"], quality, open_clubs(result))


def world_of(snapshot: Snapshot) -> WorldContext:
    """Parse a summary. Raises DashboardError or UnreadableSnapshot if it is unreadable."""
    summary = _table(snapshot, ReportName.SUMMARY)
    inputs = WorldInputs(
        date=snapshot.date,
        data_month=snapshot.data_month,
        as_of=snapshot.as_of,
        is_final=snapshot.is_final,
        source_hash=snapshot.content_hash,
        summary=summary,
    )
    return WorldContext(summary_lines(summary), repeated_districts(summary), world_result(inputs))


def open_clubs_of(snapshot: Snapshot) -> tuple[str, ...]:
    """The same as `open_clubs` of its result. Raises DashboardError or UnreadableSnapshot if it is unreadable."""
    return read_open_clubs(_table(snapshot, ReportName.CLUBS))


def club_figures_of(snapshot: Snapshot) -> list[ClubFigures]:
    """The figures of the clubs of a district. Raises DashboardError or UnreadableSnapshot if it is unreadable."""
    return club_figures(_inputs(ComputeInput(snapshot=snapshot)))


def has_dates(snapshot: Snapshot) -> bool:
    """Whether any club of a district has a charter or suspend date. Raises the same errors as `open_clubs_of`."""
    if snapshot.district == SUMMARY:
        return False
    table = _table(snapshot, ReportName.DISTRICT)
    at = table.position(CHARTER_COLUMN)
    return at is not None and any(row[at].strip() for row in table.rows)


def _district(
    compute_input: ComputeInput,
    previous: Mapping[str, Any] | None,
    clubs: Collection[str] | None,
    previous_error: str = "",
) -> dict[str, Any]:
    return district_result(_inputs(compute_input, previous, clubs, previous_error))


def _inputs(
    compute_input: ComputeInput,
    previous: Mapping[str, Any] | None = None,
    clubs: Collection[str] | None = None,
    previous_error: str = "",
) -> DistrictInputs:
    """The inputs of a district's result. `previous` and `clubs` are the point of the year before and its open clubs."""
    snapshot = compute_input.snapshot
    return DistrictInputs(
        date=snapshot.date,
        district=snapshot.district,
        program_year=snapshot.program_year,
        data_month=snapshot.data_month,
        as_of=snapshot.as_of,
        is_final=snapshot.is_final,
        source_hash=snapshot.content_hash,
        clubs=_table(snapshot, ReportName.CLUBS),
        districts=_table(snapshot, ReportName.DISTRICT),
        divisions=_table(snapshot, ReportName.DIVISIONS),
        summary=compute_input.summary,
        world_line=compute_input.world_line,
        is_summary_repeated=compute_input.is_summary_repeated,
        are_dates_blank=compute_input.are_dates_blank,
        previous=previous,
        previous_clubs=clubs,
        previous_error=previous_error,
    )


def _table(snapshot: Snapshot, name: ReportName) -> Table:
    parsed = parse(snapshot.reports[name].content, subject=f"{name} of snapshot {snapshot.date}/{snapshot.district}")
    return Table(parsed.columns, parsed.rows)


def as_json(result: Mapping[str, Any]) -> bytes:
    """The same bytes as `json.dumps` with the shortest separators and without escapes for other scripts than ASCII."""
    return orjson.dumps(result)
