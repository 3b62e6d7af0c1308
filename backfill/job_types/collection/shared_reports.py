"""Dates that share reports: the close of a month and the as-of date on which that close was published.

Both have the same report strings, so their reports are requested once and stored under both dates.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from backfill.domain import Cadence, Edition, Job, Snapshot, WorkItem
from backfill.errors import CorruptRecord
from backfill.storage import Storage

logger = logging.getLogger(__name__)

_Key = tuple[date, str]
"""A month end and a district."""


class SharedReports:
    """Finds the reports of an item in the snapshot of the other date. Thread-safe."""

    def __init__(self, job: Job, storage: Storage) -> None:
        self._job, self._storage = job, storage
        self._changed = threading.Condition()
        self._in_progress: set[_Key] = set()
        self._fetched: dict[_Key, Edition] = {}
        self._closes: dict[tuple[date, bool], date | None] = {}

    @contextmanager
    def locked(self, item: WorkItem, edition: Edition) -> Iterator[date | None]:
        """Yield the other date of an item, or None. The items of both dates are not processed at the same time."""
        other = self._other_date(item, edition)
        if other is None:
            yield None
            return
        key = edition.month_end, item.district
        with self._changed:
            while key in self._in_progress:
                self._changed.wait()
            self._in_progress.add(key)
        try:
            yield other
        finally:
            with self._changed:
                self._in_progress.remove(key)
                self._changed.notify_all()

    def found(self, other: date, item: WorkItem, edition: Edition, planned: Edition) -> Snapshot | None:
        """The snapshot of the other date, if it has the reports that a request for `edition` would return.

        This is the case if this job has fetched it. Of an earlier job, only a final close is used: another snapshot
        may date from when the month was open and its figures changed under the same as-of date.
        """
        try:
            snapshot = self._storage.snapshots.get(other, item.district)
        except CorruptRecord as exc:
            logger.warning(
                "Item %s is requested, because the stored reports are unreadable: %s",
                item.key,
                exc.message,
            )
            return None
        if snapshot is None or (snapshot.data_month, snapshot.as_of) != (edition.month_end, edition.as_of):
            return None
        fetched = self._fetched.get((edition.month_end, item.district))
        is_own = snapshot.job_id == self._job.id
        is_usable = (
            (fetched is not None and fetched.has_requests_of(edition))
            or (snapshot.is_final and (is_own or self._job.config.skip_existing))
            or (is_own and edition == planned)  # before this job was resumed
        )
        return snapshot if is_usable else None

    def stored(self, item: WorkItem, edition: Edition) -> None:
        """Record that this job has fetched and stored an item with another date."""
        self._fetched[edition.month_end, item.district] = edition

    def _other_date(self, item: WorkItem, edition: Edition) -> date | None:
        if self._job.config.cadence is not Cadence.DAILY or edition.as_of == edition.month_end:
            return None
        if item.date == edition.month_end:
            return edition.as_of
        return edition.month_end if self._close_of(edition) == edition.as_of else None

    def _close_of(self, edition: Edition) -> date | None:
        """The as-of date of the month's close according to the stored calendar."""
        key = edition.month_end, edition.is_archived
        if key not in self._closes:
            months = self._storage.calendars.months(edition.month_end, edition.month_end)
            closes = [month.edition(month.month_end) for month in months]
            self._closes[key] = next((close.as_of for close in closes if close), None)
        return self._closes[key]
