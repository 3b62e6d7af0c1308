"""What there is one of: the slot of the active job, the shared timeline, rate limits, totals, the sign of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.domain import AuditEntry, Job, JobCounters, Pace, RateLimits, RequestSchedule, StoredLimits
from backfill.errors import CorruptRecord, LeaseLost
from backfill.storage.firestore.database import Attempt, Database, Document, plain
from backfill.storage.ports import Fence
from backfill.storage.serialization import job_json, packing

FENCE = ("job_id", "token", "is_held")
"""The fields that say which claim holds: of the slot, and of the timeline."""


def claim_on(job: Job) -> dict[str, Any] | None:
    """What the slot says of a job; None of an ended one. It changes with claims only, not with every record."""
    if not job.status.is_active:
        return None
    return {"job_id": str(job.id), "token": job.token, "is_held": job.lease is not None}


def check_fence(fence: Fence | None, holder: Document) -> None:
    """LeaseLost where the document that was read names another claim."""
    if fence is None:
        return
    if tuple((holder.to_dict() or {}).get(name) for name in FENCE) != (str(fence.job_id), fence.token, True):
        raise LeaseLost(f"Job {fence.job_id} has been taken over; nothing was written.")


class State:
    """The single documents under a prefix."""

    def __init__(self, database: Database, append: Callable[[Sequence[AuditEntry], Attempt], None]) -> None:
        """`append` adds entries of the audit trail to the writes of an attempt."""
        self._database, self._append = database, append

    def _document(self, name: str) -> DocumentReference:
        return self._database.document("state", name)

    @property
    def slot(self) -> DocumentReference:
        return self._document("slot")

    def claim(self, after: Job, trying: Attempt) -> None:
        """Say in the slot and beside the timeline who holds the job. What follows under an older claim is refused."""
        claim = claim_on(after)
        if claim is None:
            trying.writes.delete(self.slot)
        else:
            trying.writes.set(self.slot, claim)
        self.hold_schedule(claim, trying)

    def hold_schedule(self, claim: dict[str, Any] | None, trying: Attempt) -> None:
        trying.writes.set(self._document("timeline"), claim or dict.fromkeys(FENCE), merge=True)

    def count(self, ended: Job, trying: Attempt) -> None:
        """Add what an ended job came to, in the commit that ends it."""
        seen = trying.read(self._document("totals"))
        counters = job_json.counters_from_json((seen.to_dict() or {}).get("value", {}))
        trying.write(seen, {"value": job_json.counters_to_json(counters.plus(ended))})

    def counters(self) -> JobCounters:
        return job_json.counters_from_json(
            (self._database.read(self._document("totals")).to_dict() or {}).get("value", {})
        )

    def limits(self) -> StoredLimits:
        return _limits_of(self._database.read(self._document("limits")))

    def save_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None,
    ) -> StoredLimits:
        def attempt(trying: Attempt) -> StoredLimits:
            seen = trying.read(self._document("limits"))
            before = _limits_of(seen)
            if trying.has_come_through(seen):
                return before
            after = change(before)
            if after == before:
                return before
            if audit is not None:
                self._append([audit(before, after)], trying)
            value = {
                "limits": after.limits.to_dict(),
                "updated_at": after.updated_at,
                "updated_by": packing.storable(after.updated_by),
            }
            trying.write(seen, trying.marked(seen, value))
            trying.commit()
            return after

        return self._database.decide(attempt)

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], fence: Fence | None
    ) -> RequestSchedule:
        def attempt(trying: Attempt) -> RequestSchedule:
            seen = trying.read(self._document("timeline"))
            check_fence(fence, seen)
            value = seen.to_dict() or {}
            before = RequestSchedule(
                reserved_until=plain(value.get("reserved_until")),
                held_until=plain(value.get("held_until")),
                held_at=plain(value.get("held_at")),
                hold_reason=value.get("hold_reason", ""),
                pace=Pace(slowed_to=value.get("slowed_to", 1.0), slowed_at=plain(value.get("slowed_at"))),
            )
            if trying.has_come_through(seen):
                return before
            after = change(before)
            if after == before:
                return after
            changed = {
                **{name: value.get(name) for name in FENCE},
                "reserved_until": after.reserved_until,
                "held_until": after.held_until,
                "held_at": after.held_at,
                "hold_reason": packing.storable(after.hold_reason),
                "slowed_to": after.pace.slowed_to,
                "slowed_at": after.pace.slowed_at,
            }
            trying.write(seen, trying.marked(seen, changed))
            trying.commit()
            return after

        return self._database.decide(attempt)

    def report_worker(self, at: datetime) -> None:
        def attempt(trying: Attempt) -> None:
            seen = trying.read(self._document("worker"))
            before = plain((seen.to_dict() or {}).get("at"))
            if before is None or before < at:
                trying.write(seen, {"at": at})
                trying.commit()

        self._database.decide(attempt)

    def worker_seen_at(self) -> datetime | None:
        return plain((self._database.read(self._document("worker")).to_dict() or {}).get("at"))

    def ping(self) -> None:
        """A read, and a write that changes nothing: it deletes a document that there never is."""

        def attempt(trying: Attempt) -> None:
            trying.writes.delete(self._document("ping"))
            trying.commit()

        self._database.read(self.slot)
        self._database.decide(attempt)


def _limits_of(document: Document) -> StoredLimits:
    if not document.exists:
        return StoredLimits()
    value = document.to_dict() or {}
    try:
        return StoredLimits(
            limits=RateLimits(**value["limits"]), updated_at=plain(value["updated_at"]), updated_by=value["updated_by"]
        )
    except (KeyError, TypeError) as exc:
        raise CorruptRecord(f"The stored rate limits cannot be read: {exc!r}.") from exc
