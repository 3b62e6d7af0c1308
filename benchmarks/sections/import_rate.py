"""The import of saved exports: how fast packed files become snapshots in SQLite."""

from __future__ import annotations

import gzip
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, Section, at_least, at_most, count
from benchmarks.harness import service_for
from benchmarks.isolated import peak_mb

_TODAY = date(2026, 11, 15)
_MONTHS = 9
"""Months of a closed year."""


def _run(bench: Bench) -> None:
    from backfill.domain import Actor, Channel
    from backfill.transfer.imports import FileImport

    def now() -> datetime:
        return datetime.combine(_TODAY, datetime.min.time(), UTC)

    storage = service_for().storage
    with tempfile.TemporaryDirectory() as name:
        files = _write_exports(Path(name), districts=bench.scaled(20, 3))
        for is_repeated in (False, True):
            began, cpu = time.perf_counter(), time.process_time()
            with FileImport(storage, now, lambda _: None) as imported:
                imported.run([name], by=Actor("bench", Channel.CLI), is_dry_run=False)
                seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
                if is_repeated:
                    assert imported.counts() == {"stored": files}, imported.counts()
                    bench.report("repeated", files / seconds)
                else:
                    assert imported.counts() == {"imported": files}, imported.counts()
                    bench.report("snapshots", imported.snapshots())
                    bench.report("rate", imported.snapshots() / seconds)
                    bench.report("rate-per-cpu-second", imported.snapshots() / cpu_seconds)
        bench.report("memory", peak_mb())


def _write_exports(folder: Path, districts: int) -> int:
    """Write the closes of a program year; return the number of files."""
    from sample_dashboard.program_year import ProgramYear
    from sample_dashboard.world import SampleWorld

    world, year, files = SampleWorld(_TODAY, districts=districts, clubs=110), ProgramYear(2024), 0
    for month in world.months(year)[1 : _MONTHS + 1]:  # June has its own rules
        end = year.month_end(month)
        close = world.close_of(end)
        days = f"{end.month}/{end.day}/{end.year}~{close.month}/{close.day}/{close.year}~{year}"
        for report in ("clubperformance", "districtperformance", "divisionperformance"):
            for district in world.districts_of(year):
                content = world.report(f"{report}~{district}~{days}", year)
                assert content is not None
                (folder / f"{files}.csv.gz").write_bytes(gzip.compress(content))
                files += 1
    return files


SECTION = Section(
    "import",
    "The import of exports as .csv.gz into SQLite: districts of 110 clubs, two snapshots for each close",
    _run,
    (
        count("snapshots", "snapshots stored"),
        Figure("rate", "snapshots stored, by the clock", "/s", at_least(150)),
        Figure("rate-per-cpu-second", "the same per second of CPU time", "/s", at_least(150)),
        Figure("repeated", "files recognised as stored when the import is repeated", "/s", better=Better.HIGHER),
        Figure("memory", "peak memory of the process", "MB", at_most(150)),
    ),
)
