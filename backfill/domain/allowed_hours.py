"""The hours of the day in which requests may be sent to the dashboard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_LARGEST_SHIFT = timedelta(hours=3)
"""The largest change of a zone's UTC offset at once; real changes are at most two hours."""

_MAX_EXACT_PERIODS = 400
"""Daily periods that are evaluated exactly; later ones are assumed to have the usual length."""

MAX_DURATION = timedelta(days=36_525)
"""Longer durations are reported as a century, because dates are limited to the year 9999."""


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name. Raises ValueError for an unknown name."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as exc:  # ZoneInfo raises these, OSError for the name of a folder
        raise ValueError(f"{name!r} is not a time zone; use a name like UTC or Europe/Berlin.") from exc


@dataclass(frozen=True, slots=True)
class AllowedHours:
    """A daily period in the local time of a zone; it may include midnight.

    Local time decides: an hour that daylight saving time skips is missing, one that it repeats counts twice.
    """

    opens: time
    closes: time
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> AllowedHours | None:
        """Return None for an empty text, which allows any hour. Raises ValueError for an invalid period or zone."""
        where = zone_of(zone)
        if not text.strip():
            return None
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a period of a day; write one like 22:00-06:00.")
        opens, closes = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        if opens == closes:
            raise ValueError(f"{text!r} begins when it ends; leave it empty to allow every hour.")
        return cls(opens, closes, where)

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M} {self.zone}"

    def is_open(self, now: datetime) -> bool:
        wall = now.astimezone(self.zone).time()
        if self.opens < self.closes:
            return self.opens <= wall < self.closes
        return wall >= self.opens or wall < self.closes

    def opens_at(self, now: datetime) -> datetime:
        """Return the next opening in UTC; `now` if it is open."""
        return now if self.is_open(now) else self._changes_at(self.opens, now)

    def closes_at(self, now: datetime) -> datetime:
        """Return the next closing in UTC; `now` if it is closed."""
        return self._changes_at(self.closes, now) if self.is_open(now) else now

    def after(self, working: timedelta, now: datetime) -> datetime:
        """Return the time at which this much open time has passed, at most a century later."""
        for _ in range(_MAX_EXACT_PERIODS):
            opens = self.opens_at(now)
            now = self.closes_at(opens)
            if now - opens >= working:
                return opens + working
            working -= now - opens
        days, rest = divmod(working, (_clock(self.closes) - _clock(self.opens)) % _DAY)
        return self.opens_at(now) + min(days, MAX_DURATION.days) * _DAY + rest

    def _changes_at(self, wall: time, now: datetime) -> datetime:
        """The next minute at which `is_open` changes: at local time `wall`, unless the UTC offset changes."""
        local = now.astimezone(self.zone)
        away = (_clock(wall) - _clock(local.time())) % _DAY
        then = now.astimezone(UTC) + away
        if then.astimezone(self.zone).utcoffset() == local.utcoffset():
            return then
        was_open = self.is_open(now)
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        minute += max(away - _LARGEST_SHIFT, timedelta()) // _MINUTE * _MINUTE
        while minute <= now or self.is_open(minute) is was_open:
            minute += _MINUTE
        return minute


def _clock(wall: time) -> timedelta:
    """The time since midnight."""
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
