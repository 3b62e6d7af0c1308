"""A preview of ten years of 130 districts with stored calendars."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.harness import median_seconds, service_for
from benchmarks.prepared import FIRST, LAST, store_calendars


def _run(bench: Bench) -> None:
    from backfill.domain import JobRequest, JobType

    service = service_for()
    store_calendars(service)
    request = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=FIRST, end_date=LAST)
    bench.report("items", service.preview(request).plan.total_items)
    bench.report("seconds", median_seconds(lambda: service.preview(request).plan_id, times=bench.scaled(5)))


SECTION = Section(
    "preview",
    "A preview of every day of ten years of 130 districts with stored calendars",
    _run,
    (
        count("items", "items of the plan"),
        Figure("seconds", "preview", "s", at_most(2), digits=2),
    ),
)
