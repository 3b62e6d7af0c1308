"""The coverage target and the state of its keeper in Django's database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from backfill import models
from backfill.domain import AuditEntry, CoverageTarget, KeeperState
from backfill.errors import CorruptRecord
from backfill.storage.orm import audit as audit_log
from backfill.storage.orm.database import atomic, translating_errors
from backfill.storage.ports import Change, TargetStorage
from backfill.storage.serialization import target_json

_ROW_ID = 1
"""The key of a table of one row."""


class OrmTargetStorage(TargetStorage):
    def target(self) -> CoverageTarget:
        with translating_errors():
            value = models.CoverageTarget.objects.filter(pk=_ROW_ID).values_list("value", flat=True).first()
        return target_json.target_from_json(value)

    def update_target(
        self,
        change: Callable[[CoverageTarget], CoverageTarget],
        *,
        audit: Callable[[CoverageTarget, CoverageTarget], AuditEntry] | None = None,
    ) -> Change[CoverageTarget]:
        with atomic():
            row, _ = models.CoverageTarget.objects.select_for_update().get_or_create(pk=_ROW_ID)
            before = CoverageTarget()
            with suppress(CorruptRecord):  # replace an unreadable target
                before = target_json.target_from_json(row.value)
            update = audit_log.audited(before, change, audit)
            if update.after != before:
                row.value = target_json.target_to_json(update.after)
                row.save()
            return update

    def keeper(self) -> KeeperState:
        with translating_errors():
            row = models.StoredKeeperState.objects.filter(pk=_ROW_ID).first()
        return _state_of(row)

    def update_keeper(
        self,
        change: Callable[[KeeperState], KeeperState],
        *,
        audit: Callable[[KeeperState, KeeperState], AuditEntry] | None = None,
    ) -> Change[KeeperState]:
        with atomic():
            row, _ = models.StoredKeeperState.objects.select_for_update().get_or_create(pk=_ROW_ID)
            before = KeeperState()
            with suppress(CorruptRecord):  # replace an unreadable state
                before = _state_of(row)
            update = audit_log.audited(before, change, audit)
            if update.after != before:
                row.value = target_json.keeper_to_json(update.after)
                row.attempts = target_json.pack_attempts(update.after.attempts)
                row.save()
            return update


def _state_of(row: models.StoredKeeperState | None) -> KeeperState:
    return target_json.keeper_from_json(row.value, bytes(row.attempts)) if row else KeeperState()
