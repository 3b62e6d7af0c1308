"""Compares the service with the same work without it: `make bench`.

Each figure is printed with its target. A missed target does not fail, because machines differ.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.admin_pages import coverage_map, result_pages
from benchmarks.admin_section import section
from benchmarks.analytics import analytics
from benchmarks.estimates import estimate_accuracy
from benchmarks.firestore import firestore
from benchmarks.harness import delete_rows, environment, print_figure, run_job, sample_dashboard, service_for, timed

if TYPE_CHECKING:
    from backfill.domain import JobRequest
    from backfill.service.commands import BackfillService
    from backfill.storage import Storage


def bare_loop(service: BackfillService, request: JobRequest) -> tuple[int, float]:
    """Fetch and store the same items sequentially without the engine. Returns items and seconds."""
    from backfill.dashboard.client import DashboardClient
    from backfill.dashboard.protocol import ReportRequest
    from backfill.domain import Snapshot, reports_of

    plan = service.preview(request).plan
    from django.conf import settings

    client = DashboardClient(settings.BACKFILL_DASHBOARD_URL)
    began = time.perf_counter()
    for day in plan.days:
        for item in day.items():
            edition = day.edition
            assert edition is not None
            reports = {
                name: client.report(ReportRequest(report=name, district=item.district, edition=edition))
                for name in reports_of(item.district)
            }
            service.storage.snapshots.put(
                Snapshot(
                    date=item.date,
                    district=item.district,
                    data_month=edition.month_end,
                    as_of=edition.as_of,
                    is_final=edition.is_final,
                    fetched_at=datetime.now(UTC),
                    job_id=uuid4(),
                    reports=reports,
                )
            )
    return plan.total_items, time.perf_counter() - began


def engine_and_bare_loop() -> None:
    from backfill.domain import Cadence, JobRequest, JobType, RateLimits

    print("\nThe complete service and a bare loop (fetch, check, store), 110 clubs per district")
    dashboard, address = sample_dashboard("--districts", "8", "--clubs", "110")
    try:
        service = service_for(address)
        delete_rows("StoredCalendarMonth")
        today = datetime.now(UTC).date()
        request = JobRequest(
            job_type=JobType.DATA_COLLECTION,
            start_date=date(today.year - 4, 7, 1),
            end_date=date(today.year - 2, 6, 30),
            cadence=Cadence.MONTH_ENDS,
        )
        bare_loop(service, request)  # fills the caches of the dashboard
        unlimited = RateLimits(max_requests_per_minute=600_000, min_delay_ms=0, max_concurrent=3)
        rates = []
        for _ in range(3):
            delete_rows("StoredSnapshot")
            items, seconds = bare_loop(service, request)
            delete_rows("StoredSnapshot")
            began = time.perf_counter()
            job = run_job(service, request, unlimited)
            engine = job.progress.processed / (time.perf_counter() - began)
            rates.append((engine / (items / seconds), engine, items / seconds))
        ratio, engine, bare = sorted(rates)[1]
        print_figure("service, items per second (median of 3)", f"{engine:.1f}")
        print_figure("bare loop, items per second", f"{bare:.1f}")
        print_figure("service ÷ bare loop", f"{ratio:.2f}", "at least 0.80")
    finally:
        dashboard.terminate()
        dashboard.wait()


def share_of_the_rate() -> None:
    from backfill.domain import Cadence, JobRequest, JobType, RateLimits

    print("\nUsed share of the allowed rate, at 600 requests per minute and 200 ms latency")
    dashboard, address = sample_dashboard("--districts", "8", "--clubs", "40", "--latency-ms", "200")
    try:
        service = service_for(address)
        delete_rows("StoredSnapshot")
        today = datetime.now(UTC).date()
        request = JobRequest(
            job_type=JobType.DATA_COLLECTION,
            start_date=date(today.year - 2, 7, 1),
            end_date=date(today.year - 1, 6, 30),
            cadence=Cadence.MONTH_ENDS,
        )
        limits = RateLimits(max_requests_per_minute=600, min_delay_ms=0, max_concurrent=3)
        job = run_job(service, request, limits)
        assert job.started_at is not None and job.ended_at is not None
        seconds = (job.ended_at - job.started_at).total_seconds()
        made = job.progress.limiter.requests_made
        print_figure("requests", f"{made:,} in {seconds:.1f} s")
        print_figure("used share", f"{made / (seconds * 10):.3f}", "at least 0.95")
    finally:
        dashboard.terminate()
        dashboard.wait()


def million_items(storage: Storage, target: str) -> None:
    import itertools
    import resource

    from backfill.domain import (
        Edition,
        Job,
        JobConfig,
        JobType,
        LimiterReport,
        Outcome,
        OutcomeKind,
        Plan,
        PlannedDay,
        Progress,
    )
    from backfill.engine.job_manager import JobManager

    print("\nA job of 1,000,000 items")
    now = datetime.now(UTC)
    districts = ("all", *(f"{number:02d}" for number in range(1, 150)))
    first = date(2008, 7, 1)
    days = tuple(
        PlannedDay(
            day, districts, Edition(month_end=day, as_of=day, is_final=False, is_archived=True, asks_blank=False)
        )
        for day in (first + timedelta(days=n) for n in range(6667))
    )
    plan = Plan(days)
    job = Job(
        id=uuid4(),
        job_type=JobType.DATA_COLLECTION,
        created_at=now,
        created_by="bench",
        progressed_at=now,
        config=JobConfig(start_date=days[0].date, end_date=days[-1].date),
        progress=Progress(total_items=plan.total_items),
    )
    storage.jobs.create(job, plan, displace=lambda active: active.displaced(now + timedelta(days=1)))
    claim = JobManager(storage).claim("bench", now)
    assert claim is not None
    items = (item for day in days for item in day.items())
    while batch := list(itertools.islice(items, 500)):
        claim.note(Outcome(item, OutcomeKind.PROCESSED, now, attempts=1) for item in batch)
        claim.record((), LimiterReport(), now)
    claim.release(now)
    del claim
    seconds = timed(lambda: JobManager(storage).claim("bench-2", now))
    print_figure("resume of a ledger of 1,000,050 outcomes", f"{seconds:.2f} s", target)
    print_figure(
        "peak memory of this process",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        "at most 300 MB",
    )
    storage.jobs.update(job.id, lambda stored: stored.cancel_requested(now + timedelta(days=1)))


def ten_years() -> None:
    from backfill.domain import CalendarMonth, JobRequest, JobType, month_ends

    print("\nA preview of ten years of 130 districts with stored calendars")
    service = service_for("http://127.0.0.1:9")
    first, last = date(2013, 7, 1), date(2023, 6, 30)
    for end in month_ends(date(2013, 6, 30), last):  # June is still closing in July
        begin = end.replace(day=9)  # a day belongs to one month only
        service.storage.calendars.save(
            CalendarMonth(
                month_end=end,
                districts=tuple(f"{n:02d}" for n in range(1, 131)),
                as_of_days=tuple(begin + timedelta(days=n) for n in range((end - begin).days + 9)),
                is_archived=True,
                is_closed=True,
                has_blank_close=end.month == 6,
                fetched_at=datetime.now(UTC),
            )
        )
    request = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=first, end_date=last)
    preview = service.preview(request)
    seconds = timed(lambda: service.preview(request).plan_id)
    print_figure(f"{preview.plan.total_items:,} items", f"{seconds:.2f} s", "at most 2 s")


def main() -> None:
    with environment():
        ten_years()
        section(service_for("http://127.0.0.1:9"))
        delete_rows("BackfillJob")
        coverage_map()
        million_items(service_for("http://127.0.0.1:9").storage, "at most 5 s")
        engine_and_bare_loop()
        share_of_the_rate()
        analytics()
        result_pages()
        estimate_accuracy()
        firestore(million_items)


if __name__ == "__main__":
    main()
