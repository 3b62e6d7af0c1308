"""The list of jobs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import formatting
from adminui.presenters.choices import Choice, choices
from adminui.presenters.failure_causes import cause_of
from adminui.presenters.pagination import Pagination, paginate
from adminui.presenters.status import StatusBadge, history_badge
from backfill.domain import Job, JobFilter, Status

PAGE_SIZE = 10

STATUSES: dict[Status, str | Promise] = {
    Status.PENDING: gettext_lazy("Waiting for a worker"),
    Status.RUNNING: gettext_lazy("Running"),
    Status.PAUSING: gettext_lazy("Pausing"),
    Status.PAUSED: gettext_lazy("Paused"),
    Status.CANCELLING: gettext_lazy("Cancelling"),
    Status.COMPLETED: gettext_lazy("Completed"),
    Status.FAILED: gettext_lazy("Failed"),
    Status.CANCELLED: gettext_lazy("Cancelled"),
}

_CAUSES_NAMED = 2


@dataclass(frozen=True, slots=True)
class JobRow:
    job: Job
    badge: StatusBadge
    type: str
    note: str
    dates: str
    started: str
    duration: str
    items: str
    errors: str
    by: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class JobHistory:
    rows: list[JobRow]
    statuses: list[Choice]
    types: list[Choice]
    is_filtered: bool
    pages: Pagination


def job_row(job: Job, now: datetime) -> JobRow:
    progress = job.progress
    duration = formatting.duration(job, now)
    is_whole = progress.settled_items == progress.total_items
    items = formatting.number(progress.total_items)
    if not is_whole:
        items = _("%(settled)s of %(total)s") % {"settled": formatting.number(progress.settled_items), "total": items}
    return JobRow(
        job=job,
        badge=history_badge(job, now),
        type=str(formatting.JOB_TYPES[job.job_type]),
        note=_("Retry of job %(id)s") % {"id": str(job.retry_of)[:8]} if job.retry_of else "",
        dates=formatting.dates(job.config),
        started=formatting.when(job.started_at or job.created_at, now),
        duration=formatting.length(duration) if duration is not None else "",
        items=items,
        errors=_errors(job),
        by=job.created_by,
        is_active=job.status.is_active,
    )


def _errors(job: Job) -> str:
    groups = job.progress.failures
    if not groups:
        return job.error
    named = [
        _with_count(cause_of(g.code, is_retryable=g.is_retryable).short_label, g.items) for g in groups[:_CAUSES_NAMED]
    ]
    others = sum(group.items for group in groups[_CAUSES_NAMED:])
    if others:
        named.append(_with_count(_("other"), others))
    text = ", ".join(named)
    return text[:1].upper() + text[1:]


def _with_count(name: str | Promise, items: int) -> str:
    return f"{name} ({formatting.number(items)})"


def job_history(jobs: Sequence[Job], total: int, wanted: JobFilter, number: int, now: datetime) -> JobHistory:
    status = next(iter(wanted.statuses), None)
    job_type = next(iter(wanted.job_types), None)
    filters = {"status": status or "", "type": job_type or ""}
    return JobHistory(
        rows=[job_row(job, now) for job in jobs],
        statuses=choices(STATUSES, status),
        types=choices(formatting.JOB_TYPES, job_type),
        is_filtered=bool(status or job_type),
        pages=paginate(number, PAGE_SIZE, rows=len(jobs), total=total, filters=filters),
    )
