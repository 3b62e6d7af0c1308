"""AnalyticsHandler: from stored snapshots to stored results, beside a bare loop over the same pure functions."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from multiprocessing import active_children
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from backfill.domain import month_end_of
from benchmarks.harness import forget, run_job, say, service_for

if TYPE_CHECKING:
    from backfill.domain import Report, ReportName, Snapshot
    from backfill.job_types.compute.tasks import ComputeInput

_MADE = 16
"""Districts that are made; a year of 130 repeats their figures."""
_CLUBS = 110
_DISTRICTS = 130
_BARE_ROUNDS = 4
"""Of a date's districts."""
_MONTHS = [month_end_of(date(2023 + month // 12, month % 12 + 1, 1)) for month in range(6, 18)]
"""Of a program year."""
_ROUNDS = 3
"""Jobs in threads, and in processes; the median of them is told, since others may share the machine."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job over the whole year."""

    wall: float
    """District results a second, from the job's start to its end."""
    cpu: float
    """The same by CPU time, of all processes together."""
    grown: float
    """MB that this process needed more at the highest than before."""


def analytics() -> None:
    from backfill.job_types.compute.tasks import compute
    from backfill.models import StoredResult

    print(f"\nAnalytics of {_DISTRICTS} districts of {_CLUBS} clubs (made in {_MADE} kinds), {len(_MONTHS)} month-ends")
    service = service_for("http://127.0.0.1:9")
    forget("StoredSnapshot", "StoredResult")
    kinds = list(_reports())
    for snapshot in _year(kinds):
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
    say("bare loop (parse, compute, JSON), district results a second", f"{median(wall for wall, _ in bare):.0f}")
    say("whole job in threads, district results a second", f"{median(run.wall for run in runs):.0f}", "at least 250")
    say(
        "the same by CPU time, where others share the machine", f"{median(run.cpu for run in runs):.0f}", "at least 250"
    )
    share = median(run.cpu / cpu for run, (_, cpu) in zip(runs, bare, strict=True))
    say("whole job \u00f7 bare loop, by CPU time", f"{share:.2f}", "at least 0.70")
    sizes = [len(body) for body in StoredResult.objects.exclude(district="all").values_list("body", flat=True)]
    say("stored size of a result, on average", f"{sum(sizes) / len(sizes) / 1024:.1f} KB", "at most 12 KB")
    say("memory of this whole process at its highest", f"{_memory():.0f} MB", "at most 300 MB")
    say("of which the first year added", f"{runs[0].grown:.0f} MB", "flat")
    say("and the years after it", f"{sum(run.grown for run in runs[1:]):.0f} MB", "nothing")
    spread = [_job("processes") for _ in range(_ROUNDS)]
    rate = median(run.wall for run in spread)
    say(f"whole job in processes on {os.cpu_count()} cores, district results a second", f"{rate:.0f}")
    say("the same by CPU time of all of them", f"{median(run.cpu for run in spread):.0f}")


def _job(executor: str) -> Run:
    """Every result of the year, computed anew."""
    from django.conf import settings

    from backfill.domain import JobRequest, JobType, RateLimits

    forget("StoredResult")
    settings.BACKFILL_EXECUTOR = executor
    service = service_for("http://127.0.0.1:9")
    grown, cpu = _memory(), _cpu()
    job = run_job(service, JobRequest(job_type=JobType.ANALYTICS_GENERATION), RateLimits())
    settings.BACKFILL_EXECUTOR = "threads"
    assert job.progress.failed == 0, job.error
    assert job.started_at is not None
    assert job.ended_at is not None
    done = job.progress.processed - len(_MONTHS)  # the world's result of a date is no district's
    return Run(done / (job.ended_at - job.started_at).total_seconds(), done / (_cpu_at_rest() - cpu), _memory() - grown)


def _sources(kinds: list[dict[ReportName, Report]]) -> list[ComputeInput]:
    """What the districts of one date are computed from."""
    from backfill.job_types.compute.tasks import ComputeInput, world_of

    summary, *districts = (snapshot for snapshot in _year(kinds) if snapshot.date == _MONTHS[0])
    world = world_of(summary)
    return [
        ComputeInput(snapshot=one, summary=world.rows.get(one.district), world_line=world.lines.get(one.district))
        for one in districts
    ]


def _cpu() -> float:
    """Seconds of this process and of those that it has started and seen end."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _cpu_at_rest() -> float:
    """Once no process of a job is left."""
    deadline = time.monotonic() + 30
    while active_children():
        assert time.monotonic() < deadline, "The processes of the job do not end."
        time.sleep(0.01)
    return _cpu()


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _reports() -> Iterator[dict[ReportName, Report]]:
    """The summary of a made world, then the reports of each of its districts."""
    from backfill.dashboard.reports import parse
    from backfill.domain import DISTRICT_REPORTS, Report, ReportName
    from sample_dashboard.program_year import ProgramYear
    from sample_dashboard.world import SampleWorld

    world, year, month = (
        SampleWorld(today=date(2026, 11, 1), districts=_MADE, clubs=_CLUBS),
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


def _year(kinds: list[dict[ReportName, Report]]) -> Iterator[Snapshot]:
    from backfill.domain import SUMMARY, Snapshot

    summary, *districts = kinds
    for day in _MONTHS:
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
