"""What the one is told who is refused because of the job that is active."""

from __future__ import annotations

from backfill.domain.job import Job
from backfill.domain.status import Status
from backfill.errors import JobConflict


def job_conflict(active: Job) -> JobConflict:
    wait = "resume it and wait until it ends" if active.status is Status.PAUSED else "wait until it ends"
    return JobConflict(
        f"Job {active.id} ({active.job_type}) is {active.status} at {active.progress.percent:g} %. One job runs at a "
        f"time: {wait}, or cancel it first.",
        details={
            "jobId": str(active.id),
            "jobType": str(active.job_type),
            "status": str(active.status),
            "path": f"/api/admin/backfill/{active.id}",
            "progress": {
                "totalItems": active.progress.total_items,
                "settledItems": active.progress.settled_items,
                "percent": active.progress.percent,
            },
        },
    )
