"""Program years. This app does not use the domain of the service, so that it can show the service's mistakes."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date

_NAME = re.compile(r"([1-9]\d{3})-(\d{4})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ProgramYear:
    """1 July of `start` to 30 June of the following year; its name is like `2022-2023`."""

    start: int

    @classmethod
    def of(cls, day: date) -> ProgramYear:
        return cls(day.year if day.month >= 7 else day.year - 1)

    @classmethod
    def parse(cls, text: str) -> ProgramYear:
        """Raises ValueError for other text."""
        match = _NAME.fullmatch(text.strip())
        if match is None or int(match[2]) != int(match[1]) + 1:
            raise ValueError(f"{text!r} is not a program year.")
        return cls(int(match[1]))

    @property
    def close(self) -> date:
        """The last day."""
        return date(self.start + 1, 6, 30)

    def month_end(self, month: int) -> date:
        year = self.start if month >= 7 else self.start + 1
        return date(year, month, calendar.monthrange(year, month)[1])

    def __str__(self) -> str:
        return f"{self.start}-{self.start + 1}"
