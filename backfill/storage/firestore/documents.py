"""Conversion of jobs to documents. Fields that queries use are separate; the rest is packed and not indexed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from backfill.domain import IdempotencyKey, Job, JobType, Lease, Status
from backfill.errors import CorruptRecord
from backfill.storage.firestore.database import Document, to_datetime
from backfill.storage.serialization import job_json, packing
from backfill.storage.serialization.corrupt_records import READ_ERRORS, corrupt_job, corrupt_job_error, read_or_default

LISTED = ("status", "created_at", "ended_at", "notice_due_at", "body")
"""The fields that a list of jobs needs: all except the detail of the progress."""

_LONGEST_JOB = timedelta(days=370)


def ttl_expiry(written_at: datetime, retention: timedelta) -> datetime:
    """Return the time after which a TTL policy may delete a plan or a segment: after the retention of its job."""
    return written_at + _LONGEST_JOB + retention


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def job_to_document(job: Job, retention: timedelta) -> dict[str, Any]:
    progress, detail = job_json.progress_to_json(job.progress)
    body = {
        "config": job_json.config_to_json(job.config),
        "createdAt": _text(job.created_at),
        "createdBy": packing.storable(job.created_by),
        "startedAt": _text(job.started_at),
        "endedAt": _text(job.ended_at),
        "cancelledAt": _text(job.cancelled_at),
        "resumedAt": _text(job.resumed_at),
        "resumeCount": job.resume_count,
        "takeovers": job.takeovers,
        "takeoverSeconds": job.takeover_seconds,
        "retryOf": str(job.retry_of) if job.retry_of else None,
        "flight": job_json.crash_isolation_to_json(job.crash_isolation),
        "notices": job_json.webhook_events_to_json(job.webhook_events),
        "lease": [job.lease.owner, job.lease.expires_at.isoformat()] if job.lease else None,
        "token": job.token,
        "progressedAt": _text(job.progressed_at),
        "progress": progress,
        "error": packing.storable(job.error),
        "segments": job.segments,
        "idempotency": [job.idempotency.key, job.idempotency.fingerprint] if job.idempotency else None,
        "notes": job_json.notes_to_json(job.notes),
        "revision": job.revision,
    }
    return {
        "job_type": str(job.job_type),
        "status": str(job.status),
        "is_active": job.status.is_active,
        "created_at": job.created_at,
        "retry_of": str(job.retry_of) if job.retry_of else None,
        "ended_at": job.ended_at,
        "notice_due_at": job.webhook_events.due_at,
        "idempotency_key": job.idempotency.key if job.idempotency else None,
        "expires_at": job.ended_at + retention if job.ended_at else None,
        "body": packing.pack_json({"jobType": str(job.job_type), "status": str(job.status), **body}),
        "detail": packing.pack_json(detail),
    }


def job_of(document: Document, *, with_detail: bool = True) -> Job:
    """Return the job of a document. Raises CorruptRecord, which names the job."""
    subject = f"job {document.id}"
    value = document.to_dict() or {}
    try:
        body = packing.unpack_json(bytes(value["body"]), subject)
        detail = packing.unpack_json(bytes(value["detail"]), subject) if with_detail else None
        lease, key = body["lease"], body["idempotency"]
        return Job(
            id=UUID(document.id),
            job_type=JobType(body["jobType"]),
            status=Status(body["status"]),
            config=job_json.config_from_json(body["config"]),
            created_at=datetime.fromisoformat(body["createdAt"]),
            created_by=body["createdBy"],
            started_at=_instant(body["startedAt"]),
            ended_at=_instant(body["endedAt"]),
            cancelled_at=_instant(body["cancelledAt"]),
            resumed_at=_instant(body["resumedAt"]),
            resume_count=body["resumeCount"],
            takeovers=body["takeovers"],
            takeover_seconds=body["takeoverSeconds"],
            retry_of=UUID(body["retryOf"]) if body["retryOf"] else None,
            crash_isolation=job_json.crash_isolation_from_json(body["flight"]),
            webhook_events=job_json.webhook_events_from_json(body["notices"]),
            lease=Lease(owner=lease[0], expires_at=datetime.fromisoformat(lease[1])) if lease else None,
            token=body["token"],
            progressed_at=datetime.fromisoformat(body["progressedAt"]),
            progress=job_json.progress_from_json(body["progress"], detail),
            error=body["error"],
            segments=body["segments"],
            idempotency=IdempotencyKey(key=key[0], fingerprint=key[1]) if key else None,
            notes=job_json.notes_from_json(body.get("notes", ())),
            revision=body["revision"],
        )
    except READ_ERRORS as exc:
        raise corrupt_job_error(document.id, exc) from exc


def job_or_failed(document: Document, *, with_detail: bool = True) -> Job:
    """Return the job of a document. An unreadable job is returned as failed, with the values that can be read."""
    try:
        return job_of(document, with_detail=with_detail)
    except CorruptRecord as exc:
        value = document.to_dict() or {}
        body: dict[str, Any] = read_or_default(lambda: packing.unpack_json(bytes(value["body"]), "job"), {})
        created_at = to_datetime(value.get("created_at")) or datetime.min.replace(tzinfo=UTC)
        return corrupt_job(
            body,
            job_id=UUID(document.id),
            job_type=str(value.get("job_type")),
            created_at=created_at,
            created_by=str(body.get("createdBy", "")),
            progressed_at=read_or_default(lambda: datetime.fromisoformat(body["progressedAt"]), created_at),
            token=read_or_default(lambda: int(body["token"]), 0),
            revision=read_or_default(lambda: int(body["revision"]), 0),
            error=exc.message,
        )
