"""The commands `export` (of records), `copy` and `backup`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.management.base import CommandError

from backfill.cli import arguments, formatting
from backfill.cli.arguments import Options
from backfill.cli.output import ConsoleOutput
from backfill.domain import ReportName
from backfill.errors import BackfillError, CorruptRecord
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.backup import back_up
from backfill.transfer.copy import copy_storage
from backfill.transfer.export import ExportDataset, ExportFormat, export

EXIT_SKIPPED = 2
"""Some records could not be read or copied; a message named each."""


def run_backup(console: ConsoleOutput, options: Options) -> int:
    """Return the exit code."""
    target = Path(options["file"]).absolute()
    try:
        size = back_up(target)
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    console.note(f"The database was written to {target} ({size:,} bytes). docs/operations.md says how to restore it.")
    return 0


def run_copy(console: ConsoleOutput, options: Options) -> int:
    """Return the exit code."""
    skipped = 0
    try:
        for result in copy_storage(options["from"], options["to"], lambda exc: _note_skipped(console, exc)):
            skipped += result.skipped
            console.say(
                f"{result.kind}: {result.copied:,} copied, {result.present:,} already present, "
                f"{result.skipped:,} skipped"
            )
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    return EXIT_SKIPPED if skipped else 0


def _note_skipped(console: ConsoleOutput, problem: CorruptRecord) -> None:
    console.note(f"Skipped: {problem.message}")


def run_export(history: HistoryQueries, console: ConsoleOutput, options: Options) -> int:
    """Return the exit code."""
    dataset = arguments.one_of(ExportDataset, options["what"] or ExportDataset.ANALYTICS, "--what")
    file_format = arguments.one_of(ExportFormat, options["format"] or ExportFormat.CSV, "--format")
    selection = Selection(
        first=arguments.day(options["from"], "--from"),
        last=arguments.day(options["to"], "--to"),
        districts=frozenset(arguments.districts(options["district"])),
    )
    report = arguments.one_of(ReportName, options["report"] or ReportName.CLUBS, "--report")
    if options["for_spreadsheets"] and file_format is not ExportFormat.CSV:
        raise CommandError(f"--for-spreadsheets applies to --format csv, not to {file_format}.")
    skipped = 0

    def note_skipped(key: str, problem: BackfillError) -> None:
        nonlocal skipped
        skipped += 1
        console.note(f"Skipped {key}: {problem.message}")

    with _destination(options["output"], file_format, console) as out:
        count = export(
            history,
            dataset,
            file_format,
            selection,
            out,
            report=report,
            for_spreadsheets=options["for_spreadsheets"],
            on_problem=note_skipped,
        )
    name = options["output"] or "standard output"
    console.note(f"{formatting.count(count, 'record')} written to {name}.")
    if not skipped:
        return 0
    console.note(f"{formatting.count(skipped, 'item')} could not be read: the export is incomplete.")
    return EXIT_SKIPPED


@contextmanager
def _destination(output: str | None, file_format: ExportFormat, console: ConsoleOutput) -> Iterator[IO[bytes]]:
    """Open standard output, or a temporary file that replaces `output` when it is complete."""
    if output is None:
        if not file_format.is_text and sys.stdout.isatty():
            raise CommandError("Parquet is a binary format; name a file with --output, or use a pipe.")
        with console.binary_out() as out:
            yield out
        return
    target = Path(output).resolve()  # the target of a symbolic link is replaced, not the link
    if target.exists() and not target.is_file():  # a directory or a device must not be replaced
        raise CommandError(f"{target} exists and is not a file. Name a file, or use a pipe.")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as exc:
        raise CommandError(f"{target} cannot be written: {exc.strerror}.") from exc
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except OSError as exc:
        raise CommandError(f"{target} cannot be written: {exc.strerror}.") from exc
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)  # the only way to read it is to set it
    os.umask(mask)
    return mask
