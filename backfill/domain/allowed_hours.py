"""The hours in which jobs may ask the dashboard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_LARGEST_SHIFT = timedelta(hours=3)
"""By which a zone may move its wall clocks at once; none has by more than two hours in living memory."""

_COUNTED = 400
"""Stretches that are counted out one by one; further ahead each day is taken for one as long as the others."""

FURTHEST = timedelta(days=36_525)
"""However long something takes, it is told as a century: no calendar goes on for ever."""


def zone_of(name: str) -> ZoneInfo:
    """ValueError, with a sentence, for what is no time zone."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as exc:  # of ZoneInfo; a name may be anything, also a folder's
        raise ValueError(f"{name!r} is no time zone; use a name like UTC or Europe/Berlin.") from exc


@dataclass(frozen=True, slots=True)
class AllowedHours:
    """A stretch of each day, by the clock on the wall of a zone; it may pass midnight.

    What the wall shows decides: an hour that summer time leaves out is not there, one that it repeats counts twice.
    """

    opens: time
    closes: time
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> AllowedHours | None:
        """None for an empty text: any hour. ValueError, with a sentence, for what is no stretch of a day or no zone."""
        where = zone_of(zone)
        if not text.strip():
            return None
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no stretch of a day; write one like 22:00-06:00.")
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
        """When it opens next, in UTC; `now` where it is open."""
        return now if self.is_open(now) else self._changes_at(self.opens, now)

    def closes_at(self, now: datetime) -> datetime:
        """When it closes next, in UTC; `now` where it is closed."""
        return self._changes_at(self.closes, now) if self.is_open(now) else now

    def after(self, working: timedelta, now: datetime) -> datetime:
        """When so much open time will have passed; in a century at most."""
        for _ in range(_COUNTED):
            opens = self.opens_at(now)
            now = self.closes_at(opens)
            if now - opens >= working:
                return opens + working
            working -= now - opens
        days, rest = divmod(working, (_clock(self.closes) - _clock(self.opens)) % _DAY)
        return self.opens_at(now) + min(days, FURTHEST.days) * _DAY + rest

    def _changes_at(self, wall: time, now: datetime) -> datetime:
        """The next minute at which what `is_open` says changes: when the wall shows `wall`, unless clocks are moved."""
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
    """Since midnight."""
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
