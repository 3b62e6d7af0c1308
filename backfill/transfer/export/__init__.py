"""Exports snapshots and results as CSV, JSON lines or Parquet. Memory use does not depend on the number of records."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import IO

from backfill.domain import ReportName
from backfill.errors import BackfillError
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.export.formats import write_csv, write_json_lines, write_parquet, write_spreadsheet_csv
from backfill.transfer.export.sources import ExportSource, ResultSource, SnapshotSource

__all__ = ["ExportDataset", "ExportFormat", "export"]


class ExportDataset(StrEnum):
    SNAPSHOTS = "snapshots"
    ANALYTICS = "analytics"


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def is_text(self) -> bool:
        return self is not ExportFormat.PARQUET


def export(
    history: HistoryQueries,
    dataset: ExportDataset,
    file_format: ExportFormat,
    selection: Selection,
    out: IO[bytes],
    *,
    report: ReportName = ReportName.CLUBS,
    for_spreadsheets: bool = False,
    on_problem: Callable[[str, BackfillError], None],
) -> int:
    """Write the selected records to `out` and return their number.

    The texts are raw: those that the dashboard published. `for_spreadsheets` changes the texts of a CSV file that a
    spreadsheet would evaluate. `report` is the report whose rows are written from snapshots. Records that cannot be
    read are skipped; `on_problem` receives their key and the error. Raises ExportUnavailable if the format needs a
    package that is not installed.
    """
    source: ExportSource = (
        SnapshotSource(history, selection, report, on_problem)
        if dataset is ExportDataset.SNAPSHOTS
        else ResultSource(history, selection, on_problem)
    )
    write = {
        ExportFormat.CSV: write_spreadsheet_csv if for_spreadsheets else write_csv,
        ExportFormat.JSONL: write_json_lines,
        ExportFormat.PARQUET: write_parquet,
    }[file_format]
    return write(source, out)
