"""`export`: where it goes, and what is said of it."""

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
from backfill.errors import BackfillError
from backfill.service.queries import HistoryQueries, Selection
from backfill.transfer.export import Format, What, export

EXIT_LEFT_OUT = 2
"""Something could not be read, and was told and left out."""


def run_export(history: HistoryQueries, console: ConsoleOutput, options: Options) -> int:
    """The exit code."""
    what = arguments.one_of(What, options["what"], "--what")
    kind = arguments.one_of(Format, options["format"], "--format")
    wanted = Selection(
        first=arguments.day(options["from"], "--from"),
        last=arguments.day(options["to"], "--to"),
        districts=frozenset(arguments.districts(options["district"])),
    )
    report = arguments.one_of(ReportName, options["report"], "--report")
    left_out = 0

    def tell(key: str, problem: BackfillError) -> None:
        nonlocal left_out
        left_out += 1
        console.note(f"Left out {key}: {problem.message}")

    with _destination(options["output"], kind, console) as out:
        count = export(history, what, kind, wanted, out, report=report, on_problem=tell)
    name = options["output"] or "standard output"
    console.note(f"{formatting.count(count, 'record')} written to {name}.")
    if not left_out:
        return 0
    console.note(
        f"{formatting.count(left_out, 'item')} could not be read and {'is' if left_out == 1 else 'are'} missing."
    )
    return EXIT_LEFT_OUT


@contextmanager
def _destination(output: str | None, kind: Format, console: ConsoleOutput) -> Iterator[IO[bytes]]:
    """A file that appears whole or not at all, or standard output."""
    if output is None:
        if not kind.is_text and sys.stdout.isatty():
            raise CommandError("Parquet is no text; name a file with --output, or send it through a pipe.")
        with console.binary_out() as out:
            yield out
        return
    target = Path(output).resolve()  # a link stays, and what it leads to is replaced
    if target.exists() and not target.is_file():  # a folder, or a device, which it would take the place of
        raise CommandError(f"{target} is there already and is no file. Name one, or send it through a pipe.")
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
    """Which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
