"""Which districts have figures on a date, according to the summary of that date."""

from __future__ import annotations

import logging
from datetime import date

from backfill.dashboard.reports import rows_as_objects
from backfill.domain import SUMMARY, Edition, ReportName, WorkItem, normalise_column, normalised_district
from backfill.errors import CorruptRecord, DashboardError
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_DISTRICT_COLUMN = normalise_column("DISTRICT")


class Publication:
    """Decides whether a report without rows is what the dashboard has for an item, or a failure. Thread-safe."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._empty_dates: set[date] = set()

    def note_empty_summary(self, day: date) -> None:
        """The summary of a date has no rows, so the date is not published."""
        self._empty_dates.add(day)

    def lacks(self, item: WorkItem, edition: Edition) -> bool:
        """Whether the summary of the item's date is empty, or does not have its district.

        False if the summary is not known: its request may have failed, or may still run.
        """
        if item.date in self._empty_dates:
            return True
        districts = self._districts(item.date, edition)
        return districts is not None and item.district not in districts

    def _districts(self, day: date, edition: Edition) -> frozenset[str] | None:
        try:
            summary = self._storage.snapshots.get(day, SUMMARY)
            if summary is None or (summary.data_month, summary.as_of) != (edition.month_end, edition.as_of):
                return None
            rows = rows_as_objects(summary.reports[ReportName.SUMMARY].content)
            return frozenset(_district(row) for row in rows)
        except (CorruptRecord, DashboardError, ValueError) as exc:
            logger.warning("The stored summary of %s cannot be read: %s", day, exc)
            return None


def _district(row: dict[str, str]) -> str:
    """Raises ValueError if it is not a district."""
    return next(
        (normalised_district(cell) for column, cell in row.items() if normalise_column(column) == _DISTRICT_COLUMN), ""
    )
