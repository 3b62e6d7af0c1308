"""The differences between two stored dates of a district."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import TypeVar

from backfill.analytics import ClubFigures, UnreadableSnapshot
from backfill.analytics.changes import ClubOnDate, DistrictChanges, DistrictOnDate, district_changes, ids_to_find
from backfill.domain import SUMMARY, ProgramYear, ReportName, Snapshot, SnapshotFilter, district_order
from backfill.errors import CorruptRecord, DashboardError, InvalidDateRange, SnapshotNotFound
from backfill.job_types.compute.tasks import club_figures_of, world_of
from backfill.storage import Storage

_AT_ONCE = 20
"""Snapshots of other districts in memory."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChangeQueries:
    storage: Storage

    def between(self, district: str, first: date, last: date) -> DistrictChanges:
        """Compare two dates. Reads the snapshots of other districts only if clubs came or left.

        Raises InvalidDateRange unless `first` is before `last`; SnapshotNotFound, with the nearest stored dates, if a
        snapshot is missing and the date's summary does not show that the district did not exist; CorruptRecord.
        """
        if first == last:
            raise InvalidDateRange({"to": [f"The second date must be after the first; both were {first}."]})
        if first > last:
            raise InvalidDateRange({"from": [f"The first date ({first}) must be before the second ({last})."]})
        before, after = self._side(district, first), self._side(district, last)
        if not before.exists and not after.exists:
            raise self._not_found(district, first)
        sought_before, sought_after = ids_to_find(before.clubs, after.clubs)
        return district_changes(
            district,
            self._with_others(before, district, sought_before),
            self._with_others(after, district, sought_after),
        )

    def last_two_dates(self, district: str) -> tuple[date, date] | None:
        """The last two dates with a snapshot of a district; None if there are fewer."""
        wanted = SnapshotFilter(district=district)
        count = self.storage.snapshots.page(wanted, limit=1, offset=0).total
        if count < 2:
            return None
        first, last = self.storage.snapshots.page(wanted, limit=2, offset=count - 2).rows
        return first.date, last.date

    def _side(self, district: str, day: date) -> DistrictOnDate:
        snapshot = self.storage.snapshots.get(day, district)
        if snapshot is not None:
            return DistrictOnDate(
                date=day,
                program_year=snapshot.program_year,
                data_month=snapshot.data_month,
                as_of=snapshot.as_of,
                is_final=snapshot.is_final,
                clubs=self._clubs(snapshot),
                elsewhere={},
            )
        summary = self._summary(day)
        if summary is None or district in summary[1]:
            raise self._not_found(district, day)
        return DistrictOnDate(
            date=day,
            program_year=summary[0],
            data_month=None,
            as_of=None,
            is_final=None,
            clubs=(),
            exists=False,
            elsewhere={},
        )

    def _clubs(self, snapshot: Snapshot) -> list[ClubFigures]:
        try:
            return club_figures_of(snapshot)
        except (DashboardError, UnreadableSnapshot) as exc:
            raise CorruptRecord(
                f"The stored snapshot {snapshot.date}/{snapshot.district} cannot be read: {exc.message} Collect that "
                "date again with skipExisting set to false."
            ) from exc

    def _summary(self, day: date) -> tuple[ProgramYear, frozenset[str]] | None:
        """The program year and the districts of a date's summary; None if it is not stored or unreadable."""
        try:
            summary = self.storage.snapshots.get(day, SUMMARY)
            return None if summary is None else (summary.program_year, frozenset(world_of(summary).rows))
        except (CorruptRecord, DashboardError, UnreadableSnapshot):
            return None

    def _with_others(self, side: DistrictOnDate, district: str, sought: Collection[str]) -> DistrictOnDate:
        """The side with the clubs that are in other districts on its date."""
        if not sought:
            return side
        stored = {row.district for row in self.storage.snapshots.metadata(side.date, side.date)} - {SUMMARY, district}
        found: dict[str, ClubOnDate] = {}
        unread = set(stored)
        for names in _batches(sorted(stored, key=district_order), _AT_ONCE):
            for name, snapshot in self.storage.snapshots.get_several(side.date, names).items():
                try:
                    found |= _clubs_in(snapshot, sought)
                except (DashboardError, UnreadableSnapshot):
                    continue
                unread.discard(name)
        summary = self._summary(side.date)
        missing = None if summary is None else sorted((summary[1] - {district} - stored) | unread, key=district_order)
        is_found = len(found) == len(sought)
        return replace(side, elsewhere=found, not_searched=() if is_found else missing)

    def _not_found(self, district: str, day: date) -> SnapshotNotFound:
        nearest = self._nearest(district, day)
        if not nearest:
            return SnapshotNotFound(
                f"No snapshot of district {district} is stored. Check the id, or collect its dates with a "
                "data-collection job."
            )
        names = " and ".join(map(str, nearest))
        which = f"The nearest stored dates are {names}" if len(nearest) > 1 else f"The nearest stored date is {names}"
        return SnapshotNotFound(
            f"No snapshot of district {district} is stored for {day}. {which}.",
            details={"districtId": district, "date": str(day), "nearest": [str(each) for each in nearest]},
        )

    def _nearest(self, district: str, day: date) -> list[date]:
        """The last stored date before a day that is not stored, and the first after it."""
        snapshots = self.storage.snapshots
        earlier, later = SnapshotFilter(last=day, district=district), SnapshotFilter(first=day, district=district)
        count = snapshots.page(earlier, limit=1, offset=0).total
        rows = [
            *(snapshots.page(earlier, limit=1, offset=count - 1).rows if count else ()),
            *snapshots.page(later, limit=1, offset=0).rows,
        ]
        return [row.date for row in rows]


def _clubs_in(snapshot: Snapshot, sought: Collection[str]) -> dict[str, ClubOnDate]:
    """The sought clubs of a snapshot. Its reports are parsed only if one of the numbers is in them."""
    content = snapshot.reports[ReportName.CLUBS].content + snapshot.reports[ReportName.DISTRICT].content
    if not any(number.encode() in content for number in sought):
        return {}
    found: dict[str, ClubOnDate] = {}
    for club in club_figures_of(snapshot):
        if club.club_number in sought:
            found.setdefault(club.club_number, ClubOnDate(snapshot.district, club))
    return found


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
