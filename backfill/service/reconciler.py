"""Compares the coverage target with what the dashboard has published and the store contains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from backfill.domain import (
    CalendarAccess,
    CalendarMonth,
    FailedAttempts,
    JobType,
    StoredDay,
    TargetSettings,
)
from backfill.domain.reconciliation import Reconciliation, reconciled, target_months, wanted_days
from backfill.domain.runtime_config import RuntimeConfig
from backfill.job_types.base import JobTypeHandler
from backfill.storage import Storage

_OVER_A_MONTH = timedelta(days=32)
"""A range that the stores read from their monthly indexes."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reads a record for each month rather than each snapshot, so that a check of many years is cheap."""

    storage: Storage
    handlers: Mapping[JobType, JobTypeHandler]
    config: RuntimeConfig

    def reconcile(self, settings: TargetSettings, attempts: FailedAttempts, access: CalendarAccess) -> Reconciliation:
        """Return what is missing now. Pages of the calendar that may have changed are read from the dashboard.

        Raises CalendarIncomplete, CalendarReadDenied and DashboardUnavailable.
        """
        now = self.config.clock.now()
        today, local_today = now.date(), now.astimezone(self.config.time_zone).date()
        months = self._calendar(target_months(settings.rules, today), now, access)
        wanted = wanted_days(settings, months, today)
        stored: Iterable[StoredDay] = ()
        if wanted:
            stored = self.storage.snapshots.days(wanted[0].date, wanted[-1].date, is_quick=True)
        as_of = {day.date: self._as_of(day.date) for day in wanted if day.is_open_close}
        return reconciled(wanted, stored, as_of, attempts, local_today=local_today)

    def _calendar(self, ends: Sequence[date], now: datetime, access: CalendarAccess) -> list[CalendarMonth]:
        """Return the months that end on the given days; only those that may change are read again."""
        if not ends:
            return []
        months = {month.month_end: month for month in self.storage.calendars.months(ends[0], ends[-1])}
        changing = [end for end in ends if end not in months or not months[end].is_current(now, timedelta())]
        if changing:
            for handler in self.handlers.values():
                handler.read_calendar(changing, access, known=len(ends) - len(changing))
            read = self.storage.calendars.months(changing[0], changing[-1])
            months |= {month.month_end: month for month in read}
        return [months[end] for end in ends if end in months]

    def _as_of(self, end: date) -> dict[str, date]:
        """Return the as-of dates of the snapshots of a month's end by district."""
        editions = self.storage.snapshots.editions(end - _OVER_A_MONTH, end)
        return {
            district: edition.as_of for edition in editions if edition.date == end for district in edition.districts
        }
