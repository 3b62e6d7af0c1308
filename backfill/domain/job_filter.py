"""Which jobs a list contains."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backfill.domain.job import Job
from backfill.domain.job_types import JobType
from backfill.domain.status import Status

_DIGITS = 32
_BEGINNING = re.compile(f"[0-9a-fA-F]{{1,{_DIGITS}}}")
"""Of the hexadecimal digits of an id."""


class JobOutcome(StrEnum):
    """How a job ended. A completed job with and without failed items has different outcomes."""

    SUCCEEDED = "succeeded"
    COMPLETED_WITH_FAILURES = "completed-with-failures"
    FAILED = "failed"
    CANCELLED = "cancelled"


def outcome_of(job: Job) -> JobOutcome | None:
    """None while it is active. Failed items count even if they were retried since."""
    if job.status is Status.COMPLETED:
        return JobOutcome.COMPLETED_WITH_FAILURES if job.progress.failed else JobOutcome.SUCCEEDED
    return {Status.FAILED: JobOutcome.FAILED, Status.CANCELLED: JobOutcome.CANCELLED}.get(job.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Empty and None values match any job."""

    statuses: frozenset[Status] = frozenset()
    job_types: frozenset[JobType] = frozenset()
    outcomes: frozenset[JobOutcome] = frozenset()
    created_from: datetime | None = None
    created_to: datetime | None = None
    """Excluded."""
    created_by: str = ""
    """The whole name of the operator."""
    text: str = ""
    """The beginning of the id, or a part of a note; without regard to case."""
    retry_of: frozenset[UUID] = frozenset()

    def matches(self, job: Job) -> bool:
        return (
            (not self.statuses or job.status in self.statuses)
            and (not self.job_types or job.job_type in self.job_types)
            and (not self.outcomes or outcome_of(job) in self.outcomes)
            and (self.created_from is None or job.created_at >= self.created_from)
            and (self.created_to is None or job.created_at < self.created_to)
            and (not self.created_by or job.created_by == self.created_by)
            and (not self.retry_of or job.retry_of in self.retry_of)
            and (not self.text or self._has_text(job))
        )

    def _has_text(self, job: Job) -> bool:
        ids = self.ids
        return (ids is not None and ids[0] <= job.id <= ids[1]) or self.folded_text in job.note_text

    @property
    def folded_text(self) -> str:
        """The text as it is compared with `Job.note_text`."""
        return self.text.casefold()

    @property
    def ids(self) -> tuple[UUID, UUID] | None:
        """The first and the last id that begins with the text; None if no id does. Hyphens do not matter."""
        digits = self.text.replace("-", "")
        if _BEGINNING.fullmatch(digits) is None:
            return None
        return UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
