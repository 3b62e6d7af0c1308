"""Calendar months in Firestore, a document each, and the claim of the process that reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from backfill.domain import CalendarClaim, CalendarMonth
from backfill.storage.firestore.database import Attempt, Database, to_datetime, translating_errors
from backfill.storage.ports import CalendarStorage


class FirestoreCalendarStorage(CalendarStorage):
    def __init__(self, database: Database) -> None:
        self._database = database

    def months(self, first: date, last: date) -> list[CalendarMonth]:
        query = (
            self._database.collection("calendar")
            .where(filter=FieldFilter("month_end", ">=", first.isoformat()))
            .where(filter=FieldFilter("month_end", "<=", last.isoformat()))
            .order_by("month_end")
        )
        with translating_errors():
            values = [document.to_dict() or {} for document in self._database.rows(query)]
        return [
            CalendarMonth(
                month_end=date.fromisoformat(value["month_end"]),
                districts=tuple(value["districts"]),
                as_of_days=tuple(date.fromisoformat(day) for day in value["as_of_days"]),
                is_archived=value["is_archived"],
                is_closed=value["is_closed"],
                has_blank_close=value["has_blank_close"],
                fetched_at=datetime.fromisoformat(value["fetched_at"]),
            )
            for value in values
        ]

    def save(self, month: CalendarMonth) -> None:
        value = {
            "month_end": month.month_end.isoformat(),
            "districts": list(month.districts),
            "as_of_days": [day.isoformat() for day in month.as_of_days],
            "is_archived": month.is_archived,
            "is_closed": month.is_closed,
            "has_blank_close": month.has_blank_close,
            "fetched_at": month.fetched_at.isoformat(),
        }

        def write(attempt: Attempt) -> None:
            attempt.writes.set(self._database.document("calendar", month.month_end.isoformat()), value)
            attempt.commit()

        with translating_errors():
            self._database.run(write)

    def update_claim(self, change: Callable[[CalendarClaim], CalendarClaim]) -> CalendarClaim:
        def write(attempt: Attempt) -> CalendarClaim:
            seen = attempt.read(self._database.document("state", "calendar_claim"))
            value = seen.to_dict() or {}
            before = CalendarClaim(
                owner=value.get("owner", ""),
                since=to_datetime(value.get("since")),
                expires_at=to_datetime(value.get("expires_at")),
                wanted_at=to_datetime(value.get("wanted_at")),
            )

            def to_value(after: CalendarClaim) -> dict[str, Any]:
                return {
                    "owner": after.owner,
                    "since": after.since,
                    "expires_at": after.expires_at,
                    "wanted_at": after.wanted_at,
                }

            return attempt.change_once(seen, before, change, to_value)

        with translating_errors():
            return self._database.run(write)
