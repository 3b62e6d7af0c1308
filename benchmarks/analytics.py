"""Analytics: from stored snapshots to stored results, beside a bare loop over the same pure functions."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.harness import forget, run_job, say, service_for

if TYPE_CHECKING:
    from backfill.domain import Report, ReportName, Snapshot

_MADE = 16
"""Districts that are made; a year of 130 repeats their figures."""
_CLUBS = 110
_DISTRICTS = 130
_MONTHS = [date(2023, 7, 31), date(2023, 8, 31), date(2023, 9, 30), date(2023, 10, 31), date(2023, 11, 30)]


def analytics() -> None:
    from django.conf import settings

    from backfill.domain import JobRequest, JobType, RateLimits
    from backfill.models import StoredResult
    from backfill.work.computing import Source, compute, world_of

    print(f"\nAnalytics of {_DISTRICTS} districts of {_CLUBS} clubs (made in {_MADE} kinds), {len(_MONTHS)} dates")
    service = service_for("http://127.0.0.1:9")
    forget("StoredSnapshot", "StoredResult")
    kinds = list(_reports())
    for snapshot in _year(kinds):
        service.storage.snapshots.put(snapshot)
    before = _memory()

    some = [snapshot for snapshot in _year(kinds) if snapshot.date == _MONTHS[0]]
    world = world_of(some[0])
    sources = [
        Source(snapshot=one, summary=world.rows.get(one.district), world_line=world.lines.get(one.district))
        for one in some[1:]
    ]
    compute(sources)  # warm
    began, cpu = time.perf_counter(), time.process_time()
    compute(sources)
    bare, bare_cpu = len(sources) / (time.perf_counter() - began), len(sources) / (time.process_time() - cpu)
    say("bare loop (parse, compute, JSON), district results a second", f"{bare:.0f}")

    request = JobRequest(job_type=JobType.ANALYTICS_GENERATION)
    for executor in ("threads", "processes"):
        forget("StoredResult")
        settings.BACKFILL_EXECUTOR = executor
        over = service_for("http://127.0.0.1:9")
        cpu = time.process_time()
        job = run_job(over, request, RateLimits())
        assert job.progress.failed == 0, job.error
        assert job.started_at is not None
        assert job.ended_at is not None
        done = job.progress.processed - len(_MONTHS)  # the world's result of a date is no district's
        rate, on_cpu = done / (job.ended_at - job.started_at).total_seconds(), done / (time.process_time() - cpu)
        if executor == "threads":
            say("whole job in threads, district results a second", f"{rate:.0f}", "at least 250")
            say("the same by CPU time, where others share the machine", f"{on_cpu:.0f}", "at least 250")
            say("whole job \u00f7 bare loop, by CPU time", f"{on_cpu / bare_cpu:.2f}", "at least 0.70")
            sizes = [len(body) for body in StoredResult.objects.exclude(district="all").values_list("body", flat=True)]
            say("stored size of a result, on average", f"{sum(sizes) / len(sizes) / 1024:.1f} KB", "at most 12 KB")
            say("memory that the job added at its highest", f"{_memory() - before:.0f} MB", "flat: below 300 MB")
        else:
            say("whole job in processes, district results a second", f"{rate:.0f}")
    settings.BACKFILL_EXECUTOR = "threads"


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _reports() -> Iterator[dict[ReportName, Report]]:
    """The summary of a made world, then the reports of each of its districts."""
    from backfill.dashboard.csv import parse
    from backfill.domain import DISTRICT_REPORTS, ProgramYear, Report, ReportName
    from backfill.sample_world.world import SampleWorld

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
