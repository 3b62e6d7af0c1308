"""Webhook events of the coverage target: it is incomplete for days, or complete again.

They are derived from the stored state of the keeper, and stored there until they are delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backfill.domain.webhook_event import WebhookEvent, WebhookEventType

if TYPE_CHECKING:
    from backfill.domain.coverage_target import CoverageTarget
    from backfill.domain.keeper_state import KeeperState

REPORTED_AFTER = timedelta(days=3)
"""How long the target is incomplete before it is reported."""


@dataclass(frozen=True, slots=True)
class TargetEvents:
    """The newest event, and what it reported."""

    newest: WebhookEvent | None = None
    version: int = 0
    """The version of the target that it reported."""

    def reports(self, kind: WebhookEventType, version: int) -> bool:
        return self.newest is not None and self.newest.event is kind and self.version == version


NO_EVENTS = TargetEvents()


def with_target_event(state: KeeperState, target: CoverageTarget, sentence: str, now: datetime) -> KeeperState:
    """The state with a new event, if there is something to report; otherwise the same state.

    The target is reported incomplete when it has been so for REPORTED_AFTER, and complete at the first check that finds
    it complete: after each change of the target, and after it was reported incomplete.
    """
    findings, version = state.findings, target.version
    if not target.settings.enabled or findings is None or state.checked_version != version:
        return state
    since = state.incomplete_since
    if findings.is_complete:
        kind = WebhookEventType.TARGET_COMPLETE
    elif since is not None and now - since >= REPORTED_AFTER:
        kind = WebhookEventType.TARGET_INCOMPLETE
    else:
        return state
    if state.events.reports(kind, version):
        return state
    event = WebhookEvent(event=kind, at=now, sentence=sentence, due_at=now)
    return replace(state, events=TargetEvents(event, version))
