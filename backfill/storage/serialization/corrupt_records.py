"""Handling of stored jobs that cannot be read, for all adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from backfill.domain import Job, JobConfig, JobType, Progress, Status
from backfill.errors import CorruptRecord
from backfill.storage.serialization import job_json

T = TypeVar("T")

READ_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""Errors that occur while a damaged value, or one of another version, is read."""


def read_or_default(read: Callable[[], T], default: T) -> T:
    """Return the result of `read`, or the default if it raises an error of reading."""
    try:
        return read()
    except (*READ_ERRORS, CorruptRecord):
        return default


def corrupt_job_error(job_id: object, exc: Exception) -> CorruptRecord:
    """Build the CorruptRecord error for a job whose reading raised `exc`."""
    cause = f"{exc} is missing" if isinstance(exc, KeyError) else exc
    return CorruptRecord(
        f"Job {job_id} cannot be read. It is damaged or was written by another version of this service: {cause}."
    )


def corrupt_job(
    value: Mapping[str, Any],
    *,
    job_id: UUID,
    job_type: str,
    created_at: datetime,
    created_by: str,
    progressed_at: datetime,
    token: int,
    revision: int,
    error: str,
) -> Job:
    """Return a failed job in place of an unreadable one, with those parts of `value` that can be read.

    `value` contains the `config` and the `progress` of the job as JSON.
    """
    return Job(
        id=job_id,
        job_type=read_or_default(lambda: JobType(job_type), JobType.DATA_COLLECTION),
        status=Status.FAILED,
        config=read_or_default(
            lambda: job_json.config_from_json(value["config"]), JobConfig(start_date=None, end_date=None)
        ),
        created_at=created_at,
        created_by=created_by,
        ended_at=progressed_at,
        token=token,
        progressed_at=progressed_at,
        progress=read_or_default(lambda: job_json.progress_from_json(value["progress"], None), Progress(total_items=0)),
        error=error,
        revision=revision,
    )
