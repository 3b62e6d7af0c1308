"""How the dashboard's calendar is read for previews and starts: what a caller allows, the progress, and the claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_CLAIM_LENGTH = timedelta(seconds=15)
"""A process that does not renew its claim for this long is dead."""

_WANTED_FOR = timedelta(seconds=8)
"""How long a process counts as waiting after it has asked for the claim; longer than the time between two renewals."""

_TURN = timedelta(seconds=10)
"""After this time a process gives way to another one that waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarProgress:
    """How much of the calendar that a plan needs is stored."""

    needed: int
    """Calendar pages, one for each month."""
    stored: int
    seconds_left: float = 0.0
    """The estimated time until all are stored."""

    @property
    def is_complete(self) -> bool:
        return self.stored >= self.needed


def _no_report(_: CalendarProgress) -> None:
    """Used by callers that show no progress."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarAccess:
    """What a caller allows if calendar pages are not stored."""

    may_read: bool = True
    """Whether the dashboard may be read. Otherwise stored pages are used whatever their age."""
    max_wait: float | None = None
    """Seconds after which CalendarIncomplete is raised; None waits until every page is stored."""
    report: Callable[[CalendarProgress], None] = _no_report
    """Called several times a second while the caller waits."""
    is_abandoned: Callable[[], bool] = _never
    """Whether the client no longer waits for the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarClaim:
    """The process that reads the calendar for previews. One process at a time reads, so that no page is read twice.

    It is stored. A claim that is not renewed expires.
    """

    owner: str = ""
    since: datetime | None = None
    expires_at: datetime | None = None
    wanted_at: datetime | None = None
    """When another process last asked for the claim."""

    def claimed(self, owner: str, now: datetime) -> CalendarClaim:
        """With `owner` as the holder. If another process holds it, it stays the holder and sees that it is wanted."""
        if self.owner == owner:
            return replace(self, expires_at=now + _CLAIM_LENGTH)
        if self._is_live(now):
            return replace(self, wanted_at=now)
        return CalendarClaim(owner=owner, since=now, expires_at=now + _CLAIM_LENGTH)

    def released(self, owner: str) -> CalendarClaim:
        return CalendarClaim() if self.owner == owner else self

    def must_give_way(self, now: datetime) -> bool:
        """Whether the holder has had its turn and another process waits."""
        if self.since is None or self.wanted_at is None:
            return False
        return abs(now - self.wanted_at) < _WANTED_FOR and abs(now - self.since) >= _TURN

    def _is_live(self, now: datetime) -> bool:
        """A claim that expires later than a new one would was made before a clock was set back."""
        return bool(self.owner) and self.expires_at is not None and now < self.expires_at <= now + _CLAIM_LENGTH
