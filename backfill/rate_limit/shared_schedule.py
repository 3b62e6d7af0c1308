"""The request schedule that all processes share, in a store that may be unavailable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from backfill.domain import Pace, RequestSchedule, Reservation
from backfill.domain.clock import Clock
from backfill.errors import StorageUnavailable

ScheduleChange = Callable[[RequestSchedule], RequestSchedule]
ScheduleUpdate = Callable[[ScheduleChange], RequestSchedule]
"""Applies a change to the shared schedule atomically. Raises StorageUnavailable, or LeaseLost if it is fenced."""


class ReservationResult(NamedTuple):
    """The schedule after an attempt to reserve time, with both clocks as they were read for it."""

    schedule: RequestSchedule
    reservation: Reservation | None
    """None if a hold lasts too long."""
    now: float
    wall: datetime


class SharedSchedule:
    """Thread-safe. Updates are serialised, so that `pace` is the newest stored value.

    A change that the store does not accept is applied with the next update.
    """

    def __init__(self, update: ScheduleUpdate, clock: Clock, *, waits: bool) -> None:
        """`waits`: return None while the store is unavailable instead of raising StorageUnavailable."""
        self._update, self._clock, self._waits = update, clock, waits
        self._lock = threading.RLock()
        self._unsaved: list[ScheduleChange] = []
        self._slowed_by: dict[str, tuple[Pace, Pace]] = {}
        """The pace before and after the last time that an item halved it."""
        self.pace = Pace()
        self.trouble = ""
        """Why the last update failed; empty if it succeeded."""

    def hold(self, until: datetime, reason: str) -> None:
        self._apply(lambda schedule: schedule.held(until, reason, self._clock.now()))

    def end_hold(self, set_before: datetime | None) -> None:
        self._apply(lambda schedule: schedule.without_hold(set_before))

    def slow(self, asked_at: datetime, item: str) -> None:
        """Halve the rate of all processes, because of the response to a request that started at `asked_at`."""
        with self._lock:
            before = self.pace

            def change(schedule: RequestSchedule) -> RequestSchedule:
                nonlocal before
                before = schedule.pace
                return schedule.slowed(asked_at, self._clock.now())

            if not self._apply(change):
                before, self.pace = self.pace, self.pace.slowed(asked_at, self._clock.now())
            if item:
                self._slowed_by[item] = before, self.pace

    def end_slowing(self, item: str, *, restore: bool) -> None:
        """The item is settled. `restore`: undo that its responses halved the rate, unless it was halved again since."""
        if (slowed := self._slowed_by.pop(item, None)) is not None and restore:
            before, after = slowed
            self._apply(lambda schedule: schedule.with_pace(before) if schedule.pace == after else schedule)

    def reserve(self, length: timedelta, max_wait: float | None) -> ReservationResult | None:
        """Reserve the next free time unless a hold lasts longer than `max_wait` seconds. None as for `update`."""
        reservation: Reservation | None = None
        now, wall = self._clock.monotonic(), self._clock.now()

        def change(schedule: RequestSchedule) -> RequestSchedule:
            nonlocal reservation, now, wall  # read both clocks together: the wall clock may be set meanwhile
            now, wall = self._clock.monotonic(), self._clock.now()
            reservation = None
            hold = schedule.hold(wall)
            if max_wait is not None and hold is not None and (hold - wall).total_seconds() > max_wait:
                return schedule
            after, reservation = schedule.reserved(length, wall)
            return after

        after = self.update(change)
        return ReservationResult(after, reservation, now, wall) if after is not None else None

    def update(self, change: ScheduleChange = lambda schedule: schedule) -> RequestSchedule | None:
        """Apply all unsaved changes, then `change`. None if the store is unavailable."""
        with self._lock:
            try:
                schedule = self._update(lambda schedule: change(self._with_unsaved(schedule)))
            except StorageUnavailable as exc:
                if not self._waits:
                    raise
                self.trouble = f"{exc.message} The service retries every second; no data is lost."
                return None
            self._unsaved.clear()
            self.pace, self.trouble = schedule.pace, ""
            return schedule

    def _apply(self, change: ScheduleChange) -> bool:
        """Return whether the change is stored now."""
        with self._lock:
            self._unsaved.append(change)
        return self.update() is not None

    def _with_unsaved(self, schedule: RequestSchedule) -> RequestSchedule:
        for change in self._unsaved:
            schedule = change(schedule)
        return schedule
