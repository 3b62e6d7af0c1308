"""Taking snapshots and results out, as CSV, JSON lines or Parquet, one at a time whatever their number."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import IO

from backfill.domain import ReportName
from backfill.errors import BackfillError
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.export.formats import write_csv, write_json_lines, write_parquet
from backfill.transfer.export.sources import ExportSource, ResultSource, SnapshotSource

__all__ = ["Format", "What", "export"]


class What(StrEnum):
    SNAPSHOTS = "snapshots"
    ANALYTICS = "analytics"


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def is_text(self) -> bool:
        return self is not Format.PARQUET


def export(
    history: HistoryQueries,
    what: What,
    kind: Format,
    wanted: Selection,
    out: IO[bytes],
    *,
    report: ReportName = ReportName.CLUBS,
    on_problem: Callable[[str, BackfillError], None],
) -> int:
    """Write what is wanted to `out`, and say how many records that were.

    `report`: of snapshots, the one whose rows are written. What cannot be read is left out, and told by its key and
    why. Raises ExportUnavailable where a format needs a package that is not there.
    """
    source: ExportSource = (
        SnapshotSource(history, wanted, report, on_problem)
        if what is What.SNAPSHOTS
        else ResultSource(history, wanted, on_problem)
    )
    write = {Format.CSV: write_csv, Format.JSONL: write_json_lines, Format.PARQUET: write_parquet}[kind]
    return write(source, out)
