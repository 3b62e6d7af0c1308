"""The dataset: how fast a program year is written, and how fast an unchanged one is recognised."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, Section, at_least, at_most, count
from benchmarks.harness import run_job, service_for
from benchmarks.isolated import peak_mb
from benchmarks.sections.analytics import MONTHS, reports, snapshots


def _run(bench: Bench) -> None:
    from backfill.domain import SUMMARY, JobRequest, JobType, RateLimits
    from backfill.transfer.dataset import DatasetFormat, DatasetReport, write_dataset

    service, results = service_for(), 0
    for snapshot in snapshots(list(reports()), MONTHS[: bench.scaled(len(MONTHS), 2)]):
        service.storage.snapshots.put(snapshot)
        results += snapshot.district != SUMMARY
    job = run_job(service, JobRequest(job_type=JobType.ANALYTICS_GENERATION), RateLimits())
    assert job.progress.failed == 0, job.error

    def written(folder: Path) -> tuple[DatasetReport, float, float]:
        """Return the report, and seconds by the clock and of CPU time."""
        began, cpu = time.perf_counter(), time.process_time()
        problems: list[str] = []
        report = write_dataset(
            service.storage,
            folder,
            DatasetFormat.PARQUET,
            on_year=lambda _: None,
            on_problem=lambda key, _: problems.append(key),
        )
        assert not problems and not report.without_result, problems
        return report, time.perf_counter() - began, time.process_time() - cpu

    with tempfile.TemporaryDirectory() as name:
        written(Path(name) / "warm")
        memory, folder = peak_mb(), Path(name) / "dataset"
        report, seconds, cpu = written(folder)
        rows = sum(year.rows for year in report.years)
        bench.report("rows", rows)
        bench.report("rows-rate", rows / seconds)
        bench.report("results-rate", results / seconds)
        bench.report("results-per-cpu-second", results / cpu)
        bench.report("memory", peak_mb())
        bench.report("memory-growth", peak_mb() - memory)
        _, seconds, _ = written(folder)
        bench.report("unchanged", seconds)


SECTION = Section(
    "dataset",
    "The dataset of a program year: 130 districts of 110 clubs, 12 month-ends, in Parquet",
    _run,
    (
        count("rows", "rows of all tables"),
        Figure("rows-rate", "rows written", "rows/s", better=Better.HIGHER),
        Figure("results-rate", "district results written", "results/s", better=Better.HIGHER),
        Figure("results-per-cpu-second", "the same per second of CPU time", "results/s", at_least(100)),
        Figure("memory", "peak memory of the process, with pyarrow", "MB", at_most(400)),
        Figure("memory-growth", "increase while the year is written again", "MB", at_most(20)),
        Figure("unchanged", "the next export, without changes", "s", at_most(1), digits=2),
    ),
)
