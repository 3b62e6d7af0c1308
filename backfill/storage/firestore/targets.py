"""The coverage target and the state of its keeper in Firestore: one document each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.cloud.firestore import DocumentReference

from backfill.domain import AuditEntry, CoverageTarget, KeeperState
from backfill.errors import CorruptRecord
from backfill.storage.firestore.audit import FirestoreAuditStorage
from backfill.storage.firestore.database import Database, Document, translating_errors
from backfill.storage.ports import Change, TargetStorage
from backfill.storage.serialization import target_json


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

        return self._audit_log.update(self._document("target"), _target_or_default, to_value, change, audit)

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

        return self._audit_log.update(self._document("keeper"), _state_or_default, to_value, change, audit)


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
