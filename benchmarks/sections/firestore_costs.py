"""Billed operations of a job at the default rate, and of a process without a job, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from unittest import mock

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, count
from benchmarks.harness import sample_dashboard
from benchmarks.sections.firestore import Charges, emulator, storage_through

MONTH_ITEMS = 30 * 131
DECADE_ITEMS = 120 * 131
"""Items of a month of daily collection, and of ten years of month-end closes, for 130 districts and the summary."""

READ, WRITE = 0.06 / 100_000, 0.18 / 100_000
"""Dollars: the list prices of a multi-region."""

_JOB_SECONDS = 120
_IDLE_SECONDS = 60
_MONTH_SECONDS = 30 * 86_400


def dollars(reads: float, writes: float) -> float:
    return reads * READ + writes * WRITE


def _run(bench: Bench) -> None:
    from django.conf import settings

    from backfill import bootstrap as services
    from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType

    charges = Charges()
    with ExitStack() as stack:
        stack.enter_context(emulator(bench))
        settings.BACKFILL_DASHBOARD_URL = stack.enter_context(sample_dashboard("--districts", "24", "--clubs", "20"))
        stack.enter_context(mock.patch.object(services, "open_storage", return_value=storage_through([charges])))
        stack.callback(services.backfill_service.cache_clear)
        services.backfill_service.cache_clear()
        service, by = services.backfill_service(), Actor("bench", Channel.CLI)
        year = datetime.now(UTC).year
        request = JobRequest(
            job_type=JobType.DATA_COLLECTION,
            start_date=date(year - 2, 7, 1),
            end_date=date(year - 1, 6, 30),
            cadence=Cadence.MONTH_ENDS,
        )
        service.change_rate_limits({"max_requests_per_minute": 6000, "min_delay_ms": 0}, by=by)
        service.preview(request)  # reads the calendar
        service.change_rate_limits({"max_requests_per_minute": 60, "min_delay_ms": 500}, by=by)
        worker = services.new_worker(service)
        worker.start()
        with _counted(charges, bench, _JOB_SECONDS):
            job = service.start(request, by=by).job
        service.cancel(job.id, by=by)
        while service.job(job.id).status.is_active:
            time.sleep(0.1)
        items = service.job(job.id).progress.processed
        job_reads, job_writes = charges.reads.total() / items, charges.writes.total() / items
        with _counted(charges, bench, _IDLE_SECONDS):
            pass
        idle = _MONTH_SECONDS / max(_IDLE_SECONDS * bench.scale, 1)
        idle_reads, idle_writes = idle * charges.reads.total(), idle * charges.writes.total()
        worker.stop()
    bench.report("job-writes", job_writes)
    bench.report("job-reads", job_reads)
    for name, number in (("month", MONTH_ITEMS), ("decade", DECADE_ITEMS)):
        bench.report(f"{name}-items", number)
        bench.report(f"{name}-writes", number * job_writes)
        bench.report(f"{name}-reads", number * job_reads)
        bench.report(f"{name}-dollars", dollars(number * job_reads, number * job_writes))
    bench.report("idle-writes", idle_writes)
    bench.report("idle-reads", idle_reads)
    bench.report("idle-dollars", dollars(idle_reads, idle_writes))


@contextmanager
def _counted(charges: Charges, bench: Bench, seconds: float) -> Iterator[None]:
    """Count the operations of the body and of the given time after it."""
    charges.reset()
    yield
    time.sleep(max(seconds * bench.scale, 1))


SECTION = Section(
    "firestore-costs",
    "Firestore emulator: billed operations at 60 requests per minute, and their price in a multi-region",
    _run,
    (
        count("job-writes", "writes per item", digits=2),
        count("job-reads", "reads per item", digits=2),
        *(
            figure
            for name, title in (("month", "a month of daily collection"), ("decade", "ten years of month-ends"))
            for figure in (
                Figure(f"{name}-items", f"{title}: items"),
                Figure(f"{name}-writes", f"{title}: writes"),
                Figure(f"{name}-reads", f"{title}: reads"),
                Figure(f"{name}-dollars", f"{title}: dollars", digits=2),
            )
        ),
        Figure("idle-writes", "a month of a process without a job: writes"),
        Figure("idle-reads", "a month of a process without a job: reads"),
        Figure("idle-dollars", "a month of a process without a job: dollars", digits=2),
    ),
    is_in_full_run=False,
)
