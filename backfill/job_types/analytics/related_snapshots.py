"""The inputs of a result from other snapshots: the year before, and whether the charter dates are blank."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from enum import Enum

from backfill.analytics import UnreadableSnapshot
from backfill.domain import SUMMARY, Snapshot, SnapshotMetadata, month_end_of
from backfill.errors import CorruptRecord, DashboardError, SnapshotNotFound
from backfill.job_types.compute.tasks import has_dates, open_clubs_of
from backfill.storage import SnapshotStorage

_CACHE_SIZE = 4096
"""The number of snapshots whose open clubs are cached: two program years of month-ends, 4 MB."""

Key = tuple[date, str]
"""The date and the district of a snapshot."""

MonthKey = tuple[date, str]
"""A data month and a district."""


def year_before(month_end: date) -> date:
    """The end of the same month a year earlier."""
    return month_end_of(date(month_end.year - 1, month_end.month, 1))


class LastOfMonth:
    """The last snapshot of each data month and district: the close, otherwise the newest as-of date."""

    def __init__(self, facts: Iterable[SnapshotMetadata] = ()) -> None:
        self._last: dict[MonthKey, SnapshotMetadata] = {}
        self.add(facts)

    def add(self, facts: Iterable[SnapshotMetadata]) -> None:
        for one in facts:
            last = self._last.get((one.data_month, one.district))
            if last is None or (one.is_final, one.as_of, one.date) > (last.is_final, last.as_of, last.date):
                self._last[one.data_month, one.district] = one

    def before(self, own: SnapshotMetadata) -> SnapshotMetadata | None:
        """The snapshot to compare with: the last one of the same data month of the previous program year."""
        if own.district == SUMMARY:
            return None
        return self._last.get((year_before(own.data_month), own.district))


class OpenClubs:
    """A cache of the open clubs of snapshots, with which later results are compared.

    A job runs in date order: it computes a snapshot before it compares later ones with it, and compares all days of a
    month with the same one. So few snapshots are read again. Points do not contain the clubs, which would enlarge
    every series.
    """

    def __init__(self, snapshots: SnapshotStorage) -> None:
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._cache: OrderedDict[Key, str] = OrderedDict()

    def remember(self, day: date, district: str, clubs: Sequence[str]) -> None:
        with self._lock:
            self._cache[day, district] = "\0".join(clubs)
            self._cache.move_to_end((day, district))
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)

    def read(self, keys: Iterable[Key]) -> Mapping[Key, tuple[str, ...]]:
        """The open clubs of the snapshots; unreadable ones are missing."""
        found: dict[Key, tuple[str, ...]] = {}
        missing: dict[date, list[str]] = defaultdict(list)
        with self._lock:
            for key in keys:
                if key in self._cache:
                    self._cache.move_to_end(key)
                    joined = self._cache[key]
                    found[key] = tuple(joined.split("\0")) if joined else ()
                else:
                    missing[key[0]].append(key[1])
        for day, districts in missing.items():
            for district, snapshot in self._snapshots.get_several(day, districts).items():
                try:
                    clubs = open_clubs_of(snapshot)
                except (DashboardError, UnreadableSnapshot):  # its own item reports the error
                    continue
                self.remember(day, district, clubs)
                found[day, district] = clubs
        return found


class Dates(Enum):
    """Whether the charter and suspend dates of the districts of a date are blank."""

    SEEN = "seen"
    """A district has one, so a blank column of another district means that it has none."""
    BLANK = "blank"
    """They are blank in every row of every district: the export omits them."""
    UNKNOWN = "unknown"
    """They are blank in every stored district, but not all districts of the date are stored."""


def dates_of(stored: Collection[str], named: Collection[str] | None, read: Callable[[str], Snapshot]) -> Dates:
    """Read the snapshots of a date until one has a charter or suspend date.

    `stored` are the districts with a snapshot, `named` those of the date's summary, None without a summary. An
    unreadable snapshot has no dates.
    """
    if any_has_dates(stored, read):
        return Dates.SEEN
    return Dates.BLANK if named is None or set(named) <= set(stored) else Dates.UNKNOWN


def any_has_dates(districts: Iterable[str], read: Callable[[str], Snapshot]) -> bool:
    """Whether any of the districts has a charter or suspend date. Stops reading at the first one."""
    return any(_has_dates(district, read) for district in districts)


def _has_dates(district: str, read: Callable[[str], Snapshot]) -> bool:
    try:
        return has_dates(read(district))
    except (CorruptRecord, DashboardError, SnapshotNotFound, UnreadableSnapshot):  # its own item reports the error
        return False
