"""The coverage target and the state of its keeper in Firestore: one document each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.cloud.firestore import DocumentReference

from backfill.domain import AuditEntry, CoverageTarget, KeeperState
from backfill.errors import CorruptRecord
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import Attempt, Database, Document, translating_errors
from backfill.storage.ports import Change, TargetStorage
from backfill.storage.serialization import target_json

T = TypeVar("T", CoverageTarget, KeeperState)


class FirestoreTargetStorage(TargetStorage):
    def __init__(self, database: Database, audit_log: FirestoreAuditStorage) -> None:
        self._database, self._audit_log = database, audit_log

    def _document(self, name: str) -> DocumentReference:
        return self._database.document("state", name)

    def target(self) -> CoverageTarget:
        with translating_errors():
            return _target_of(self._database.read(self._document("target")))

    def update_target(
        self,
        change: Callable[[CoverageTarget], CoverageTarget],
        *,
        audit: Callable[[CoverageTarget, CoverageTarget], AuditEntry] | None = None,
    ) -> Change[CoverageTarget]:
        def to_value(target: CoverageTarget) -> dict[str, Any]:
            return {"value": target_json.target_to_json(target)}

        return self._update("target", _target_or_default, to_value, change, audit=audit)

    def keeper(self) -> KeeperState:
        with translating_errors():
            return _state_of(self._database.read(self._document("keeper")))

    def update_keeper(
        self,
        change: Callable[[KeeperState], KeeperState],
        *,
        audit: Callable[[KeeperState, KeeperState], AuditEntry] | None = None,
    ) -> Change[KeeperState]:
        def to_value(state: KeeperState) -> dict[str, Any]:
            return {
                "value": target_json.keeper_to_json(state),
                "attempts": target_json.pack_attempts(state.attempts),
            }

        return self._update("keeper", _state_or_default, to_value, change, audit=audit)

    def _update(
        self,
        name: str,
        read: Callable[[Document], T],
        to_value: Callable[[T], dict[str, Any]],
        change: Callable[[T], T],
        *,
        audit: Callable[[T, T], AuditEntry] | None,
    ) -> Change[T]:
        sent: list[Change[T]] = []

        def write(attempt: Attempt) -> Change[T]:
            seen = attempt.read(self._document(name))
            if sent and attempt.is_committed(seen):
                return sent[-1]
            before = read(seen)
            after = change(before)
            if after == before:
                return Change(before, before)
            entry = audit(before, after) if audit else None
            if entry is not None:
                self._audit_log.append([entry], attempt)
            attempt.write(seen, attempt.with_change_id(seen, to_value(after)))
            sent.append(Change(before, after, entry))
            attempt.commit()
            return sent[-1]

        with translating_errors():
            return self._database.run(write)


def _target_of(document: Document) -> CoverageTarget:
    return target_json.target_from_json((document.to_dict() or {}).get("value"))


def _target_or_default(document: Document) -> CoverageTarget:
    """An unreadable target is replaced like the default."""
    try:
        return _target_of(document)
    except CorruptRecord:
        return CoverageTarget()


def _state_of(document: Document) -> KeeperState:
    value = document.to_dict() or {}
    return target_json.keeper_from_json(value.get("value"), value.get("attempts"))


def _state_or_default(document: Document) -> KeeperState:
    try:
        return _state_of(document)
    except CorruptRecord:
        return KeeperState()
