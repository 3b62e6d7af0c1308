"""The failed items of a job, grouped by cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.utils.translation import ngettext

from adminui.presenters import formatting
from adminui.presenters.failure_causes import cause_of
from backfill.domain import FailureGroup, Job


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    cause: str
    items: str
    where: str
    latest: str
    advice: str
    is_retryable: bool


@dataclass(frozen=True, slots=True)
class Failures:
    title: str
    groups: list[Failure]
    retryable: int
    """Number of items that can be retried."""
    retry_query: str
    """The query string that names the causes which a retry may help."""


def failures(job: Job, now: datetime) -> Failures | None:
    """None if no item has failed."""
    progress = job.progress
    if not progress.failures:
        return None
    title = ngettext("%(number)s failed item, by cause", "%(number)s failed items, by cause", progress.failed)
    return Failures(
        title=title % {"number": formatting.number(progress.failed)},
        groups=[_failure(group, now) for group in progress.failures],
        retryable=sum(group.items for group in progress.failures if group.is_retryable),
        retry_query=urlencode([("code", group.code) for group in progress.failures if group.is_retryable]),
    )


def _failure(group: FailureGroup, now: datetime) -> Failure:
    cause = cause_of(group.code, is_retryable=group.is_retryable)
    return Failure(
        code=group.code,
        cause=str(cause.label),
        items=formatting.number(group.items),
        where=formatting.where(group.districts),
        latest=formatting.soon(group.latest_at, now),
        advice=str(cause.advice),
        is_retryable=group.is_retryable,
    )
