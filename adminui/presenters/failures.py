"""The failed items of a job by their cause: what it was, where, and whether a retry helps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import ngettext

from adminui.presenters import formatting
from adminui.presenters.failure_causes import cause_of
from backfill.domain import FailureGroup, Job


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    words: str
    items: str
    where: str
    latest: str
    advice: str
    is_retryable: bool


@dataclass(frozen=True, slots=True)
class Failures:
    head: str
    groups: list[Failure]
    retryable: int
    """How many items can be retried."""


def failures(job: Job, now: datetime) -> Failures | None:
    """None where no item has failed."""
    progress = job.progress
    if not progress.failures:
        return None
    head = ngettext("%(number)s failed item, by cause", "%(number)s failed items, by cause", progress.failed)
    return Failures(
        head=head % {"number": formatting.number(progress.failed)},
        groups=[_failure(group, now) for group in progress.failures],
        retryable=sum(group.items for group in progress.failures if group.is_retryable),
    )


def _failure(group: FailureGroup, now: datetime) -> Failure:
    cause = cause_of(group.code, is_retryable=group.is_retryable)
    return Failure(
        code=group.code,
        words=str(cause.label),
        items=formatting.number(group.items),
        where=formatting.where(group.districts),
        latest=formatting.soon(group.latest_at, now),
        advice=str(cause.advice),
        is_retryable=group.is_retryable,
    )
