"""Program years, and what the dashboard publishes for each month."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

FIRST_DAY = date(2008, 7, 1)
"""The first day of the first program year on the dashboard."""

_YEAR_NAME = re.compile(r"([1-9]\d{3})-(\d{4})", re.ASCII)


def month_end_of(day: date) -> date:
    """The last day of the month of `day`."""
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
    """1 July of `start` to 30 June of the next year; written `2022-2023`."""

    start: int

    @classmethod
    def of(cls, day: date) -> ProgramYear:
        return cls(day.year if day.month >= 7 else day.year - 1)

    @classmethod
    def parse(cls, text: str) -> ProgramYear:
        """Raises ValueError if `text` is not a program year."""
        match = _YEAR_NAME.fullmatch(text.strip())
        if match is None or int(match[2]) != int(match[1]) + 1:
            raise ValueError(f"{text!r} is not a program year; write one like 2022-2023.")
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
    """The published figures of a snapshot date: their month, their as-of date, and how to request them."""

    month_end: date
    as_of: date
    is_final: bool
    """The closing figures of a closed month, which the dashboard does not change any more."""
    is_archived: bool
    """The closed program year is available under /{program year}/ only."""
    asks_blank: bool
    """Request with an empty as-of date: the only way to get the final June of a closed program year."""

    @property
    def program_year(self) -> ProgramYear:
        return ProgramYear.of(self.month_end)

    @property
    def key(self) -> str:
        """Text that is equal only for equal editions, such as `2024-01-31/2024-02-09/100`."""
        flags = f"{self.is_final:d}{self.is_archived:d}{self.asks_blank:d}"
        return f"{self.month_end}/{self.as_of}/{flags}"

    def has_requests_of(self, other: Edition) -> bool:
        """Whether both are requested with the same report strings, which do not contain `is_final`."""
        return replace(self, is_final=other.is_final) == other


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMonth:
    """The contents of the calendar page of a month."""

    month_end: date
    districts: tuple[str, ...]
    """All districts of the program year."""
    as_of_days: tuple[date, ...]
    """Published as-of dates, oldest first; empty if none is published yet."""
    is_archived: bool
    is_closed: bool
    """No date is added and no figure changes any more."""
    has_blank_close: bool
    """The option of the newest date has an empty value, as for June of a closed year."""
    fetched_at: datetime

    def is_current(self, now: datetime, max_age: timedelta) -> bool:
        """Whether the page need not be requested again.

        A closed month does not change, but it moves to the archive once, in July after the end of its program year.
        """
        is_in_place = self.is_archived or ProgramYear.of(self.month_end) >= ProgramYear.of(now.date())
        return (self.is_closed and is_in_place) or abs(now - self.fetched_at) < max_age

    def edition(self, day: date) -> Edition | None:
        """The edition for snapshot date `day`: those of the month's closing for its last day."""
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
    """The ends of the months whose calendars may contain the edition of a date, the nearest first.

    Early in a month a date has the figures of the previous month, which is still closing; the end of a month never has.
    """
    end, before = month_end_of(day), day.replace(day=1) - timedelta(days=1)
    return (end,) if day == end or before < FIRST_DAY else (end, before)


def edition_of(day: date, calendar: Mapping[date, CalendarMonth]) -> Edition | None:
    """The edition of a date, from its own month or the previous one; None if nothing is published."""
    editions = (calendar[end].edition(day) for end in calendar_ends(day) if end in calendar)
    return next((edition for edition in editions if edition is not None), None)
