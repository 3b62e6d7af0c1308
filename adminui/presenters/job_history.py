"""The history: a filtered page of jobs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import formatting, times
from adminui.presenters.choices import Choice, choices
from adminui.presenters.failure_causes import cause_of
from adminui.presenters.pagination import Pagination, paginate
from adminui.presenters.status import history_badge
from adminui.presenters.tables import Cell, Column, Row, Table, number_columns, row
from backfill.domain import Job, JobFilter, JobOutcome, Status

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
OUTCOMES: dict[JobOutcome, str | Promise] = {
    JobOutcome.SUCCEEDED: gettext_lazy("Completed without failures"),
    JobOutcome.COMPLETED_WITH_FAILURES: gettext_lazy("Completed with failures"),
}
"""Outcomes that are no status."""

_MAX_CAUSES = 2
_NOTE_CHARS = 120


@dataclass(frozen=True, slots=True)
class JobHistory:
    table: Table
    statuses: list[Choice]
    types: list[Choice]
    since: str
    until: str
    by: str
    operators: list[str]
    """Names on this page, as suggestions."""
    text: str
    is_filtered: bool
    pages: Pagination


def job_table(jobs: Sequence[Job], now: datetime, *, can_start: bool = False) -> Table:
    columns = [
        Column(_("Outcome"), "lead"),
        Column(_("Job"), "lead"),
        Column(_("Range"), "wide"),
        Column(_("Started")),
        *number_columns(_("Duration"), _("Items")),
        Column(_("Errors"), "long"),
        Column(_("By"), "long"),
    ]
    return Table(_("Jobs, newest first"), columns, [_job_row(job, now, can_start=can_start) for job in jobs])


def _job_row(job: Job, now: datetime, *, can_start: bool) -> Row:
    badge, duration = history_badge(job, now), formatting.duration(job, now)
    job_type, dates, errors = formatting.job_type(job.job_type), formatting.dates(job.config), _errors(job)
    return row(
        Cell(badge.label, icon=badge.icon, tone=badge.tone),
        Cell(
            job_type,
            note=_note(job),
            href=reverse("admin:backfill_job", args=[job.id]),
            link_label=f"{job_type}, {dates}",
            action=_("Run again") if can_start else "",
            action_href=f"{reverse('admin:backfill')}?like={job.id}#start",
            action_label=_("Run again: %(job)s") % {"job": f"{job_type}, {dates}"},
        ),
        dates,
        times.when(job.started_at or job.created_at, now),
        formatting.length(duration) if duration is not None else "\N{EN DASH}",
        _items(job),
        Cell(errors or _("None"), is_empty=not errors),
        job.created_by,
        kind="current" if job.status.is_active else "",
        row_id=f"bf-row-{job.id}",
    )


def _note(job: Job) -> str:
    """The retried job and the newest note."""
    parts = [_("Retry of job %(id)s") % {"id": str(job.retry_of)[:8]}] if job.retry_of else []
    if job.retries:
        ids = formatting.listed([str(retry.job_id)[:8] for retry in job.retries])
        parts.append(_("Retried by job %(ids)s") % {"ids": ids})
    if job.note:
        parts.append(Truncator(job.note).chars(_NOTE_CHARS))
    return ". ".join(parts)


def _items(job: Job) -> Cell:
    """2,371 stored; below it: 480 skipped, 1,751 to do. Failed items are in other columns."""
    progress = job.progress
    rest = progress.total_items - progress.settled_items
    others = [
        (progress.skipped_items, _("%(number)s skipped")),
        (rest, _("%(number)s to do") if job.status.is_active else _("%(number)s left undone")),
    ]
    return Cell(
        f"{formatting.number(progress.processed)} {_(job.job_type.description.done)}",
        note=", ".join(words % {"number": formatting.number(count)} for count, words in others if count),
    )


def _errors(job: Job) -> str:
    groups = job.failures
    if not groups and job.retries:
        return _("All %(number)s recovered") % {"number": formatting.number(job.progress.failed)}
    if not groups:
        return job.error
    named = [
        _with_count(cause_of(g.code, is_retryable=g.is_retryable).short_label, g.items) for g in groups[:_MAX_CAUSES]
    ]
    others = sum(group.items for group in groups[_MAX_CAUSES:])
    if others:
        named.append(_with_count(_("other"), others))
    text = ", ".join(named)
    return text[:1].upper() + text[1:]


def _with_count(name: str | Promise, items: int) -> str:
    return f"{name} ({formatting.number(items)})"


def job_history(
    jobs: Sequence[Job], total: int, wanted: JobFilter, number: int, now: datetime, *, can_start: bool = False
) -> JobHistory:
    status = next(iter([*wanted.statuses, *wanted.outcomes]), None)
    job_type = next(iter(wanted.job_types), None)
    until = wanted.created_to - timedelta(days=1) if wanted.created_to else None
    filters = {
        "status": status or "",
        "type": job_type or "",
        "since": f"{wanted.created_from:%Y-%m-%d}" if wanted.created_from else "",
        "until": f"{until:%Y-%m-%d}" if until else "",
        "by": wanted.created_by,
        "q": wanted.text,
    }
    return JobHistory(
        table=job_table(jobs, now, can_start=can_start),
        statuses=choices({**STATUSES, **OUTCOMES}, status),
        types=choices(formatting.JOB_TYPES, job_type),
        since=filters["since"],
        until=filters["until"],
        by=wanted.created_by,
        operators=sorted({job.created_by for job in jobs}),
        text=wanted.text,
        is_filtered=any(filters.values()),
        pages=paginate(number, PAGE_SIZE, rows=len(jobs), total=total, filters=filters),
    )
