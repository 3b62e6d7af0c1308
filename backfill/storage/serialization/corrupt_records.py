"""What is made of a stored job that cannot be read: a failed one that says so. The same for every adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from backfill.domain import Job, JobConfig, JobType, Progress, Status
from backfill.errors import CorruptRecord
from backfill.storage.serialization import job_json

T = TypeVar("T")

UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading of a value may raise that is not as this version would have written it."""


def readable(read: Callable[[], T], otherwise: T) -> T:
    """What `read` returns, where it can read."""
    try:
        return read()
    except (*UNREADABLE, CorruptRecord):
        return otherwise


def unreadable_job(job_id: object, exc: Exception) -> CorruptRecord:
    what = f"{exc} is missing" if isinstance(exc, KeyError) else exc
    return CorruptRecord(
        f"Job {job_id} cannot be read, since it is damaged or of another version of this service: {what}."
    )


def salvaged_job(
    value: Mapping[str, Any],
    *,
    job_id: UUID,
    job_type: str,
    created_at: datetime,
    created_by: str,
    moved_at: datetime,
    token: int,
    revision: int,
    error: str,
) -> Job:
    """`value` has its `config` and `progress` as JSON, of which is kept what can be read."""
    return Job(
        id=job_id,
        job_type=readable(lambda: JobType(job_type), JobType.DATA_COLLECTION),
        status=Status.FAILED,
        config=readable(lambda: job_json.config_from_json(value["config"]), JobConfig(start_date=None, end_date=None)),
        created_at=created_at,
        created_by=created_by,
        ended_at=moved_at,
        token=token,
        progressed_at=moved_at,
        progress=readable(lambda: job_json.progress_from_json(value["progress"], None), Progress(total_items=0)),
        error=error,
        revision=revision,
    )
