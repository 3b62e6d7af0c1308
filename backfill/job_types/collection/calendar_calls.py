"""The state of the calendar reader: its callers, its run, and the pace at which it reads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import uuid4

from backfill.domain import CalendarClaim, CalendarMonth, RateLimits
from backfill.errors import BackfillError
from backfill.job_types.collection.calendar_pages import CalendarPages
from backfill.job_types.collection.calendars import Calendars
from backfill.rate_limit import Limiter

TURNS_FOR_A_JOB = 8
"""The number of requests that a running job can start between two requests of previews: it keeps 80 % of its rate."""


class ReadingPace(NamedTuple):
    """The limits for reading the calendar, and whether a running job shares the time of the dashboard."""

    limits: RateLimits
    is_shared: bool

    @property
    def expected_seconds(self) -> float:
        """Seconds for a page, before any was measured."""
        return self.limits.interval.total_seconds() * (1 + TURNS_FOR_A_JOB * self.is_shared)


class NewLimiter(Protocol):
    """Creates the limiter of a reading; its waits end once `is_wanted` returns False."""

    def __call__(self, limits: RateLimits, is_wanted: Callable[[], bool]) -> Limiter: ...


@dataclass(eq=False)
class ReaderCall:
    """The months that one caller waits for."""

    wanted: tuple[date, ...]
    likely: tuple[str, ...]
    since: datetime
    found: dict[date, CalendarMonth]
    known: int = 0
    """Further months that count as needed and stored in its progress."""
    pages: CalendarPages | None = None
    served_at: float = 0.0
    kept_until: float | None = None
    """Until when its pages are read although the caller has left; None while it waits."""
    error: BackfillError | None = None

    @property
    def missing(self) -> list[date]:
        return [end for end in self.wanted if end not in self.found]

    @property
    def is_open(self) -> bool:
        return self.error is None and len(self.found) < len(self.wanted)


@dataclass(eq=False)
class Reading:
    """One run of the reading thread. Its id is the owner of the claim."""

    limiter: Limiter
    calendars: Calendars
    abort: Callable[[], None]
    ended: threading.Event
    owner: str = field(default_factory=lambda: uuid4().hex)
    claim: CalendarClaim = field(default_factory=CalendarClaim)
    """As it was stored at `renewed_at`."""
    renewed_at: float = 0.0
    is_stopped: bool = False

    @property
    def holds_claim(self) -> bool:
        return self.claim.owner == self.owner
