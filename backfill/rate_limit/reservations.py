"""The reserved time of one process, by its own clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from backfill.domain import RequestSchedule, Reservation

LENGTH = 2.0
"""Seconds reserved at once, so that the store is updated once in that time instead of once per request."""

SLACK = 0.1
"""Seconds added to a reservation. Without them, its last request could not start if a thread wakes up late."""


LATENESS = 0.02
"""Seconds by which a thread that waits for its start may wake up late without delaying the following starts.

Without it, the delays of all starts add up: 5 ms each are 5 % of the rate of 600 a minute. A period of 60 seconds still
contains no more starts than the limit, because the interval is longer than necessary by 0.3 seconds in that period.
"""


class Reservations:
    """When a request may start: within a reservation, one interval after the last start and one before its end.

    Times are seconds of a monotonic clock; `wall` is the time of day at `now`. Not thread-safe.
    """

    def __init__(self) -> None:
        self.next_start = self._last_start = self._ends = -1.0
        self.is_awaited = False
        """Whether a thread waits for the next start, and only for its time."""
        self.hold_ends, self.hold_reason = -1.0, ""
        self._reserved_until: datetime | None = None

    def may_start(self, interval: float, now: float) -> bool:
        return self.next_start <= now <= self._ends - interval * 0.999

    def started(self, interval: float, now: float, *, shortest: float = 0.0) -> None:
        """The next start is an interval after the time at which this one was due, if a thread waited for that time.

        It is at least `shortest` seconds after `now`.
        """
        due = max(self.next_start, now - LATENESS) if self.is_awaited else now
        self._last_start, self.next_start, self.is_awaited = due, max(due + interval, now + shortest), False

    def slowed(self, interval: float) -> None:
        """Apply a longer interval from the last start on."""
        self.next_start = max(self.next_start, self._last_start + interval)

    def need_another(self, interval: float, now: float) -> bool:
        """Whether the reservation ends soon. The next one is made early, so that it follows without a gap."""
        return self._ends - max(now, self.next_start) < max(interval, LENGTH / 2)

    @staticmethod
    def length(interval: float, *, is_single: bool = False) -> timedelta:
        """The length of a reservation: a whole number of intervals, or one for a preview, and the slack."""
        intervals = 1 if is_single else max(1, round(LENGTH / interval))
        return timedelta(seconds=interval * intervals + SLACK)

    def taken(self, reservation: Reservation, now: float, wall: datetime) -> None:
        """Use a reservation of the shared schedule."""
        if reservation.starts_at != self._reserved_until or self._ends < now:  # another process had the time between
            self.next_start = max(self.next_start, now + (reservation.starts_at - wall).total_seconds())
        self._ends = now + (reservation.ends_at - wall).total_seconds()
        self._reserved_until = reservation.ends_at

    def given_back(self, now: float, wall: datetime) -> tuple[datetime, datetime] | None:
        """End the reservation; return when it would have ended and when its unused time begins, None without one."""
        mine, self._reserved_until, self._ends = self._reserved_until, None, -1.0
        return (mine, wall + timedelta(seconds=max(self.next_start - now, 0))) if mine is not None else None

    def hold(self, seconds: float, reason: str, now: float) -> None:
        """Start no request for this time; a longer hold stays."""
        if now + seconds > self.hold_ends:
            self.hold_ends, self.hold_reason = now + seconds, reason

    def end_hold(self) -> None:
        self.hold_ends, self.hold_reason = -1.0, ""

    def learn(self, schedule: RequestSchedule, now: float, wall: datetime) -> None:
        """Apply the hold of the shared schedule."""
        if (until := schedule.hold(wall)) is not None:
            self.hold((until - wall).total_seconds(), schedule.hold_reason, now)
