"""The failed items of a job, grouped by cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting, times
from adminui.presenters.failure_causes import cause_of
from backfill.domain import FailureGroup, Job, OutcomeKind, Retry


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    cause: str
    items: str
    where: str
    latest: str
    advice: str
    is_retryable: bool
    retried: str
    """What retries made of the items with this cause; empty if there were none."""
    items_query: str
    """The query string that lists the items."""


@dataclass(frozen=True, slots=True)
class RetryLine:
    job_id: UUID
    short_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Failures:
    title: str
    groups: list[Failure]
    retryable: int
    """Number of items that can be retried."""
    retry_query: str
    """The query string that names the causes which a retry may help."""
    retries: list[RetryLine]
    """Oldest first."""


def failures(job: Job, now: datetime) -> Failures | None:
    """The items that are still failed, and the retries. None if no item has failed."""
    if not job.progress.failures:
        return None
    return Failures(
        title=_title(job),
        groups=[_failure(job, group, now) for group in job.failures],
        retryable=sum(group.items for group in job.failures if group.is_retryable),
        retry_query=urlencode([("code", group.code) for group in job.failures if group.is_retryable]),
        retries=[_retry_line(retry, now) for retry in job.retries],
    )


def _title(job: Job) -> str:
    total = formatting.number(job.progress.failed)
    if not job.retries:
        title = ngettext("%(number)s failed item, by cause", "%(number)s failed items, by cause", job.progress.failed)
        return title % {"number": total}
    if not job.still_failed:
        return _("Failed items: all %(total)s were recovered by retries") % {"total": total}
    title = ngettext(
        "%(number)s of %(total)s failed items is still failed",
        "%(number)s of %(total)s failed items are still failed",
        job.still_failed,
    )
    return title % {"number": formatting.number(job.still_failed), "total": total}


def _retry_line(retry: Retry, now: datetime) -> RetryLine:
    text = times.filled(
        _("retried %(items)s %(at)s; %(recovered)s recovered, %(failed)s not"),
        {
            "items": formatting.items(retry.items),
            "at": times.at(retry.created_at, now),
            "recovered": formatting.number(retry.recovered),
            "failed": formatting.number(retry.items - retry.recovered),
        },
    )
    return RetryLine(retry.job_id, str(retry.job_id)[:8], text)


def _retried(job: Job, code: str) -> str:
    """The items of a cause that retries recovered, with the jobs."""
    texts = [
        _("%(number)s of %(items)s recovered by job %(id)s")
        % {
            "number": formatting.number(group.recovered),
            "items": formatting.number(group.items),
            "id": str(retry.job_id)[:8],
        }
        for retry in job.retries
        for group in retry.groups
        if group.code == code
    ]
    return "; ".join(texts)


def _failure(job: Job, group: FailureGroup, now: datetime) -> Failure:
    cause = cause_of(group.code, is_retryable=group.is_retryable)
    return Failure(
        code=group.code,
        cause=str(cause.label),
        items=formatting.number(group.items),
        where=formatting.where(group.districts),
        latest=times.soon(group.latest_at, now, has_seconds=True),
        advice=str(cause.advice),
        is_retryable=group.is_retryable,
        retried=_retried(job, group.code),
        items_query=urlencode({"outcome": OutcomeKind.FAILED, "code": group.code}),
    )
