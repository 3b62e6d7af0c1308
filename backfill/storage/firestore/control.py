"""Rate limits, job counters, the request schedule and the worker heartbeat in Firestore: one document each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.domain import AuditEntry, JobCounters, Pace, RateLimits, RequestSchedule, StoredLimits
from backfill.errors import CorruptRecord
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import Attempt, Database, Document, to_datetime, translating_errors
from backfill.storage.firestore.state import FENCE, check_fence, counters_of
from backfill.storage.ports import Change, ControlStorage, Fence
from backfill.storage.serialization import packing


class FirestoreControlStorage(ControlStorage):
    def __init__(self, database: Database, audit_log: FirestoreAuditStorage) -> None:
        self._database, self._audit_log = database, audit_log

    def _document(self, name: str) -> DocumentReference:
        return self._database.document("state", name)

    def rate_limits(self) -> StoredLimits:
        with translating_errors():
            return _limits_of(self._database.read(self._document("limits")))

    def update_rate_limits(
        self,
        change: Callable[[StoredLimits], StoredLimits],
        *,
        audit: Callable[[StoredLimits, StoredLimits], AuditEntry] | None = None,
    ) -> Change[StoredLimits]:
        def to_value(stored: StoredLimits) -> dict[str, Any]:
            return {
                "limits": stored.limits.to_dict(),
                "updated_at": stored.updated_at,
                "updated_by": packing.storable(stored.updated_by),
            }

        return self._audit_log.update(self._document("limits"), _limits_of, to_value, change, audit)

    def update_schedule(
        self, change: Callable[[RequestSchedule], RequestSchedule], *, fence: Fence | None = None
    ) -> RequestSchedule:
        def write(attempt: Attempt) -> RequestSchedule:
            seen = attempt.read(self._document("timeline"))
            check_fence(fence, seen)
            value = seen.to_dict() or {}
            before = RequestSchedule(
                reserved_until=to_datetime(value.get("reserved_until")),
                held_until=to_datetime(value.get("held_until")),
                held_at=to_datetime(value.get("held_at")),
                hold_reason=value.get("hold_reason", ""),
                pace=Pace(slowed_to=value.get("slowed_to", 1.0), slowed_at=to_datetime(value.get("slowed_at"))),
            )

            def to_value(after: RequestSchedule) -> dict[str, Any]:
                return {
                    **{name: value.get(name) for name in FENCE},
                    "reserved_until": after.reserved_until,
                    "held_until": after.held_until,
                    "held_at": after.held_at,
                    "hold_reason": packing.storable(after.hold_reason),
                    "slowed_to": after.pace.slowed_to,
                    "slowed_at": after.pace.slowed_at,
                }

            return attempt.change_once(seen, before, change, to_value)

        with translating_errors():
            return self._database.run(write)

    def report_worker(self, at: datetime) -> None:
        def write(attempt: Attempt) -> None:
            seen = attempt.read(self._document("worker"))
            before = to_datetime((seen.to_dict() or {}).get("at"))
            if before is None or before < at:
                attempt.write(seen, {"at": at})
                attempt.commit()

        with translating_errors():
            self._database.run(write)

    def worker_seen_at(self) -> datetime | None:
        with translating_errors():
            return to_datetime((self._database.read(self._document("worker")).to_dict() or {}).get("at"))

    def counters(self) -> JobCounters:
        with translating_errors():
            return counters_of(self._database.read(self._document("totals")))

    def ping(self) -> None:
        """Read a document, and delete a document that never exists: a write without effect."""

        def write(attempt: Attempt) -> None:
            attempt.writes.delete(self._document("ping"))
            attempt.commit()

        with translating_errors():
            self._database.read(self._document("slot"))
            self._database.run(write)

    def disconnect(self) -> None:
        """Do nothing: all threads of a process share the client."""


def _limits_of(document: Document) -> StoredLimits:
    if not document.exists:
        return StoredLimits()
    value = document.to_dict() or {}
    try:
        return StoredLimits(
            limits=RateLimits(**value["limits"]),
            updated_at=to_datetime(value["updated_at"]),
            updated_by=value["updated_by"],
        )
    except (KeyError, TypeError) as exc:
        raise CorruptRecord(f"The stored rate limits cannot be read: {exc!r}.") from exc
