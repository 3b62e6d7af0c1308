"""The plan of an analytics job: one item per stored snapshot, and which of the results are up to date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from backfill.analytics import SCHEMA_VERSION
from backfill.domain import (
    SUMMARY,
    Cadence,
    JobConfig,
    Plan,
    PlannedDay,
    ProgramYear,
    ResultMetadata,
    SkipReason,
    SnapshotMetadata,
    district_order,
    is_month_end,
)
from backfill.domain.digest import stable_digest
from backfill.job_types.analytics.related_snapshots import LastOfMonth

T = TypeVar("T", SnapshotMetadata, ResultMetadata)


def input_digest(own: SnapshotMetadata, summary: SnapshotMetadata | None, previous: SnapshotMetadata | None) -> str:
    """A digest of the inputs of a result: its snapshot, the date's summary and the snapshot of the year before."""
    return stable_digest(
        {
            "schemaVersion": SCHEMA_VERSION,
            "contentHash": own.content_hash,
            "dataMonth": own.data_month.isoformat(),
            "asOf": own.as_of.isoformat(),
            "isFinal": own.is_final,
            "summaryHash": summary.content_hash if summary else None,
            "previousDate": previous.date.isoformat() if previous else None,
            "previousHash": previous.content_hash if previous else None,
        }
    )


@dataclass(frozen=True)
class DayMetadata:
    """The snapshots of a date, the snapshots of the year before, and the stored results of the date."""

    snapshots: Mapping[str, SnapshotMetadata]
    """By district."""
    results: Mapping[str, ResultMetadata]
    """By district."""
    previous: LastOfMonth

    def input_digest(self, district: str) -> str:
        own = self.snapshots[district]
        summary = self.snapshots.get(SUMMARY) if district != SUMMARY else None
        return input_digest(own, summary, self.previous.before(own))

    def input_digest_with_date(self, district: str) -> str:
        """The input digest of a result that depends on every district of the date: all charter dates are blank."""
        return stable_digest({"inputDigest": self.input_digest(district), "districts": self._districts_digest})

    @cached_property
    def _districts_digest(self) -> str:
        names = sorted(self.snapshots.keys() - {SUMMARY})
        return stable_digest({name: self.snapshots[name].content_hash for name in names})

    def is_done(self, district: str) -> bool:
        stored = self.results.get(district)
        if stored is None or stored.schema_version != SCHEMA_VERSION:
            return False
        current = stored.input_digest
        return current == self.input_digest(district) or current == self.input_digest_with_date(district)


def is_kept(day: date, cadence: Cadence) -> bool:
    """Whether the cadence includes a snapshot date."""
    if cadence is Cadence.DAILY:
        return True
    return is_month_end(day) and (cadence is Cadence.MONTH_ENDS or day == ProgramYear.of(day).close)


def analytics_plan(
    config: JobConfig, first: date, last: date, facts: Iterable[SnapshotMetadata], results: Iterable[ResultMetadata]
) -> Plan:
    """The items of a range: every stored snapshot, the summary of each date first.

    `facts` and `results` are in date order. `facts` starts more than a year before `first`, because results are
    compared with the year before.
    """
    days: list[PlannedDay] = []
    groups: dict[tuple[str, ...], tuple[str, ...]] = {}
    done = stale = 0
    previous = LastOfMonth()
    for day, snapshots, stored in _by_date(facts, results):
        previous.add(snapshots)
        if not (first <= day <= last and is_kept(day, config.cadence)):
            continue
        of_day = DayMetadata({s.district: s for s in snapshots}, {r.district: r for r in stored}, previous)
        wanted = [d for d in of_day.snapshots if d == SUMMARY or _is_wanted(d, config.target_districts)]
        districts = tuple(sorted(wanted, key=district_order))
        if not districts:
            continue
        days.append(PlannedDay(day, groups.setdefault(districts, districts)))
        if config.skip_existing:
            done_here = sum(map(of_day.is_done, districts))
            done += done_here
            stale += sum(d in of_day.results for d in districts) - done_here
    return Plan(tuple(days), skipped={SkipReason.UNCHANGED: done} if done else {}, stale=stale)


def _is_wanted(district: str, targets: Collection[str]) -> bool:
    return not targets or district in targets


def _by_date(
    facts: Iterable[SnapshotMetadata], results: Iterable[ResultMetadata]
) -> Iterator[tuple[date, list[SnapshotMetadata], list[ResultMetadata]]]:
    """Each date of `facts` with its snapshots and its results."""
    stored = _grouped(results)
    following = next(stored, None)
    for day, snapshots in _grouped(facts):
        while following is not None and following[0] < day:
            following = next(stored, None)
        yield day, snapshots, following[1] if following is not None and following[0] == day else []


def _grouped(rows: Iterable[T]) -> Iterator[tuple[date, list[T]]]:
    return ((day, list(group)) for day, group in groupby(rows, key=lambda row: row.date))
