"""The documents that change together with a job: its slot, the claim on the request schedule, and the job counters."""

from __future__ import annotations

from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.domain import Job, JobCounters
from backfill.errors import LeaseLost
from backfill.storage.firestore.database import Attempt, Database, Document
from backfill.storage.ports import Fence
from backfill.storage.serialization import job_json

FENCE = ("job_id", "token", "is_held")
"""The fields of the slot and of the request schedule that identify the current claim."""


def claim_fields(job: Job) -> dict[str, Any] | None:
    """Return the slot's fields for a job; None if it has ended. They change with claims, not with every record."""
    if not job.status.is_active:
        return None
    return {"job_id": str(job.id), "token": job.token, "is_held": job.lease is not None}


def check_fence(fence: Fence | None, holder: Document) -> None:
    """Raise LeaseLost if the document names another claim."""
    if fence is None:
        return
    if tuple((holder.to_dict() or {}).get(name) for name in FENCE) != (str(fence.job_id), fence.token, True):
        raise LeaseLost(f"Job {fence.job_id} has been taken over; nothing was written.")


class State:
    """The single documents that a change of a job may write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def slot(self) -> DocumentReference:
        return self._database.document("state", "slot")

    def claim(self, after: Job, attempt: Attempt) -> None:
        """Write the job's claim to the slot and the request schedule, which fences off writes under older claims."""
        claim = claim_fields(after)
        if claim is None:
            attempt.writes.delete(self.slot)
        else:
            attempt.writes.set(self.slot, claim)
        self.claim_schedule(claim, attempt)

    def claim_schedule(self, claim: dict[str, Any] | None, attempt: Attempt) -> None:
        schedule = self._database.document("state", "timeline")
        attempt.writes.set(schedule, claim or dict.fromkeys(FENCE), merge=True)

    def count(self, ended: Job, attempt: Attempt) -> None:
        """Add an ended job to the counters, in the commit that ends it."""
        seen = attempt.read(self._database.document("state", "totals"))
        attempt.write(seen, {"value": job_json.counters_to_json(counters_of(seen).plus(ended))})


def counters_of(document: Document) -> JobCounters:
    return job_json.counters_from_json((document.to_dict() or {}).get("value", {}))
