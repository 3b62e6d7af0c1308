"""The port for the stored pages of the dashboard's calendar, and for the claim of the process that reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date

from backfill.domain import CalendarClaim, CalendarMonth


class CalendarStorage(ABC):
    """Calendar months, at most one per month end, and the claim."""

    @abstractmethod
    def months(self, first: date, last: date) -> list[CalendarMonth]:
        """Return the stored months that end in a range, oldest first."""

    @abstractmethod
    def save(self, month: CalendarMonth) -> None:
        """Store or replace a month."""

    @abstractmethod
    def update_claim(self, change: Callable[[CalendarClaim], CalendarClaim]) -> CalendarClaim:
        """Replace the claim by `change(claim)` atomically; return the new claim.

        `change` must be pure, because it may be called more than once. If the claim does not change, nothing is
        written.
        """
