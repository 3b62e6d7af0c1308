"""What a result takes from other snapshots than its own: that of the year before, and whether dates are blank."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from enum import Enum

from backfill.analytics import UnreadableSnapshot
from backfill.domain import SUMMARY, Snapshot, SnapshotFacts, month_end_of
from backfill.errors import CorruptRecord, DashboardError, SnapshotNotFound
from backfill.job_types.compute.tasks import has_dates, open_clubs_of
from backfill.storage import SnapshotStorage

_KEPT = 4096
"""Snapshots whose open clubs are kept: two program years of month-ends of every district, 4 MB."""

Key = tuple[date, str]
"""The date and the district of a snapshot."""


MonthKey = tuple[date, str]
"""A data month and a district."""


def year_before(month_end: date) -> date:
    """The end of the same month a year earlier."""
    return month_end_of(date(month_end.year - 1, month_end.month, 1))


class LastOfMonth:
    """The last snapshot of each data month and district: the close, else the newest as-of."""

    def __init__(self, facts: Iterable[SnapshotFacts] = ()) -> None:
        self._last: dict[MonthKey, SnapshotFacts] = {}
        self.add(facts)

    def add(self, facts: Iterable[SnapshotFacts]) -> None:
        for one in facts:
            last = self._last.get((one.data_month, one.district))
            if last is None or (one.is_final, one.as_of, one.date) > (last.is_final, last.as_of, last.date):
                self._last[one.data_month, one.district] = one

    def before(self, own: SnapshotFacts) -> SnapshotFacts | None:
        """What a snapshot is compared with: the same data month's last of the program year before."""
        if own.district == SUMMARY:
            return None
        return self._last.get((year_before(own.data_month), own.district))


class OpenClubs:
    """The open clubs of snapshots that later results are compared with.

    A job in date order computes a snapshot a year before it compares with it, and compares a month of days with the
    same one, so few of them are read again. The points of results do not hold them: a series would carry them along.
    """

    def __init__(self, snapshots: SnapshotStorage) -> None:
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, str] = OrderedDict()

    def remember(self, day: date, district: str, clubs: Sequence[str]) -> None:
        with self._lock:
            self._kept[day, district] = "\0".join(clubs)
            self._kept.move_to_end((day, district))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def read(self, keys: Iterable[Key]) -> Mapping[Key, tuple[str, ...]]:
        """The open clubs of each snapshot that can be read."""
        found: dict[Key, tuple[str, ...]] = {}
        missing: dict[date, list[str]] = defaultdict(list)
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    joined = self._kept[key]
                    found[key] = tuple(joined.split("\0")) if joined else ()
                else:
                    missing[key[0]].append(key[1])
        for day, districts in missing.items():
            for district, snapshot in self._snapshots.get_several(day, districts).items():
                try:
                    clubs = open_clubs_of(snapshot)
                except (DashboardError, UnreadableSnapshot):  # its own item says so
                    continue
                self.remember(day, district, clubs)
                found[day, district] = clubs
        return found


class Dates(Enum):
    """What is known of the charter and suspend dates of all districts of a date."""

    SEEN = "seen"
    """A district has one: where a column of another district is blank, it has none."""
    BLANK = "blank"
    """They are blank in every row of every district: the export has left them out."""
    UNKNOWN = "unknown"
    """They are blank in every district that is stored, but not every district of the date is."""


def dates_of(stored: Collection[str], named: Collection[str] | None, read: Callable[[str], Snapshot]) -> Dates:
    """Read the snapshots of a date until one has a charter or suspend date.

    `stored` are the districts with a snapshot, `named` those of the date's summary (None where there is none, and then
    the stored ones are all that is known). A snapshot that cannot be read has no dates.
    """
    if hold_dates(stored, read):
        return Dates.SEEN
    return Dates.BLANK if named is None or set(named) <= set(stored) else Dates.UNKNOWN


def hold_dates(districts: Iterable[str], read: Callable[[str], Snapshot]) -> bool:
    """Whether one of the districts has a charter or suspend date; reads no more of them than it takes."""
    return any(_has_dates(district, read) for district in districts)


def _has_dates(district: str, read: Callable[[str], Snapshot]) -> bool:
    try:
        return has_dates(read(district))
    except (CorruptRecord, DashboardError, SnapshotNotFound, UnreadableSnapshot):  # its own item says so
        return False
