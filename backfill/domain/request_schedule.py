"""The time of the dashboard, which all processes share: how far it is given out, and how fast it may be used now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_LONGEST_RESERVATION = timedelta(minutes=5)
"""A timeline that is reserved further ahead was reserved under a clock that has been set back since."""

LONGEST_HOLD = timedelta(hours=24)
"""A dashboard that asks to wait longer is asked again after this time."""

_GROWTH = 0.1
"""Of the ceiling, by which a lowered pace grows back each minute."""

_FULLY_GROWN = timedelta(minutes=1 / _GROWTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The share of the operator's ceiling that is used: halved when the dashboard asks for less, then growing back.

    How far it has grown follows from the time, so that nothing is written for it, and it survives a restart.
    """

    slowed_to: float = 1.0
    slowed_at: datetime | None = None

    def share(self, now: datetime) -> float:
        """Above 0, at most 1."""
        if self.slowed_at is None or self.slowed_at - now > _FULLY_GROWN:  # then the clock has been set back since
            return 1.0
        minutes = max((now - self.slowed_at) / timedelta(minutes=1), 0.0)
        return min(1.0, self.slowed_to + _GROWTH * minutes)

    def slowed(self, asked_at: datetime, now: datetime) -> Pace:
        """Halved, because of the answer to a request that started at `asked_at`.

        A request that started before the pace was lowered last says nothing of the lower pace: of three in flight that
        are all refused, the first counts.
        """
        if self.slowed_at is not None and asked_at <= self.slowed_at <= now:
            return self
        return Pace(slowed_to=self.share(now) / 2, slowed_at=now)

    def recovers_at(self, now: datetime) -> datetime | None:
        """When the ceiling is reached again; None where it is."""
        share = self.share(now)
        return now + _FULLY_GROWN * (1 - share) if share < 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A stretch of the shared timeline in which one process, and no other, may start requests."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSchedule:
    """How far ahead the time of the dashboard is given out, until when it must be left alone, and at which pace.

    It is stored, and a turn is reserved before it is used: so two servers, a preview beside a job, or a runner that
    comes back from the dead never press the dashboard together harder than one may.
    """

    reserved_until: datetime | None = None
    held_until: datetime | None = None
    held_at: datetime | None = None
    """When that was said, by the clock that it is counted by."""
    hold_reason: str = ""
    pace: Pace = Pace()

    def free_at(self, now: datetime) -> datetime:
        """When the next turn would start."""
        start = self.hold(now) or now
        if self.reserved_until is not None and self.reserved_until - start <= _LONGEST_RESERVATION:
            start = max(start, self.reserved_until)
        return start

    def reserved(self, length: timedelta, now: datetime) -> tuple[RequestSchedule, Reservation]:
        """The next free turn of that length."""
        starts_at = self.free_at(now)
        reservation = Reservation(starts_at=starts_at, ends_at=starts_at + length)
        return replace(self._by(now), reserved_until=reservation.ends_at), reservation

    def given_back(self, reserved_until: datetime, free: datetime) -> RequestSchedule:
        """With the rest of a turn returned, where nobody has reserved behind it."""
        if self.reserved_until != reserved_until:
            return self
        return replace(self, reserved_until=min(reserved_until, free))

    def held(self, until: datetime, reason: str, now: datetime) -> RequestSchedule:
        """Left alone until then, or longer where it was held longer already."""
        until, known = min(until, now + LONGEST_HOLD), self._by(now)
        if known.held_until is not None and known.held_until >= until:
            return known
        return replace(known, held_until=until, held_at=now, hold_reason=reason)

    def hold(self, now: datetime) -> datetime | None:
        """Until when nothing may be asked, None where nothing holds."""
        until = self._by(now).held_until
        return until if until is not None and now < until <= now + LONGEST_HOLD else None

    def _by(self, now: datetime) -> RequestSchedule:
        """With the hold by the clock of who reads it.

        What was said later than now was said by a clock that is ahead, or was set back since. It is as long as it was,
        and counts from now; else an hour's difference would make a hold of a second one of an hour.
        """
        if self.held_until is None or self.held_at is None or self.held_at <= now:
            return self
        return replace(self, held_until=now + (self.held_until - self.held_at), held_at=now)

    def slowed(self, asked_at: datetime, now: datetime) -> RequestSchedule:
        """At half the pace, because of the answer to a request that started at `asked_at`."""
        return replace(self, pace=self.pace.slowed(asked_at, now))
