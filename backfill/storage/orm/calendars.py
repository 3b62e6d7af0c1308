"""Calendar months in Django's database."""

from __future__ import annotations

from datetime import date

from backfill.domain import CalendarMonth
from backfill.models import StoredCalendarMonth
from backfill.storage.orm.database import atomic, translating_errors
from backfill.storage.ports import CalendarStorage


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
