"""Conversion of jobs to rows and back, including rows that cannot be read."""

from __future__ import annotations

import logging
from typing import Any

from backfill.domain import IdempotencyKey, Job, JobType, Lease, Status
from backfill.errors import CorruptRecord
from backfill.models import BackfillJob
from backfill.storage.serialization import job_json, packing
from backfill.storage.serialization.corrupt_records import READ_ERRORS, corrupt_job, corrupt_job_error

logger = logging.getLogger(__name__)


def job_to_columns(job: Job) -> dict[str, Any]:
    progress, detail = job_json.progress_to_json(job.progress)
    return {
        "job_type": str(job.job_type),
        "status": str(job.status),
        "config": job_json.config_to_json(job.config),
        "created_at": job.created_at,
        "created_by": job.created_by,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "cancelled_at": job.cancelled_at,
        "resumed_at": job.resumed_at,
        "resume_count": job.resume_count,
        "takeovers": job.takeovers,
        "takeover_seconds": job.takeover_seconds,
        "retry_of": job.retry_of,
        "webhook_events": job_json.webhook_events_to_json(job.webhook_events),
        "webhook_due_at": job.webhook_events.due_at,
        "lease_owner": job.lease.owner if job.lease else "",
        "lease_expires_at": job.lease.expires_at if job.lease else None,
        "token": job.token,
        "progressed_at": job.progressed_at,
        "progress": progress,
        "detail": detail,
        "crash_isolation": job_json.crash_isolation_to_json(job.crash_isolation),
        "error": packing.storable(job.error),
        "segments": job.segments,
        "idempotency_key": job.idempotency.key if job.idempotency else "",
        "idempotency_fingerprint": job.idempotency.fingerprint if job.idempotency else "",
        "notes": job_json.notes_to_json(job.notes),
        "note_text": packing.storable(job.note_text),
        "revision": job.revision,
    }


def job_of(row: BackfillJob, *, with_detail: bool = True) -> Job:
    """Return the job of a row. Raises CorruptRecord if the row is damaged or of another version of the service."""
    try:
        return Job(
            id=row.id,
            job_type=JobType(row.job_type),
            status=Status(row.status),
            config=job_json.config_from_json(row.config),
            created_at=row.created_at,
            created_by=row.created_by,
            started_at=row.started_at,
            ended_at=row.ended_at,
            cancelled_at=row.cancelled_at,
            resumed_at=row.resumed_at,
            resume_count=row.resume_count,
            takeovers=row.takeovers,
            takeover_seconds=row.takeover_seconds,
            retry_of=row.retry_of,
            crash_isolation=job_json.crash_isolation_from_json(row.crash_isolation),
            webhook_events=job_json.webhook_events_from_json(row.webhook_events),
            lease=Lease(owner=row.lease_owner, expires_at=row.lease_expires_at) if row.lease_expires_at else None,
            token=row.token,
            progressed_at=row.progressed_at,
            progress=job_json.progress_from_json(row.progress, row.detail if with_detail else None),
            error=row.error,
            segments=row.segments,
            idempotency=IdempotencyKey(key=row.idempotency_key, fingerprint=row.idempotency_fingerprint)
            if row.idempotency_key
            else None,
            notes=job_json.notes_from_json(row.notes),
            revision=row.revision,
        )
    except READ_ERRORS as exc:
        raise corrupt_job_error(row.id, exc) from exc


def job_or_failed(row: BackfillJob, *, with_detail: bool = True) -> Job:
    """Return the job of a row. An unreadable job is returned as failed, with the values that can be read."""
    try:
        return job_of(row, with_detail=with_detail)
    except CorruptRecord as exc:
        return corrupt_job(
            {"config": row.config, "progress": row.progress},
            job_id=row.id,
            job_type=row.job_type,
            created_at=row.created_at,
            created_by=row.created_by,
            progressed_at=row.ended_at or row.progressed_at,
            token=row.token,
            revision=row.revision,
            error=row.error or exc.message,
        )


def fail_corrupt_job(row: BackfillJob, exc: CorruptRecord) -> None:
    """Mark a job that cannot be read as failed, so that another job can start. Call this inside a transaction."""
    logger.error("%s The job is marked as failed.", exc.message)
    row.status, row.error, row.ended_at = str(Status.FAILED), packing.storable(exc.message), row.progressed_at
    row.lease_owner, row.lease_expires_at = "", None
    row.token, row.revision = row.token + 1, row.revision + 1
    row.save(
        update_fields=["status", "error", "ended_at", "lease_owner", "lease_expires_at", "token", "revision"],
    )
