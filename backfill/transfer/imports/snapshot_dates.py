"""The snapshot dates of imported reports, by the stored calendar and the as-of dates of the import.

The rules are those of a collection, `CalendarMonth.edition`: a snapshot date is an as-of date of a month, and the end
of the month stands for the newest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from backfill.domain import CalendarMonth, Edition, edition_of
from backfill.transfer.imports.reasons import ImportReason, NotImported

_LONGEST_CLOSING = timedelta(days=45)
"""After this time a month is closed, whatever its stored calendar says."""


def import_calendar(
    stored: Iterable[CalendarMonth], as_of_days: Iterable[tuple[date, date]], now: datetime
) -> dict[date, CalendarMonth]:
    """The calendar of the months of an import by month end.

    A stored page of a closed month is complete. Other months also have the as-of dates of the imported files. The close
    of such a month is the newest date if it lies after the end of the month and the month must be closed by now.
    """
    calendar = {month.month_end: month for month in stored}
    found: dict[date, set[date]] = {}
    for month_end, as_of in as_of_days:
        found.setdefault(month_end, set()).add(as_of)
    for month_end, days in found.items():
        known = calendar.get(month_end)
        if known is None or not known.is_closed:
            calendar[month_end] = _presumed(month_end, days, known, now)
    return calendar


def _presumed(month_end: date, days: set[date], known: CalendarMonth | None, now: datetime) -> CalendarMonth:
    every = tuple(sorted(days.union(known.as_of_days if known else ())))
    is_closed = every[-1] > month_end and now.date() - month_end > _LONGEST_CLOSING
    if known is not None:
        return replace(known, as_of_days=every, is_closed=is_closed)
    return CalendarMonth(
        month_end=month_end,
        districts=(),
        as_of_days=every,
        is_archived=is_closed,
        is_closed=is_closed,
        has_blank_close=False,
        fetched_at=now,
    )


def snapshot_dates(
    month_end: date, as_of: date, calendar: Mapping[date, CalendarMonth], today: date
) -> Iterator[tuple[date, Edition]]:
    """Yield the snapshot dates of a report: its as-of date, and the end of the month if it is the close.

    Raises NotImported if the calendar of the closed month does not have the as-of date.
    """
    if as_of not in calendar[month_end].as_of_days:
        raise NotImported(
            ImportReason.NOT_PUBLISHED,
            f"The stored calendar of {month_end:%B %Y} does not have its as-of date, {as_of}.",
        )
    for day in sorted({as_of, month_end}):
        edition = edition_of(day, calendar)
        if day <= today and edition is not None and (edition.month_end, edition.as_of) == (month_end, as_of):
            yield day, edition
