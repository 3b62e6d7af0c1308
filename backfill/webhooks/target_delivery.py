"""Delivers the events of the coverage target."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from backfill.domain import KeeperState, WebhookEvent, with_target_event
from backfill.domain.clock import Clock
from backfill.domain.webhook_event import TARGET_ID
from backfill.errors import CorruptRecord
from backfill.service.targets import TargetService, TargetView
from backfill.webhooks.sender import WebhookSender

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 30.0
"""How often the state of the target is read. It changes with a check, about once a day."""


class TargetDelivery:
    """Creates and delivers the events. Any number of processes share them through the stored state."""

    def __init__(self, targets: TargetService, sender: WebhookSender, clock: Clock) -> None:
        self._targets, self._sender, self._clock = targets, sender, clock
        self._last_read: float | None = None
        self._is_unreadable = False

    def deliver_due(self) -> None:
        """Deliver the newest event if it is due. Reads the state at most every 30 s. Raises StorageUnavailable."""
        now = self._clock.monotonic()
        if self._last_read is not None and now - self._last_read < _EVERY_SECONDS:
            return
        self._last_read = now
        try:
            self._deliver()
        except CorruptRecord as exc:
            if not self._is_unreadable:
                logger.warning("%s Its webhook events cannot be delivered.", exc.message, extra={"code": exc.code})
            self._is_unreadable = True
        else:
            self._is_unreadable = False

    def _deliver(self) -> None:
        view, state, now = self._targets.get(), self._targets.storage.targets.keeper(), self._clock.now()
        wanted = with_target_event(state, view.target, view.status.sentence, now)
        if wanted != state:
            state = self._targets.storage.targets.update_keeper(
                lambda before: with_target_event(before, view.target, view.status.sentence, now)
            ).after
        event = state.events.newest
        if event is None or not event.is_due(now):
            return
        attempt = event.settled() if event.is_old(now) else event.attempted(now)
        if not self._replace(event, attempt):
            return  # another process delivers it
        if attempt.due_at is None:
            logger.warning("The coverage target: gave up delivering %s.", event.event, extra=_log_fields(event))
        elif self._sender.post("The coverage target", TARGET_ID, event, _body(view, event), _log_fields(event)):
            self._replace(attempt, attempt.settled())

    def _replace(self, before: WebhookEvent, after: WebhookEvent) -> bool:
        """Replace the newest event. Returns False if the stored one is not `before`."""
        is_unchanged = False

        def change(state: KeeperState) -> KeeperState:
            nonlocal is_unchanged
            is_unchanged = state.events.newest == before
            return replace(state, events=replace(state.events, newest=after)) if is_unchanged else state

        self._targets.storage.targets.update_keeper(change)
        return is_unchanged


def _body(view: TargetView, event: WebhookEvent) -> bytes:
    from backfill.serializers.webhooks import TargetMessage, TargetMessageSerializer

    return json.dumps(TargetMessageSerializer.render(TargetMessage(view, event))).encode()


def _log_fields(event: WebhookEvent) -> dict[str, object]:
    return {"event": str(event.event), "delivery": str(event.id_for(TARGET_ID)), "attempt": event.attempts + 1}
