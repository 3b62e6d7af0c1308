"""Calendar months and the claim of the process that reads them, in Django's database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from backfill.domain import CalendarClaim, CalendarMonth
from backfill.models import StoredCalendarClaim, StoredCalendarMonth
from backfill.storage.orm.database import atomic, translating_errors
from backfill.storage.ports import CalendarStorage

_THE_ROW = 1
"""The key of a table of one row."""


class OrmCalendarStorage(CalendarStorage):
    def months(self, first: date, last: date) -> list[CalendarMonth]:
        with translating_errors():
            rows = list(StoredCalendarMonth.objects.filter(month_end__range=(first, last)).order_by("month_end"))
        return [
            CalendarMonth(
                month_end=row.month_end,
                districts=tuple(row.districts),
                as_of_days=tuple(date.fromisoformat(day) for day in row.as_of_days),
                is_archived=row.is_archived,
                is_closed=row.is_closed,
                has_blank_close=row.has_blank_close,
                fetched_at=row.fetched_at,
            )
            for row in rows
        ]

    def save(self, month: CalendarMonth) -> None:
        with atomic():
            StoredCalendarMonth.objects.update_or_create(
                month_end=month.month_end,
                defaults={
                    "districts": list(month.districts),
                    "as_of_days": [day.isoformat() for day in month.as_of_days],
                    "is_archived": month.is_archived,
                    "is_closed": month.is_closed,
                    "has_blank_close": month.has_blank_close,
                    "fetched_at": month.fetched_at,
                },
            )

    def update_claim(self, change: Callable[[CalendarClaim], CalendarClaim]) -> CalendarClaim:
        with atomic():
            row, _ = StoredCalendarClaim.objects.select_for_update().get_or_create(pk=_THE_ROW)
            before = CalendarClaim(owner=row.owner, since=row.since, expires_at=row.expires_at, wanted_at=row.wanted_at)
            after = change(before)
            if after != before:
                row.owner, row.since = after.owner, after.since
                row.expires_at, row.wanted_at = after.expires_at, after.wanted_at
                row.save()
            return after
