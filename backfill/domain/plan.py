"""Work items and the plan of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import NamedTuple

from backfill.domain.calendar import Edition
from backfill.domain.digest import stable_digest

SUMMARY = "all"
"""The "district" of a date's district summary."""

_DISTRICT = re.compile(r"0*([1-9][0-9]{0,3})|([A-Za-z])")


def normalised_district(text: str) -> str:
    """`1`, `01` and ` 01 ` are one district, written `01` as on the dashboard. Raises ValueError."""
    match = _DISTRICT.fullmatch(text.strip())
    if match is None:
        raise ValueError("A district is a number like 91, or F or U.")
    return match[1].zfill(2) if match[1] else match[2].upper()


def district_order(district: str) -> tuple[int, int, str]:
    """Sort key: the summary first, numbers by size, then letters."""
    if district == SUMMARY:
        return (0, 0, "")
    return (1, int(district), "") if district.isdigit() else (2, 0, district)


class WorkItem(NamedTuple):
    """One district, or the district summary, on one snapshot date."""

    date: date
    district: str

    @property
    def key(self) -> str:
        return f"{self.date.isoformat()}/{self.district}"

    @classmethod
    def of(cls, key: str) -> WorkItem:
        """The item of a key. Raises ValueError if the key is invalid."""
        day, _, district = key.partition("/")
        return cls(date.fromisoformat(day), district)


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """The items of one snapshot date in their order. `edition` is None if no report is fetched."""

    date: date
    districts: tuple[str, ...]
    edition: Edition | None = None

    def items(self) -> Iterator[WorkItem]:
        return (WorkItem(self.date, district) for district in self.districts)


@dataclass(frozen=True)
class Plan:
    """All items of a job by date, fixed when the job is created. Dates share their tuples of districts."""

    days: tuple[PlannedDay, ...]
    unpublished_dates: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    """The expected number of skipped items by reason."""
    requests: int = 0
    """How many requests to the dashboard it takes, if each succeeds at once."""
    stale: int = field(default=0, compare=False)
    """Items that are computed again because their input has changed; set by previews only."""

    @cached_property
    def total_items(self) -> int:
        return sum(len(day.districts) for day in self.days)

    @cached_property
    def district_totals(self) -> dict[str, int]:
        """The number of items of each district, in district order."""
        counters: dict[str, int] = {}
        by_group: dict[tuple[str, ...], int] = {}
        for day in self.days:
            by_group[day.districts] = by_group.get(day.districts, 0) + 1
        for districts, dates in by_group.items():
            for district in districts:
                counters[district] = counters.get(district, 0) + dates
        return dict(sorted(counters.items(), key=lambda pair: district_order(pair[0])))

    @property
    def skipped_items(self) -> int:
        return sum(self.skipped.values())

    def only(self, items: Iterable[WorkItem]) -> Plan:
        """The plan narrowed to those of `items` that it contains. `requests` is 0: the job type counts them."""
        wanted: dict[date, set[str]] = {}
        for item in items:
            wanted.setdefault(item.date, set()).add(item.district)
        days = tuple(
            replace(day, districts=tuple(d for d in day.districts if d in wanted[day.date]))
            for day in self.days
            if day.date in wanted
        )
        return Plan(tuple(day for day in days if day.districts))

    @cached_property
    def digest(self) -> str:
        """Hex digits that are equal only for plans that do the same."""
        groups: dict[tuple[str, ...], int] = {}
        days = [
            [day.date.isoformat(), groups.setdefault(day.districts, len(groups)), day.edition and day.edition.key]
            for day in self.days
        ]
        skipped = sorted((str(reason), count) for reason, count in self.skipped.items())
        return stable_digest({"districts": list(groups), "days": days, "skipped": skipped}, size=8)
