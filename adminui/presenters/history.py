"""The list of jobs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import formatting
from adminui.presenters.causes import cause_of
from adminui.presenters.choices import Choice, choices
from adminui.presenters.paging import Paging, paging
from adminui.presenters.status import Pill, listed_pill
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
class Row:
    job: Job
    pill: Pill
    type: str
    note: str
    dates: str
    begun: str
    took: str
    items: str
    errors: str
    by: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Listing:
    rows: list[Row]
    statuses: list[Choice]
    types: list[Choice]
    is_filtered: bool
    pages: Paging


def row(job: Job, now: datetime) -> Row:
    progress = job.progress
    took = formatting.duration(job, now)
    is_whole = progress.settled_items == progress.total_items
    items = formatting.number(progress.total_items)
    if not is_whole:
        items = _("%(settled)s of %(total)s") % {"settled": formatting.number(progress.settled_items), "total": items}
    return Row(
        job=job,
        pill=listed_pill(job, now),
        type=formatting.job_type(job.job_type),
        note=_("Retry of job %(id)s") % {"id": str(job.retry_of)[:8]} if job.retry_of else "",
        dates=formatting.dates(job.config),
        begun=formatting.when(job.started_at or job.created_at, now),
        took=formatting.length(took) if took is not None else "",
        items=items,
        errors=_errors(job),
        by=job.created_by,
        is_active=job.status.is_active,
    )


def _errors(job: Job) -> str:
    groups = job.progress.failures
    if not groups:
        return job.error
    named = [_named(cause_of(g.code, is_retryable=g.is_retryable).short, g.items) for g in groups[:_CAUSES_NAMED]]
    others = sum(group.items for group in groups[_CAUSES_NAMED:])
    if others:
        named.append(_named(_("other"), others))
    text = ", ".join(named)
    return text[:1].upper() + text[1:]


def _named(name: str | Promise, items: int) -> str:
    return f"{name} ({formatting.number(items)})"


def listing(jobs: Sequence[Job], total: int, wanted: JobFilter, number: int, now: datetime) -> Listing:
    status = next(iter(wanted.statuses), None)
    job_type = next(iter(wanted.job_types), None)
    filters = {"status": status or "", "type": job_type or ""}
    return Listing(
        rows=[row(job, now) for job in jobs],
        statuses=choices(STATUSES, status),
        types=choices(formatting.JOB_TYPES, job_type),
        is_filtered=bool(status or job_type),
        pages=paging(number, PAGE_SIZE, rows=len(jobs), total=total, filters=filters),
    )
