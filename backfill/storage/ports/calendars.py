"""The port for the stored pages of the dashboard's calendar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date

from backfill.domain import CalendarMonth


class CalendarStorage(ABC):
    """Calendar months: at most one per month end."""

    @abstractmethod
    def months(self, first: date, last: date) -> list[CalendarMonth]:
        """Return the stored months that end in a range, oldest first."""

    @abstractmethod
    def save(self, month: CalendarMonth) -> None:
        """Store or replace a month."""
