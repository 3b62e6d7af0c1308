"""The timeline that all processes share, through a store that may be away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from backfill.domain import Pace, RequestSchedule
from backfill.errors import StorageUnavailable

ScheduleUpdate = Callable[[Callable[[RequestSchedule], RequestSchedule]], RequestSchedule]
"""Replaces the shared timeline by a change of it, atomically; raises StorageUnavailable, or LeaseLost under a fence."""


class SharedSchedule:
    """For several threads. What they store of it, they store one after the other, so that the newest is what is known.

    What all processes are to keep to is not lost where the store is away: it is stored with whatever is stored next.
    """

    def __init__(self, update: ScheduleUpdate, *, waits: bool) -> None:
        """`waits`: for a store that is away; else its StorageUnavailable is raised."""
        self._update, self._waits = update, waits
        self._one_at_a_time = threading.RLock()
        self._untold: list[Callable[[RequestSchedule], RequestSchedule]] = []
        self.pace = Pace()
        self.trouble = ""
        """Why the store did not take what was to be stored last; empty where it did."""

    def tell(self, news: Callable[[RequestSchedule], RequestSchedule]) -> bool:
        """Whether it was stored at once."""
        with self._one_at_a_time:
            self._untold.append(news)
        return self.change(lambda schedule: schedule) is not None

    def slow(self, asked_at: datetime, now: Callable[[], datetime]) -> None:
        """Halve the pace of all, because of the answer to a request that started at `asked_at`."""
        with self._one_at_a_time:
            if not self.tell(lambda schedule: schedule.slowed(asked_at, now())):
                self.pace = self.pace.slowed(asked_at, now())

    def change(self, change: Callable[[RequestSchedule], RequestSchedule]) -> RequestSchedule | None:
        """None where the store does not answer, and is waited for."""
        with self._one_at_a_time:
            try:
                schedule = self._update(lambda schedule: change(self._with_news(schedule)))
            except StorageUnavailable as exc:
                if not self._waits:
                    raise
                self.trouble = f"{exc.message} It is tried again every second; nothing is lost."
                return None
            self._untold.clear()
            self.pace, self.trouble = schedule.pace, ""
            return schedule

    def _with_news(self, schedule: RequestSchedule) -> RequestSchedule:
        for news in self._untold:
            schedule = news(schedule)
        return schedule
