"""The command `export --dataset`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from django.core.management.base import CommandError

from backfill.cli import formatting
from backfill.cli.arguments import Options
from backfill.cli.output import ConsoleOutput
from backfill.cli.transfer import EXIT_SKIPPED
from backfill.errors import BackfillError
from backfill.service.queries import HistoryQueries
from backfill.transfer.dataset import DatasetFormat, PartitionState, YearReport, write_dataset

_OF_RECORDS = ("what", "report", "output", "from", "to", "district")
"""Options that apply to the export of records only."""


def run_dataset(history: HistoryQueries, console: ConsoleOutput, options: Options) -> int:
    """Return the exit code: EXIT_SKIPPED if the dataset lacks stored snapshots."""
    if given := [f"--{name}" for name in _OF_RECORDS if options[name]]:
        raise CommandError(f"--dataset writes the whole history. Leave out {', '.join(given)}.")
    if not options["dataset"].strip():
        raise CommandError("--dataset is empty. Name a folder.")
    skipped = 0

    def note_skipped(key: str, problem: BackfillError) -> None:
        nonlocal skipped
        skipped += 1
        console.note(f"Skipped {key}: {problem.message}")

    report = write_dataset(
        history.storage,
        Path(options["dataset"]).expanduser(),
        _format(options),
        on_year=lambda year: console.say(_year_line(year)),
        on_problem=note_skipped,
    )
    for path in report.foreign_files:
        console.note(f"{path} is not part of the dataset and was left alone. Readers of the table may read it.")
    if report.without_result:
        console.note(
            f"{formatting.count(report.without_result, 'snapshot')} without analytics of the present content left out. "
            f"To compute them, run: {formatting.COMMAND} start --type analytics-generation"
        )
    if skipped:
        console.note(f"{formatting.count(skipped, 'item')} could not be read: the dataset is incomplete.")
    return EXIT_SKIPPED if skipped or report.without_result else 0


def _format(options: Options) -> DatasetFormat:
    name = options["format"] or ("csv" if options["for_spreadsheets"] else "parquet")
    if name not in {"parquet", "csv"}:
        raise CommandError(f"--format of a dataset must be parquet or csv; it was {name[:40]!r}.")
    if options["for_spreadsheets"]:
        if name != "csv":
            raise CommandError(f"--for-spreadsheets applies to --format csv, not to {name}.")
        return DatasetFormat.SPREADSHEET_CSV
    return DatasetFormat(name)


def _year_line(year: YearReport) -> str:
    if not year.states:
        return f"{year.year}: no current analytics"
    tables = Counter(year.states.values())
    parts = [f"{formatting.count(tables[state], 'table')} {state}" for state in PartitionState if tables[state]]
    rows = f" ({formatting.count(year.rows, 'row')})" if tables[PartitionState.WRITTEN] else ""
    return f"{year.year}: {', '.join(parts)}{rows}"
