"""The time of the dashboard that is reserved for one process, by its own clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from backfill.domain import RequestSchedule, Reservation

TURN = 2.0
"""Seconds that are reserved at once, so that the store is asked once in that time and not once a request."""


class Reservations:
    """When a request may start: inside a reserved turn, one interval after the last and one before the turn ends.

    Times are seconds of a steady clock, and `wall` is the time of day at that moment. Not for several threads.
    """

    def __init__(self) -> None:
        self.next_start = self._last_start = self._ends = -1.0
        self.hold_ends, self.hold_reason = -1.0, ""
        self._reserved_until: datetime | None = None

    def may_start(self, interval: float, now: float) -> bool:
        return self.next_start <= now <= self._ends - interval * 0.999

    def started(self, interval: float, now: float) -> None:
        self._last_start, self.next_start = now, now + interval

    def slowed(self, interval: float) -> None:
        """The interval has grown: it counts from the last start on."""
        self.next_start = max(self.next_start, self._last_start + interval)

    def need_another(self, interval: float, now: float) -> bool:
        """Whether the reserved time ends soon: the next turn is taken early, so that it follows without a gap."""
        return self._ends - max(now, self.next_start) < max(interval, TURN / 2)

    @staticmethod
    def length(interval: float) -> timedelta:
        """Of a turn that holds whole intervals."""
        return timedelta(seconds=interval * max(1, round(TURN / interval)))

    def taken(self, reservation: Reservation, now: float, wall: datetime) -> None:
        """A turn was reserved on the shared timeline."""
        if reservation.starts_at != self._reserved_until or self._ends < now:  # somebody else had the time between
            self.next_start = max(self.next_start, now + (reservation.starts_at - wall).total_seconds())
        self._ends = now + (reservation.ends_at - wall).total_seconds()
        self._reserved_until = reservation.ends_at

    def given_back(self, now: float, wall: datetime) -> tuple[datetime, datetime] | None:
        """What was reserved until when, and from when on it is free; None where nothing was."""
        mine, self._reserved_until, self._ends = self._reserved_until, None, -1.0
        return (mine, wall + timedelta(seconds=max(self.next_start - now, 0))) if mine is not None else None

    def hold(self, seconds: float, reason: str, now: float) -> None:
        """Leave the source alone for so long, where it was not for longer already."""
        if now + seconds > self.hold_ends:
            self.hold_ends, self.hold_reason = now + seconds, reason

    def learn(self, schedule: RequestSchedule, now: float, wall: datetime) -> None:
        """Keep to the hold that the shared timeline knows of."""
        if (until := schedule.hold(wall)) is not None:
            self.hold((until - wall).total_seconds(), schedule.hold_reason, now)
