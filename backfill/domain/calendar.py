"""Program years, and what the dashboard publishes of each month."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

FIRST_DAY = date(2008, 7, 1)
"""The first day of the first program year that the dashboard knows."""

_YEAR_NAME = re.compile(r"([1-9]\d{3})-(\d{4})", re.ASCII)


def month_end_of(day: date) -> date:
    """The last day of the month that holds `day`."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def month_ends(first: date, last: date) -> list[date]:
    """The last day of each month that a range touches, oldest first."""
    ends = []
    end = month_end_of(first)
    while end.replace(day=1) <= last:
        ends.append(end)
        end = month_end_of(end + timedelta(days=1))
    return ends


@dataclass(frozen=True, slots=True, order=True)
class ProgramYear:
    """1 July of `start` to 30 June of the year after; written `2022-2023`."""

    start: int

    @classmethod
    def of(cls, day: date) -> ProgramYear:
        return cls(day.year if day.month >= 7 else day.year - 1)

    @classmethod
    def parse(cls, text: str) -> ProgramYear:
        """Raise ValueError for a name that is none."""
        match = _YEAR_NAME.fullmatch(text.strip())
        if match is None or int(match[2]) != int(match[1]) + 1:
            raise ValueError(f"{text!r} is no program year; write one as 2022-2023.")
        return cls(int(match[1]))

    @property
    def close(self) -> date:
        """Its last day, 30 June."""
        return date(self.start + 1, 6, 30)

    def month_end(self, month: int) -> date:
        """The last day of calendar month `month` (1 to 12) in this program year."""
        return month_end_of(date(self.start if month >= 7 else self.start + 1, month, 1))

    def __str__(self) -> str:
        return f"{self.start}-{self.start + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """The published figures that a snapshot date stands for: which month, as of which day, and how to ask for them."""

    month_end: date
    as_of: date
    is_final: bool
    """It is a month's close, and that month is closed: the dashboard will not change it any more."""
    is_archived: bool
    """Its program year is closed, and lives under /{program year}/ only."""
    asks_blank: bool
    """Ask with an empty as-of: the only way to the final close of a closed year's June."""

    @property
    def program_year(self) -> ProgramYear:
        return ProgramYear.of(self.month_end)

    def has_requests_of(self, other: Edition) -> bool:
        """Whether both are requested with the same report strings: whether a close is final is not part of them."""
        return replace(self, is_final=other.is_final) == other


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMonth:
    """What one calendar page says of a month."""

    month_end: date
    districts: tuple[str, ...]
    """Every district of that program year."""
    as_of_days: tuple[date, ...]
    """Published as-of days, oldest first; empty where nothing is published (yet)."""
    is_archived: bool
    is_closed: bool
    """No day will be added and no figure changed any more."""
    has_blank_close: bool
    """The newest day's option has an empty value (June of a closed year)."""
    fetched_at: datetime

    def is_current(self, now: datetime, max_age: timedelta) -> bool:
        """Whether it need not be asked for again.

        A closed month does not change any more. But it moves once, to the archive, some time in July when its year has
        ended.
        """
        is_in_place = self.is_archived or ProgramYear.of(self.month_end) >= ProgramYear.of(now.date())
        return (self.is_closed and is_in_place) or abs(now - self.fetched_at) < max_age

    def edition(self, day: date) -> Edition | None:
        """What snapshot date `day` of this month means: the month's close for its last day, else that very day."""
        if not self.as_of_days:
            return None
        newest = self.as_of_days[-1]
        if day == self.month_end:
            return Edition(
                month_end=self.month_end,
                as_of=newest,
                is_final=self.is_closed,
                is_archived=self.is_archived,
                asks_blank=self.has_blank_close,
            )
        if day not in self.as_of_days:
            return None
        return Edition(
            month_end=self.month_end,
            as_of=day,
            is_final=False,
            is_archived=self.is_archived,
            asks_blank=self.has_blank_close and day == newest,
        )


def calendar_ends(day: date) -> tuple[date, ...]:
    """The ends of the months whose calendars say what a date stands for, the nearest first.

    Early in a month a day has the figures of the month before, which is still closing; a month's own end never has.
    """
    end, before = month_end_of(day), day.replace(day=1) - timedelta(days=1)
    return (end,) if day == end or before < FIRST_DAY else (end, before)


def edition_of(day: date, calendar: Mapping[date, CalendarMonth]) -> Edition | None:
    """What is published of a date: of its own month, else of the month before; None where nothing is."""
    editions = (calendar[end].edition(day) for end in calendar_ends(day) if end in calendar)
    return next((edition for edition in editions if edition is not None), None)
