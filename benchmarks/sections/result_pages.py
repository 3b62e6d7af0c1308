"""The result pages of the admin."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most
from benchmarks.harness import get, median_seconds, operator, run_job, service_for
from benchmarks.sections.analytics import MONTHS, reports, snapshots


def _run(bench: Bench) -> None:
    from backfill.domain import JobRequest, JobType, RateLimits

    service, day = service_for(), MONTHS[0]
    for snapshot in snapshots(list(reports()), [day]):
        service.storage.snapshots.put(snapshot)
    job = run_job(service, JobRequest(job_type=JobType.ANALYTICS_GENERATION), RateLimits())
    assert job.progress.failed == 0, job.error
    client = operator()
    for name, path in (("district", f"01/{day}/"), ("world", f"world/{day}/")):
        page = f"/admin/backfill/results/{path}"
        get(client, page)  # compiles the templates
        bench.report(name, 1000 * median_seconds(lambda page=page: get(client, page)))  # type: ignore[misc]


SECTION = Section(
    "result-pages",
    "The result pages of the admin",
    _run,
    (
        Figure("district", "page of a district of 110 clubs", "ms", at_most(300)),
        Figure("world", "page of the world ranking", "ms", at_most(300)),
    ),
)
