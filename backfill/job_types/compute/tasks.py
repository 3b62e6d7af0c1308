"""From a snapshot to its result: pure functions over values that can be sent to another process."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backfill.analytics import (
    CHARTER_COLUMN,
    DistrictSource,
    Table,
    WorldSource,
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
    """A snapshot and what stands beside it."""

    snapshot: Snapshot
    """With the bytes of its reports."""
    summary: Mapping[str, str] | None = None
    """The district's row of the date's summary."""
    world_line: Mapping[str, Any] | None = None
    """The district's line of the date's world result."""
    previous: Mapping[str, Any] | Snapshot | None = None
    """The point of the program year before, or the snapshot to compute it from."""
    previous_clubs: Sequence[str] | None = None
    """The open clubs beside that point; of a snapshot they are computed."""
    is_summary_repeated: bool = False
    """The date's summary has more than one row of the district, with the same figures."""
    are_dates_blank: bool = False
    """The charter and suspend dates are blank in every row of every district of the date."""


@dataclass(frozen=True, slots=True)
class ComputeOutput:
    """A result as JSON, and what of it is looked up without reading it."""

    body: bytes
    point: Mapping[str, Any] | None
    quality: Mapping[str, int]
    clubs: tuple[str, ...] = ()
    """The open clubs of a district."""


@dataclass(frozen=True, slots=True)
class WorldContext:
    """A date's summary, read once for all its districts."""

    rows: Mapping[str, Mapping[str, str]]
    repeated: frozenset[str]
    """Districts with more than one row, of the same figures."""
    result: Mapping[str, Any]

    @property
    def lines(self) -> Mapping[str, Mapping[str, Any]]:
        districts: Mapping[str, Mapping[str, Any]] = self.result["districts"]
        return districts


def compute(sources: Sequence[ComputeInput]) -> list[ComputeOutput | Exception]:
    """The result of each, or why there is none: a BackfillError that says it, else a fault of this program."""
    return [_attempted(source) for source in sources]


def _attempted(source: ComputeInput) -> ComputeOutput | Exception:
    try:
        return _computed(source)
    except BackfillError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - one item must not take along its bundle; the caller reports it
        return exc


def _computed(source: ComputeInput) -> ComputeOutput:
    if source.snapshot.district == SUMMARY:
        return ComputeOutput(_as_json(world_of(source.snapshot).result), None, {})
    previous, clubs, trouble = source.previous, source.previous_clubs, ""
    if isinstance(previous, Snapshot):
        try:
            before = _district(ComputeInput(snapshot=previous), None, None)
            previous, clubs = before["point"], open_clubs(before)
        except BackfillError as exc:  # that is a failure of its own item, not of this one
            trouble = f"the snapshot of {previous.date} cannot be read: {exc.message}"
            previous = None
    result = _district(source, previous, clubs, trouble)
    quality = dict(Counter(note["code"] for note in result["quality"]))
    return ComputeOutput(_as_json(result), result["point"], quality, open_clubs(result))


def world_of(snapshot: Snapshot) -> WorldContext:
    """Raises DashboardError or UnreadableSnapshot where the summary cannot be read."""
    summary = _table(snapshot, ReportName.SUMMARY)
    source = WorldSource(
        date=snapshot.date,
        data_month=snapshot.data_month,
        as_of=snapshot.as_of,
        is_final=snapshot.is_final,
        source_hash=snapshot.content_hash,
        summary=summary,
    )
    return WorldContext(summary_lines(summary), repeated_districts(summary), world_result(source))


def open_clubs_of(snapshot: Snapshot) -> tuple[str, ...]:
    """As `open_clubs` of its result. Raises DashboardError or UnreadableSnapshot where it cannot be read."""
    return read_open_clubs(_table(snapshot, ReportName.CLUBS))


def has_dates(snapshot: Snapshot) -> bool:
    """Whether any club of a district has a charter or suspend date. Raises as `open_clubs_of`."""
    if snapshot.district == SUMMARY:
        return False
    table = _table(snapshot, ReportName.DISTRICT)
    at = table.position(CHARTER_COLUMN)
    return at is not None and any(row[at].strip() for row in table.rows)


def _district(
    source: ComputeInput, previous: Mapping[str, Any] | None, clubs: Collection[str] | None, trouble: str = ""
) -> dict[str, Any]:
    snapshot = source.snapshot
    return district_result(
        DistrictSource(
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
            summary=source.summary,
            world_line=source.world_line,
            previous=previous,
            previous_clubs=clubs,
            previous_trouble=trouble,
            is_summary_repeated=source.is_summary_repeated,
            are_dates_blank=source.are_dates_blank,
        )
    )


def _table(snapshot: Snapshot, name: ReportName) -> Table:
    parsed = parse(snapshot.reports[name].content, subject=f"{name} of snapshot {snapshot.date}/{snapshot.district}")
    return Table(parsed.columns, parsed.rows)


def _as_json(result: Mapping[str, Any]) -> bytes:
    return json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
