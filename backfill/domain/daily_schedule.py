"""The daily check: once for each local day, at a time of day, and later if it was missed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DailySchedule:
    """A time of day in a zone.

    A time that daylight saving time skips is due after the gap, one that it repeats is due the first time.
    """

    at: time
    zone: tzinfo

    def latest(self, now: datetime) -> datetime:
        """The newest due time at or before `now`, in UTC."""
        today = now.astimezone(self.zone).date()
        due = self._on(datetime.combine(today, self.at))
        # In a gap, the time of today can be later than its local date suggests.
        return due if due <= now else self._on(datetime.combine(today - _DAY, self.at))

    def following(self, now: datetime) -> datetime:
        """The first due time after `now`, in UTC."""
        day = now.astimezone(self.zone).date()
        due = self._on(datetime.combine(day, self.at))
        return due if due > now else self._on(datetime.combine(day + _DAY, self.at))

    def is_due(self, checked_at: datetime | None, now: datetime) -> bool:
        """Whether no check has taken place since the newest due time.

        A last check more than a day in the future means that a clock was wrong: it does not count.
        """
        if checked_at is None or checked_at > now + _DAY:
            return True
        return checked_at < self.latest(now)

    def next_check(self, checked_at: datetime | None, now: datetime) -> datetime:
        """When the next check is due; `now` if one is due already."""
        return now if self.is_due(checked_at, now) else self.following(now)

    def _on(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self.zone).astimezone(UTC)
