"""Rate limits, job counters, the request schedule and the worker heartbeat in Firestore: a document each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from google.cloud.firestore import DocumentReference

from backfill.domain import AuditEntry, JobCounters, Pace, RateLimits, RequestSchedule, StoredLimits
from backfill.errors import CorruptRecord
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import Attempt, Database, Document, answering, plain
from backfill.storage.firestore.state import FENCE, check_fence, counters_of
from backfill.storage.ports import Change, ControlStorage, Fence
from backfill.storage.serialization import packing


class FirestoreControlStorage(ControlStorage):
    def __init__(self, database: Database, audit_log: FirestoreAuditStorage) -> None:
        self._database, self._audit_log = database, audit_log

    def _document(self, name: str) -> DocumentReference:
        return self._database.document("state", name)

    def rate_limits(self) -> StoredLimits:
        with answering():
            return _limits_of(self._database.read(self._document("limits")))

    def update_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> Change[StoredLimits]:
        sent: list[Change[StoredLimits]] = []

        def attempt(trying: Attempt) -> Change[StoredLimits]:
            seen = trying.read(self._document("limits"))
            before = _limits_of(seen)
            if sent and trying.has_come_through(seen):
                return sent[-1]
            after = change(before)
            if after == before:
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                self._audit_log.append([entry], trying)
            value = {
                "limits": after.limits.to_dict(),
                "updated_at": after.updated_at,
                "updated_by": packing.storable(after.updated_by),
            }
            trying.write(seen, trying.marked(seen, value))
            sent.append(Change(before, after, entry))
            trying.commit()
            return sent[-1]

        with answering():
            return self._database.decide(attempt)

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
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

        with answering():
            return self._database.decide(attempt)

    def report_worker(self, at: datetime) -> None:
        def attempt(trying: Attempt) -> None:
            seen = trying.read(self._document("worker"))
            before = plain((seen.to_dict() or {}).get("at"))
            if before is None or before < at:
                trying.write(seen, {"at": at})
                trying.commit()

        with answering():
            self._database.decide(attempt)

    def worker_seen_at(self) -> datetime | None:
        with answering():
            return plain((self._database.read(self._document("worker")).to_dict() or {}).get("at"))

    def counters(self) -> JobCounters:
        with answering():
            return counters_of(self._database.read(self._document("totals")))

    def ping(self) -> None:
        """Read a document, and delete one that never exists, which is a write without effect."""

        def attempt(trying: Attempt) -> None:
            trying.writes.delete(self._document("ping"))
            trying.commit()

        with answering():
            self._database.read(self._document("slot"))
            self._database.decide(attempt)

    def disconnect(self) -> None:
        """Do nothing: all threads of a process share the client."""


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
