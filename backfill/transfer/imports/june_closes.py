"""Finds the program year of a June whose footer has the date of the download.

A June requested with an empty as-of date has the final figures of its program year, and its footer has the date of the
download: `Month of Jun, As of 09/13/2025` may be the June of any year before. The charter dates in the district report
show the year. Without them the bases do, which are the same in all reports of a program year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from backfill.dashboard.reports import rows_as_objects
from backfill.domain import (
    CalendarMonth,
    ProgramYear,
    Report,
    ReportName,
    SnapshotFilter,
    normalise_column,
)
from backfill.errors import CorruptRecord, DashboardError
from backfill.storage import Storage
from backfill.transfer.imports.file_index import FileIndex
from backfill.transfer.imports.reasons import ImportReason, NotImported
from backfill.transfer.imports.report_sets import ReportSet

_BASES = {
    ReportName.SUMMARY: ("district", ("paid club base", "payment base")),
    ReportName.CLUBS: ("club number", ("mem. base",)),
}
_SAME_YEAR = 0.5
"""At least this part of the bases is equal within a program year: of the real summaries of May and June 94 % or more,
of the Junes of successive years none."""

Bases = Mapping[str, tuple[str, ...]]


class JuneCloses:
    """Finds the closed month of June for sets of one import."""

    def __init__(self, index: FileIndex, storage: Storage, calendar: Mapping[date, CalendarMonth]) -> None:
        """`calendar` contains the stored months only."""
        self._index, self._storage = index, storage
        self._closed = {
            ProgramYear.of(end): month
            for end, month in calendar.items()
            if end.month == 6 and month.is_closed and month.as_of_days
        }

    def close(self, files: ReportSet) -> CalendarMonth:
        """Raises NotImported if the year is not known, or the calendar does not say that it was closed at that date."""
        year = files.year or self._year_by_bases(files)
        if year is None:
            raise NotImported(
                ImportReason.JUNE_CLOSE,
                f"Its footer has the date of the download, {files.as_of}, and nothing in it shows the program year. "
                "Read the calendar of June of that year, import or collect another month of it, and import again.",
            )
        month = self._closed.get(year)
        if month is None:
            raise NotImported(
                ImportReason.JUNE_CLOSE,
                f"It is of June {year.close.year}, whose close is not in the stored calendar. Read it with: manage.py "
                f"backfill coverage --from {year.close.replace(day=1)} --to {year.close} --read-calendar",
            )
        if files.as_of <= month.as_of_days[-1]:
            raise NotImported(
                ImportReason.JUNE_CLOSE,
                f"It is of June {year.close.year} and was downloaded on {files.as_of}, before the year was closed.",
            )
        return month

    def _year_by_bases(self, files: ReportSet) -> ProgramYear | None:
        """The only year with a closed June whose other months have the same bases."""
        own = _bases(lambda: self._index.reports_with_content(files.id))
        found = [
            year
            for year, month in self._closed.items()
            if month.as_of_days[-1] < files.as_of
            and any(_are_of_same_year(own, bases) for bases in self._bases_of(year, files.district))
        ]
        return found[0] if len(found) == 1 else None

    def _bases_of(self, year: ProgramYear, district: str) -> Iterator[Bases]:
        """The bases in the import and in the store, for the newest date of a year before its June."""
        set_id = self._index.newest_set(district, year)
        if set_id is not None:
            yield _bases(lambda: self._index.reports_with_content(set_id))
        snapshots = self._storage.snapshots
        wanted = SnapshotFilter(first=year.month_end(7), last=year.month_end(5), district=district)
        total = snapshots.page(wanted, limit=1, offset=0).total
        for snapshot in snapshots.page(wanted, limit=1, offset=total - 1).rows if total else ():
            stored = snapshots.get(snapshot.date, district)
            if stored is not None:
                yield _bases(lambda reports=stored.reports: reports)  # type: ignore[misc]


def _bases(read: Callable[[], Mapping[ReportName, Report]]) -> Bases:
    """The bases by district or club; none if the reports cannot be read."""
    try:
        reports = read()
        name = next(name for name in _BASES if name in reports)
        rows = rows_as_objects(reports[name].content)
    except (CorruptRecord, DashboardError, NotImported):
        return {}
    key, columns = _BASES[name]
    found = {}
    for row in rows:
        cells = {normalise_column(column): cell.strip() for column, cell in row.items()}
        found[cells.get(key, "").lstrip("0")] = tuple(cells.get(column, "") for column in columns)
    return found


def _are_of_same_year(one: Bases, other: Bases) -> bool:
    common = one.keys() & other.keys()
    return bool(common) and sum(one[key] == other[key] for key in common) / len(common) >= _SAME_YEAR
