"""The request schedule that all processes share: reservations, a hold and the current rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_LONGEST_RESERVATION = timedelta(minutes=5)
"""Reservations further ahead are ignored: they were made before a clock was set back."""

LONGEST_HOLD = timedelta(hours=24)
"""A longer hold that the dashboard asks for is cut to this time."""

_RECOVERY_PER_MINUTE = 0.1
"""Share of the limit that a lowered rate regains each minute."""

_RECOVERY_TIME = timedelta(minutes=1 / _RECOVERY_PER_MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The used share of the limit: halved when the dashboard asks for fewer requests, then recovering.

    The share is computed from the time of the change, so that the recovery needs no writes and survives a restart.
    """

    slowed_to: float = 1.0
    slowed_at: datetime | None = None

    def share(self, now: datetime) -> float:
        """Above 0, at most 1."""
        if self.slowed_at is None or self.slowed_at - now > _RECOVERY_TIME:  # the clock was set back
            return 1.0
        minutes = max((now - self.slowed_at) / timedelta(minutes=1), 0.0)
        return min(1.0, self.slowed_to + _RECOVERY_PER_MINUTE * minutes)

    def slowed(self, asked_at: datetime, now: datetime) -> Pace:
        """Return half the pace, because of the response to a request that started at `asked_at`.

        Unchanged if the request started before the last change: of three rejected requests in flight, one counts.
        """
        if self.slowed_at is not None and asked_at <= self.slowed_at <= now:
            return self
        return Pace(slowed_to=self.share(now) / 2, slowed_at=now)

    def recovers_at(self, now: datetime) -> datetime | None:
        """When the limit is reached again; None if it is reached."""
        share = self.share(now)
        return now + _RECOVERY_TIME * (1 - share) if share < 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A period in which only one process may start requests."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSchedule:
    """The reserved time, the hold and the rate of all processes.

    It is stored, and time is reserved before it is used, so that two servers, a preview during a job, or a runner that
    continues after losing its lease together keep to the limit of one process.
    """

    reserved_until: datetime | None = None
    held_until: datetime | None = None
    held_at: datetime | None = None
    """When the hold was set, by the clock of the process that set it."""
    hold_reason: str = ""
    pace: Pace = Pace()

    def free_at(self, now: datetime) -> datetime:
        """When the next reservation would start."""
        start = self.hold(now) or now
        if self.reserved_until is not None and self.reserved_until - start <= _LONGEST_RESERVATION:
            start = max(start, self.reserved_until)
        return start

    def reserved(self, length: timedelta, now: datetime) -> tuple[RequestSchedule, Reservation]:
        """Reserve the next free period of this length."""
        starts_at = self.free_at(now)
        reservation = Reservation(starts_at=starts_at, ends_at=starts_at + length)
        return replace(self._adjusted(now), reserved_until=reservation.ends_at), reservation

    def given_back(self, reserved_until: datetime, free: datetime) -> RequestSchedule:
        """Return a copy with the rest of a reservation freed, unless another reservation follows it."""
        if self.reserved_until != reserved_until:
            return self
        return replace(self, reserved_until=min(reserved_until, free))

    def held(self, until: datetime, reason: str, now: datetime) -> RequestSchedule:
        """Return a copy with a hold until then; a longer hold stays."""
        until, known = min(until, now + LONGEST_HOLD), self._adjusted(now)
        if known.held_until is not None and known.held_until >= until:
            return known
        return replace(known, held_until=until, held_at=now, hold_reason=reason)

    def without_hold(self, set_before: datetime | None = None) -> RequestSchedule:
        """Without a hold, or only without one that was set before a time."""
        if set_before is not None and self.held_at is not None and self.held_at > set_before:
            return self
        return replace(self, held_until=None, held_at=None, hold_reason="")

    def hold(self, now: datetime) -> datetime | None:
        """When the current hold ends; None without one."""
        until = self._adjusted(now).held_until
        return until if until is not None and now < until <= now + LONGEST_HOLD else None

    def _adjusted(self, now: datetime) -> RequestSchedule:
        """Return a copy with the hold adjusted to the clock of the reader.

        A hold set in the future was set by a clock that is ahead or was set back. It then begins now with its full
        length; otherwise a difference of an hour would turn a hold of a second into one of an hour.
        """
        if self.held_until is None or self.held_at is None or self.held_at <= now:
            return self
        return replace(self, held_until=now + (self.held_until - self.held_at), held_at=now)

    def slowed(self, asked_at: datetime, now: datetime) -> RequestSchedule:
        """Return a copy with half the rate, because of the response to a request that started at `asked_at`."""
        return replace(self, pace=self.pace.slowed(asked_at, now))

    def with_pace(self, pace: Pace) -> RequestSchedule:
        return replace(self, pace=pace)
