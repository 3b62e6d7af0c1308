"""The command `import`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rich.console import RenderableType

from backfill.cli import arguments, formatting
from backfill.cli.arguments import Options
from backfill.cli.count_display import CountDisplay
from backfill.cli.output import ConsoleOutput
from backfill.service.commands import BackfillService
from backfill.transfer.imports import HARMLESS, FileImport, ImportProgress, ImportReason

EXIT_NOT_IMPORTED = 2
"""Some files are neither stored nor superseded; a message names each."""

_LISTED = 20
"""Files of one reason in the text output; --json contains all."""


def run_import(service: BackfillService, console: ConsoleOutput, options: Options) -> int:
    """Return the exit code."""
    is_dry_run = options["dry_run"]
    display = CountDisplay(console.err)

    def show(progress: ImportProgress) -> None:
        sentence = f"{progress.done:,} of {formatting.count(progress.total, progress.unit)} "
        display.show(sentence + ("read" if progress.unit == "file" else "stored"), progress.done, progress.total)

    with FileImport(service.storage, service.now, show) as imported:
        try:
            imported.run(options["path"], by=arguments.actor(options), is_dry_run=is_dry_run)
        finally:
            display.stop()
        if console.is_json:
            console.json(_document(imported, is_dry_run=is_dry_run))
        else:
            console.say(*_view(imported, is_dry_run=is_dry_run))
        return 0 if HARMLESS.issuperset(imported.counts()) else EXIT_NOT_IMPORTED


def _document(imported: FileImport, *, is_dry_run: bool) -> dict[str, Any]:
    counts = imported.counts()
    return {
        "isDryRun": is_dry_run,
        "snapshots": imported.snapshots(),
        "files": {"total": sum(counts.values()), **counts},
        "notImported": [
            {"path": path, "reason": reason, "message": message}
            for reason in counts
            if reason not in {ImportReason.IMPORTED, ImportReason.STORED}
            for path, message in imported.listed(reason)
        ],
    }


def _view(imported: FileImport, *, is_dry_run: bool) -> Iterator[RenderableType]:
    counts = imported.counts()
    verb = "would be stored" if is_dry_run else "stored"
    files = formatting.count(sum(counts.values()), "file")
    yield f"{formatting.count(imported.snapshots(), 'snapshot')} {verb} from {files}."
    for reason, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        yield f"  {count:>9,} {reason}"
    for reason, count in counts.items():
        if reason in {ImportReason.IMPORTED, ImportReason.STORED}:
            continue
        yield f"\n{reason}: {formatting.count(count, 'file')}"
        for path, message in islice(imported.listed(reason), _LISTED):
            yield f"  {path}: {message}"
        if count > _LISTED:
            yield f"  and {count - _LISTED:,} more; --json lists all"
    if is_dry_run:
        yield "Dry run: nothing was stored."
