"""What the world outside is told of a job: that it ended, that it is held up. Kept with it until it is delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

HOLD_REPORTED_AFTER = timedelta(minutes=5)
"""A job that is held up for longer than this is worth a message."""

GIVEN_UP_AFTER = timedelta(hours=24)
"""A message that could not be delivered for so long is no news any more."""

_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(hours=1)


class WebhookEventType(StrEnum):
    ENDED = "job.ended"
    HELD = "job.held"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A message that is to be delivered, at least once.

    An attempt is claimed before it is made, and the claim says when the next is due: so of many processes one tries
    at a time, and one that is killed in the attempt loses nothing.
    """

    event: WebhookEventType
    at: datetime
    """When it happened: the end of the job, the beginning of the hold."""
    sentence: str
    due_at: datetime | None
    """When the next attempt may be made; None where it was delivered or given up."""
    attempts: int = 0

    def id_for(self, job_id: UUID) -> UUID:
        """The same at every attempt, so that the receiver can tell a repetition."""
        return uuid5(job_id, f"{self.event} {self.at.isoformat()}")

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now

    def is_old(self, now: datetime) -> bool:
        return now - self.at > GIVEN_UP_AFTER

    def attempted(self, now: datetime) -> WebhookEvent:
        pause = min(_FIRST_PAUSE * 2 ** min(self.attempts, 16), _LONGEST_PAUSE)
        return replace(self, attempts=self.attempts + 1, due_at=now + pause)

    def settled(self) -> WebhookEvent:
        """Delivered, or given up."""
        return replace(self, due_at=None)


def hold_event(sentence: str, since: datetime) -> WebhookEvent:
    """Of a hold that the store cannot know of, since it is the store that is away; due if it lasts."""
    return WebhookEvent(event=WebhookEventType.HELD, at=since, sentence=sentence, due_at=since + HOLD_REPORTED_AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvents:
    """Of one job: its end, its newest hold, and since when it is held up."""

    ended: WebhookEvent | None = None
    held: WebhookEvent | None = None
    held_since: datetime | None = None

    def all(self) -> tuple[WebhookEvent, ...]:
        return tuple(event for event in (self.ended, self.held) if event is not None)

    @property
    def due_at(self) -> datetime | None:
        """When the first of them is due."""
        return min((event.due_at for event in self.all() if event.due_at is not None), default=None)

    def replaced(self, event: WebhookEvent) -> WebhookEvents:
        """With that notice in the place of the one of its event."""
        return replace(self, ended=event) if event.event is WebhookEventType.ENDED else replace(self, held=event)

    def find(self, event: WebhookEventType) -> WebhookEvent | None:
        return self.ended if event is WebhookEventType.ENDED else self.held

    def holding(self, sentence: str, until: datetime | None, now: datetime) -> WebhookEvents:
        """The job is held up; told once, when that lasts or is known to last."""
        since = self.held_since or now
        if max(now, until or now) - since < HOLD_REPORTED_AFTER or (self.held is not None and self.held.at == since):
            return self if since == self.held_since else replace(self, held_since=since)
        event = WebhookEvent(event=WebhookEventType.HELD, at=since, sentence=sentence, due_at=now)
        return replace(self, held=event, held_since=since)

    def moving(self) -> WebhookEvents:
        """It is not held up any more; a hold that nobody was told of is no news then."""
        return self if self.held_since is None else replace(self, held=None, held_since=None)
