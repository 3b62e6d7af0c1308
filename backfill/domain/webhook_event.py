"""Webhook events, which are stored until they are delivered. Those of a job, that it ended or is held, are with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

HOLD_REPORTED_AFTER = timedelta(minutes=5)
"""How long a hold lasts before it is reported."""

GIVEN_UP_AFTER = timedelta(hours=24)
"""How long delivery is attempted."""

TARGET_ID = UUID("5f0c3c52-2c4f-5d0b-9d0a-3b7f2f1f3f10")
"""The subject of the events of the coverage target, of which there is one."""

_FIRST_RETRY = timedelta(seconds=15)
_LONGEST_RETRY = timedelta(hours=1)


class WebhookEventType(StrEnum):
    ENDED = "job.ended"
    HELD = "job.held"
    TARGET_INCOMPLETE = "target.incomplete"
    TARGET_COMPLETE = "target.complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """An event that is delivered at least once.

    A process claims an attempt before it makes it, and the claim sets when the next attempt is due. So one process
    tries at a time, and a process that is killed during an attempt does not lose the event.
    """

    event: WebhookEventType
    at: datetime
    """The end of the job, the beginning of the hold, or when the state of the target was found."""
    sentence: str
    due_at: datetime | None
    """When the next attempt is due; None after delivery or giving up."""
    attempts: int = 0

    def id_for(self, subject: UUID) -> UUID:
        """The same for every attempt, so that receivers can detect repetitions. `subject`: the job, or TARGET_ID."""
        return uuid5(subject, f"{self.event} {self.at.isoformat()}")

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now

    def is_old(self, now: datetime) -> bool:
        return now - self.at > GIVEN_UP_AFTER

    def attempted(self, now: datetime) -> WebhookEvent:
        delay = min(_FIRST_RETRY * 2 ** min(self.attempts, 16), _LONGEST_RETRY)
        return replace(self, attempts=self.attempts + 1, due_at=now + delay)

    def settled(self) -> WebhookEvent:
        """Return the event after delivery or giving up: no further attempt is due."""
        return replace(self, due_at=None)


def hold_event(sentence: str, since: datetime) -> WebhookEvent:
    """The event of a hold that cannot be stored, because the store is unavailable; due if the hold lasts."""
    return WebhookEvent(event=WebhookEventType.HELD, at=since, sentence=sentence, due_at=since + HOLD_REPORTED_AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvents:
    """The events of one job: its end and its newest hold."""

    ended: WebhookEvent | None = None
    held: WebhookEvent | None = None
    held_since: datetime | None = None
    """When the current hold began."""
    hold_ended_at: datetime | None = None
    """When an operator last ended a hold."""

    def all(self) -> tuple[WebhookEvent, ...]:
        return tuple(event for event in (self.ended, self.held) if event is not None)

    @property
    def due_at(self) -> datetime | None:
        """When the first event is due."""
        return min((event.due_at for event in self.all() if event.due_at is not None), default=None)

    def replaced(self, event: WebhookEvent) -> WebhookEvents:
        """Return a copy in which the event replaces the one of the same type."""
        return replace(self, ended=event) if event.event is WebhookEventType.ENDED else replace(self, held=event)

    def find(self, event: WebhookEventType) -> WebhookEvent | None:
        return self.ended if event is WebhookEventType.ENDED else self.held

    def holding(self, sentence: str, until: datetime | None, now: datetime) -> WebhookEvents:
        """Return the events during a hold. It is reported once, if it lasts or will last for HOLD_REPORTED_AFTER."""
        since = self.held_since or now
        if max(now, until or now) - since < HOLD_REPORTED_AFTER or (self.held is not None and self.held.at == since):
            return self if since == self.held_since else replace(self, held_since=since)
        event = WebhookEvent(event=WebhookEventType.HELD, at=since, sentence=sentence, due_at=now)
        return replace(self, held=event, held_since=since)

    def without_hold(self) -> WebhookEvents:
        """Return a copy without the event of a hold that has ended, even if it was not delivered."""
        return self if self.held_since is None else replace(self, held=None, held_since=None)
