"""The complete service, compared with a bare loop that fetches, checks and stores the same items."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Better, Database, Figure, Section, at_least, count, ratio
from benchmarks.harness import allow_fastest_requests, delete_rows, run_job, sample_dashboard, service_for

if TYPE_CHECKING:
    from backfill.domain import JobRequest
    from backfill.service.commands import BackfillService

_ROUNDS = 3


def _bare_loop(service: BackfillService, request: JobRequest) -> tuple[int, float]:
    """Fetch and store the items of a request one after the other, without the engine. Returns items and seconds."""
    from django.conf import settings

    from backfill.dashboard.client import DashboardClient
    from backfill.dashboard.protocol import ReportRequest
    from backfill.domain import Snapshot, reports_of

    plan = service.preview(request).plan
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


def _run(bench: Bench) -> None:
    from backfill.domain import Cadence, JobRequest, JobType, RateLimits

    today = datetime.now(UTC).date()
    request = JobRequest(
        job_type=JobType.DATA_COLLECTION,
        start_date=date(today.year - 4, 7, 1),
        end_date=date(today.year - 2, 6, 30),
        cadence=Cadence.MONTH_ENDS,
    )
    unlimited = RateLimits(max_requests_per_minute=600_000, min_delay_ms=0, max_concurrent=3)
    bare: list[float] = []
    engine: list[float] = []
    with sample_dashboard("--districts", "8", "--clubs", "110") as address:
        service = service_for(address)
        allow_fastest_requests(service)
        _bare_loop(service, request)  # reads the calendar and fills the caches of the dashboard
        for _ in range(bench.scaled(_ROUNDS)):
            delete_rows("StoredSnapshot")
            items, seconds = _bare_loop(service, request)
            bare.append(items / seconds)
            delete_rows("StoredSnapshot")
            job = run_job(service, request, unlimited)
            assert job.ended_at is not None
            assert job.progress.processed == items
            engine.append(items / (job.ended_at - job.created_at).total_seconds())
    bench.report("items", items)
    bench.report("rate", median(engine))
    bench.report("bare", median(bare))
    bench.report("ratio", median(one / other for one, other in zip(engine, bare, strict=True)))


_FIGURES = (
    count("items", "items of a job"),
    Figure("rate", "service, from the creation of the job to its end", "items/s", at_least(220)),
    Figure("bare", "bare loop", "items/s", better=Better.HIGHER),
    ratio("ratio", "service \u00f7 bare loop (median of the rounds)", at_least(1)),
)

ON_SQLITE = Section(
    "collection",
    "Collection without a rate limit and a bare loop in alternating rounds, 110 clubs per district, SQLite",
    _run,
    _FIGURES,
)

ON_POSTGRESQL = Section(
    "collection-postgresql",
    "Collection without a rate limit and a bare loop in alternating rounds, 110 clubs per district, PostgreSQL",
    _run,
    _FIGURES,
    database=Database.POSTGRESQL,
)
