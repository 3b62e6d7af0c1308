"""Which snapshots and results are stored, and where the gaps are."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from backfill.domain.calendar import CalendarMonth, calendar_ends, edition_of, month_end_of, month_ends
from backfill.domain.plan import SUMMARY, district_order

_LONGEST_CLOSING = dt.timedelta(days=45)
"""After this time a month is closed, even if its stored calendar says otherwise."""


class Cell(StrEnum):
    """What is stored for a district and a date, or for a district and the end of a month."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    FINAL = "final"
    """The final figures of a closed month."""
    ANALYTICS = "analytics"
    """A snapshot and a result computed from its current content."""
    UNPUBLISHED = "unpublished"
    """The dashboard has no data."""
    UNKNOWN = "unknown"
    """Nothing is stored, and neither is the calendar that says whether the dashboard has data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDay:
    """The districts stored for a date, including the summary (`all`)."""

    date: dt.date
    snapshots: frozenset[str]
    final: frozenset[str]
    """Districts whose snapshot contains the final figures of a closed month."""
    analysed: frozenset[str]
    """Districts with a result computed from the current snapshot."""

    def cell(self, district: str) -> Cell:
        if district in self.analysed:
            return Cell.ANALYTICS
        if district in self.final:
            return Cell.FINAL
        return Cell.SNAPSHOT if district in self.snapshots else Cell.NONE


@dataclass(frozen=True, slots=True)
class CoveredDay:
    date: dt.date
    cells: Mapping[str, Cell]
    """By district."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredMonth:
    """A month by district.

    A cell describes the end of the month; if that is not stored, `snapshot` means that other dates of the month are.
    """

    month_end: dt.date
    cells: Mapping[str, Cell]
    snapshots: Mapping[str, int]
    """Stored dates by district."""
    results: Mapping[str, int]
    """Dates with analytics by district."""
    missing: frozenset[str]
    """Districts whose closing figures are not stored although they should be, or were stored before the closing."""
    is_unknown: bool = False
    """Whether its calendar is not stored, or was read before its figures were published. Nothing is missing then."""

    @property
    def unanalysed(self) -> int:
        """Snapshots without analytics."""
        return sum(self.snapshots.values()) - sum(self.results.values())


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive months for which the closing figures of the same districts are missing."""

    first: dt.date
    """The first day of its first month."""
    last: dt.date
    """The last day of its last month."""
    districts: tuple[str, ...]
    months: int

    @property
    def closes(self) -> int:
        """The number of missing month ends."""
        return self.months * len(self.districts)


def covered_days(
    first: dt.date, last: dt.date, calendar: Iterable[CalendarMonth], stored: Iterable[StoredDay]
) -> Iterator[CoveredDay]:
    """Each date of a range with all known districts. `calendar` begins a month before `first`."""
    months = {month.month_end: month for month in calendar}
    days = {day.date: day for day in stored}
    known = _known_districts(months.values(), days.values())
    for n in range((last - first).days + 1):
        date = first + dt.timedelta(days=n)
        day = days.get(date) or _empty_day(date)
        edition = edition_of(date, months)
        published: Collection[str] = _published(months[edition.month_end]) if edition else ()
        is_unknown = edition is None and any(
            end not in months or _was_read_before(months[end], date) for end in calendar_ends(date)
        )
        yield CoveredDay(
            date, {d: _cell(day, d, published, is_unknown=is_unknown) for d in sorted(known, key=district_order)}
        )


def covered_months(
    first: dt.date,
    last: dt.date,
    calendar: Iterable[CalendarMonth],
    stored: Iterable[StoredDay],
    *,
    today: dt.date,
    districts: Collection[str] = (),
) -> list[CoveredMonth]:
    """Each month of a range, oldest first, with the given districts or all known ones.

    `stored` contains whole months in date order.
    """
    months = {month.month_end: month for month in calendar}
    by_month = {end: list(days) for end, days in groupby(stored, key=lambda day: month_end_of(day.date))}
    every = _known_districts(months.values(), (day for days in by_month.values() for day in days))
    known = sorted(every.intersection(districts) if districts else every, key=district_order)
    return [_month(end, months.get(end), by_month.get(end, ()), known, today) for end in month_ends(first, last)]


def gaps(months: Sequence[CoveredMonth]) -> list[Gap]:
    """The gaps, largest first."""
    found = []
    for districts, run in groupby(months, key=lambda month: month.missing):
        ends = [month.month_end for month in run]
        if districts:
            names = tuple(sorted(districts, key=district_order))
            found.append(Gap(ends[0].replace(day=1), ends[-1], names, len(ends)))
    return sorted(found, key=lambda gap: (-gap.closes, gap.first))


def _month(
    end: dt.date, month: CalendarMonth | None, days: Sequence[StoredDay], known: Collection[str], today: dt.date
) -> CoveredMonth:
    close = next((day for day in days if day.date == end), _empty_day(end))
    is_unknown = month is None or _is_outdated(month, today)
    published = _published(month) if month is not None else frozenset()
    snapshots = _count_by_district(known, (day.snapshots for day in days))
    cells = {}
    for district in known:
        cell = _cell(close, district, published, is_unknown=is_unknown)
        is_empty = cell in (Cell.NONE, Cell.UNKNOWN)
        cells[district] = Cell.SNAPSHOT if is_empty and district in snapshots else cell
    is_over = (month is not None and month.is_closed) or today - end > _LONGEST_CLOSING
    wanted = close.final if is_over else close.snapshots
    return CoveredMonth(
        month_end=end,
        cells=cells,
        snapshots=snapshots,
        results=_count_by_district(known, (day.analysed for day in days)),
        missing=published.intersection(known) - wanted if end < today else frozenset(),
        is_unknown=is_unknown,
    )


def _was_read_before(month: CalendarMonth, date: dt.date) -> bool:
    """Whether the page of an open month was read before a date could be published."""
    return not month.is_closed and month.fetched_at.date() <= date


def _is_outdated(month: CalendarMonth, today: dt.date) -> bool:
    """Whether figures may have been published since its page was read, which listed none."""
    if month.as_of_days or month.is_closed or month.month_end >= today:
        return False
    return month.fetched_at.date() < min(today, month.month_end + _LONGEST_CLOSING)


def _count_by_district(known: Iterable[str], sets: Iterable[Collection[str]]) -> Mapping[str, int]:
    counts = Counter(district for districts in sets for district in districts)
    return {district: counts[district] for district in known if counts[district]}


def _cell(day: StoredDay, district: str, published: Collection[str], *, is_unknown: bool) -> Cell:
    cell = day.cell(district)
    if cell is not Cell.NONE or (district in published and not is_unknown):
        return cell
    return Cell.UNKNOWN if is_unknown else Cell.UNPUBLISHED


def _known_districts(months: Iterable[CalendarMonth], days: Iterable[StoredDay]) -> frozenset[str]:
    calendars = (_published(month) for month in months if month.as_of_days)
    return frozenset().union(*calendars, *(day.snapshots for day in days))


def _published(month: CalendarMonth) -> frozenset[str]:
    return frozenset((SUMMARY, *month.districts)) if month.as_of_days else frozenset()


def _empty_day(date: dt.date) -> StoredDay:
    return StoredDay(date=date, snapshots=frozenset(), final=frozenset(), analysed=frozenset())
