"""Analytics jobs, compared with a bare loop over the same pure functions."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from multiprocessing import active_children
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from backfill.domain import month_end_of
from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, Section, at_least, at_most, count, ratio
from benchmarks.harness import delete_rows, median_seconds, run_job, service_for
from benchmarks.isolated import peak_mb

if TYPE_CHECKING:
    from backfill.domain import Report, ReportName, Snapshot
    from backfill.job_types.compute.tasks import ComputeInput

_DISTINCT = 16
"""Number of generated districts; a year of 130 districts repeats their figures."""
_CLUBS = 110
_DISTRICTS = 130
_BARE_ROUNDS = 4
MONTHS = [month_end_of(date(2023 + month // 12, month % 12 + 1, 1)) for month in range(6, 18)]
_ROUNDS = 3
"""Number of jobs, of which the median is printed."""
_MANY_MONTHS = 77
"""So many that the processes need little of the time for their start: 10,010 results."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job over the complete year."""

    results: int
    """District results."""
    wall: float
    """District results per second of the job."""
    cpu: float
    """District results per second of CPU time of all processes."""
    growth: float
    """Increase of the peak memory of this process in MB."""


def _run(bench: Bench) -> None:
    from backfill.job_types.compute.tasks import compute
    from backfill.models import StoredResult

    service = service_for()
    months = MONTHS[: bench.scaled(len(MONTHS), 2)]
    kinds = list(reports())
    for snapshot in snapshots(kinds, months):
        service.storage.snapshots.put(snapshot)

    sources = _sources(kinds)
    compute(sources)  # warm
    bare: list[tuple[float, float]] = []
    runs: list[Run] = []
    for _ in range(_ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(_BARE_ROUNDS):
            compute(sources)
        count = len(sources) * _BARE_ROUNDS
        bare.append((count / (time.perf_counter() - began), count / (time.process_time() - cpu)))
        runs.append(_job("threads"))
    bench.report("parse", 1000 * _parse_seconds(kinds))
    bench.report("bare", median(wall for wall, _ in bare))
    bench.report("threads", median(run.wall for run in runs))
    bench.report("threads-cpu", median(run.cpu for run in runs))
    bench.report("ratio", median(run.cpu / cpu for run, (_, cpu) in zip(runs, bare, strict=True)))
    sizes = [len(body) for body in StoredResult.objects.exclude(district="all").values_list("body", flat=True)]
    bench.report("result-size", sum(sizes) / len(sizes) / 1024)
    bench.report("peak", peak_mb())
    bench.report("first-increase", runs[0].growth)
    bench.report("later-increase", sum(run.growth for run in runs[1:]))


def _run_in_processes(bench: Bench) -> None:
    service = service_for()
    kinds = list(reports())
    months = range(bench.scaled(_MANY_MONTHS, 2))
    for snapshot in snapshots(kinds, [month_end_of(date(2019 + month // 12, month % 12 + 1, 1)) for month in months]):
        service.storage.snapshots.put(snapshot)
    threads, processes = _job("threads"), _job("processes")
    bench.report("results", processes.results)
    bench.report("threads", threads.wall)
    bench.report("processes", processes.wall)
    bench.report("processes-cpu", processes.cpu)
    bench.report("ratio", processes.wall / threads.wall)


def _parse_seconds(kinds: list[dict[ReportName, Report]]) -> float:
    """Return the time to parse the reports of a district."""
    from backfill.dashboard.reports import parse

    _, *districts = kinds
    contents = [report.content for reports in districts for report in reports.values()]

    def parse_all() -> None:
        for content in contents:
            parse(content)

    return median_seconds(parse_all, times=5) / len(districts)


def _job(executor: str) -> Run:
    """Compute all results of the year."""
    from django.conf import settings

    from backfill.domain import JobRequest, JobType, RateLimits
    from backfill.models import StoredResult

    delete_rows("StoredResult")
    settings.BACKFILL_EXECUTOR = executor
    service = service_for()
    growth, cpu = peak_mb(), _cpu()
    job = run_job(service, JobRequest(job_type=JobType.ANALYTICS_GENERATION), RateLimits())
    settings.BACKFILL_EXECUTOR = "threads"
    assert job.progress.failed == 0, job.error
    assert job.started_at is not None
    assert job.ended_at is not None
    done = (
        job.progress.processed - StoredResult.objects.filter(district="all").count()
    )  # the summary has one result per date
    wall = done / (job.ended_at - job.started_at).total_seconds()
    return Run(done, wall, done / (_cpu_at_rest() - cpu), peak_mb() - growth)


def _sources(kinds: list[dict[ReportName, Report]]) -> list[ComputeInput]:
    """Return the inputs of the districts of one date."""
    from backfill.job_types.compute.tasks import ComputeInput, world_of

    summary, *districts = snapshots(kinds, MONTHS[:1])
    world = world_of(summary)
    return [
        ComputeInput(snapshot=one, summary=world.rows.get(one.district), world_line=world.lines.get(one.district))
        for one in districts
    ]


def _cpu() -> float:
    """Return the CPU seconds of this process and of its ended child processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _cpu_at_rest() -> float:
    """Return the CPU seconds after all child processes of a job have ended."""
    deadline = time.monotonic() + 30
    while active_children():
        assert time.monotonic() < deadline, "The processes of the job did not end."
        time.sleep(0.01)
    return _cpu()


def reports() -> Iterator[dict[ReportName, Report]]:
    """Yield the summary of a sample world, then the reports of each district."""
    from backfill.dashboard.reports import parse
    from backfill.domain import DISTRICT_REPORTS, Report, ReportName
    from sample_dashboard.program_year import ProgramYear
    from sample_dashboard.world import SampleWorld

    world, year, month = (
        SampleWorld(today=date(2026, 11, 1), districts=_DISTINCT, clubs=_CLUBS),
        ProgramYear(2024),
        date(2024, 11, 30),
    )
    as_of = world.close_of(month)
    dates = f"{month.month}/{month.day}/{month.year}~{as_of.month}/{as_of.day}/{as_of.year}~{year}"

    def report(asked: str) -> Report:
        content = world.report(asked, year)
        assert content is not None, asked
        parsed = parse(content)
        assert parsed.rows, asked
        return Report(rows=len(parsed.rows), size=len(content), content_hash=parsed.content_hash, content=content)

    yield {ReportName.SUMMARY: report(f"districtsummary~{dates}")}
    for district in world.districts_of(year):
        yield {name: report(f"{name}~{district}~{dates}") for name in DISTRICT_REPORTS}


def snapshots(kinds: list[dict[ReportName, Report]], days: Sequence[date]) -> Iterator[Snapshot]:
    """Yield the snapshots of all districts on these dates."""
    from backfill.domain import SUMMARY, Snapshot

    summary, *districts = kinds
    for day in days:
        for number in range(_DISTRICTS + 1):
            yield Snapshot(
                date=day,
                district=f"{number:02d}" if number else SUMMARY,
                data_month=day,
                as_of=day,
                is_final=True,
                fetched_at=datetime.now(UTC),
                job_id=uuid4(),
                reports=districts[number % len(districts)] if number else summary,
            )


SECTION = Section(
    "analytics",
    f"Analytics of {_DISTRICTS} districts of {_CLUBS} clubs ({_DISTINCT} distinct), {len(MONTHS)} month-ends",
    _run,
    (
        Figure("parse", "parsing the three reports of a district", "ms", digits=2),
        Figure("bare", "bare loop (parse, compute, JSON)", "results/s", better=Better.HIGHER),
        Figure("threads", "job in threads", "results/s", at_least(400)),
        Figure("threads-cpu", "the same per second of CPU time", "results/s", at_least(400)),
        ratio("ratio", "job \u00f7 bare loop, by CPU time", at_least(0.85)),
        count("result-size", "average stored size of a result", at_most(12), "KB", digits=1),
        Figure("peak", "peak memory of the process", "MB", at_most(300), is_compared=True),
        Figure("first-increase", "increase in the first year", "MB"),
        Figure("later-increase", "increase in later years", "MB"),
    ),
)

IN_PROCESSES = Section(
    "analytics-processes",
    f"Analytics in threads and in processes on all cores, {_MANY_MONTHS} month-ends of {_DISTRICTS} districts",
    _run_in_processes,
    (
        count("results", "district results"),
        Figure("threads", "job in threads", "results/s", better=Better.HIGHER),
        Figure("processes", "job in processes", "results/s", better=Better.HIGHER),
        Figure("processes-cpu", "the same per second of CPU time of all processes", "results/s", better=Better.HIGHER),
        ratio("ratio", "processes \u00f7 threads", at_least(1.8)),
    ),
    is_in_full_run=False,
)
