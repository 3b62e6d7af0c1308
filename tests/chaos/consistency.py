"""Checks the stored data of a job without any code of the service.

The stored format is decoded a second time on purpose: an error of the service in reading could hide an error in
writing. `sql_reader` and `firestore_reader` read the rows of a store.
"""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ACTIVE = ("pending", "running", "pausing", "paused", "cancelling")
KINDS = ("processed", "failed", "skipped")


class StoreDown(Exception):
    """The store is unavailable."""


def unpack(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


@dataclass(frozen=True)
class JobRow:
    """The stored row of a job."""

    id: str
    """32 hexadecimal digits."""
    status: str
    token: int
    owner: str
    counts: dict[str, Any] = field(hash=False)

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


@dataclass(frozen=True)
class SegmentRow:
    """A ledger segment."""

    number: int
    counts: tuple[int, ...]
    """The stored number of outcomes of each of `KINDS`."""
    outcomes: bytes
    """Packed: a list of columns."""


@dataclass(frozen=True)
class StoredJob:
    """All stored data of a job at one moment."""

    job: JobRow
    active: int
    """Number of active jobs."""
    plan: bytes
    """Packed."""
    detail: Any
    ledger: list[SegmentRow]
    stored: set[str]
    """The items with a snapshot, or with a result for an analytics job."""
    differences: list[str]
    """Messages about redundant values in the store that differ."""


class Reader(ABC):
    """The rows of one store. Each method raises StoreDown if the store is unavailable."""

    @abstractmethod
    def job(self, job_id: str) -> JobRow: ...

    @abstractmethod
    def read_job(self, job_id: str) -> StoredJob: ...

    @abstractmethod
    def snapshots(self) -> Iterable[tuple[str, dict[str, Any], bytes]]:
        """Yield district, description of the reports, and packed bytes of each snapshot."""

    @abstractmethod
    def delete_collected(self) -> None:
        """Remove all snapshots and results, so that the next job skips no item."""


@dataclass(frozen=True)
class Findings:
    """The result of checking one job: counts, and messages about errors."""

    settled: int
    lost: int
    duplicated: int
    failed: Counter[str]
    """Failed items by reason."""
    violations: list[str]


@dataclass(frozen=True)
class _Settled:
    item: str
    kind: str
    reason: str


def check_consistency(read_job: StoredJob) -> Findings:
    """Compare ledger with plan, counters with ledger, and snapshots with ledger."""
    job, violations = read_job.job, list(read_job.differences)
    if read_job.active > 1:
        violations.append("more than one job is active")
    planned = set(_planned(read_job.plan))
    settled: list[_Settled] = []
    for segment in read_job.ledger:
        rows = _settled(segment)
        kinds = Counter(row.kind for row in rows)
        if segment.counts != tuple(kinds[kind] for kind in KINDS):
            violations.append(f"the counts of segment {segment.number} are not those of its outcomes")
        settled += rows
    times = Counter(row.item for row in settled)
    duplicated = sum(count - 1 for count in times.values())
    lost = len(planned - set(times)) if job.status == "completed" else 0
    if duplicated:
        violations.append(f"{duplicated} items are settled twice")
    if lost:
        violations.append(f"{lost} items of a completed job are not settled")
    if not set(times) <= planned:
        violations.append("items are settled that are not in the plan")
    if len(planned) != job.counts["total"]:
        violations.append("the total is not the number of items of the plan")
    violations += _miscounted(job, settled, read_job.detail)
    missing = {row.item for row in settled if row.kind == "processed"} - read_job.stored
    if missing:
        violations.append(f"{len(missing)} items are settled as processed but not stored")
        lost += len(missing)
    failed = Counter(row.reason for row in settled if row.kind == "failed")
    return Findings(settled=len(times), lost=lost, duplicated=duplicated, failed=failed, violations=violations)


def _planned(packed: bytes) -> list[str]:
    plan = unpack(packed)
    return [f"{day}/{district}" for day, group, *_ in plan["days"] for district in plan["groups"][group]]


def _settled(segment: SegmentRow) -> list[_Settled]:
    columns = unpack(segment.outcomes)
    rows = zip(*columns[:5], strict=True) if columns else ()
    return [_Settled(f"{day}/{district}", kind, reason) for day, district, kind, _, reason in rows]


def _miscounted(job: JobRow, settled: list[_Settled], detail: Any) -> list[str]:
    violations = []
    counted = Counter(row.kind for row in settled)
    skipped = dict(Counter(row.reason for row in settled if row.kind == "skipped"))
    if (job.counts["processed"], job.counts["failed"]) != (counted["processed"], counted["failed"]):
        violations.append(
            f"the counters of the job have {job.counts['processed']} processed, its ledger {dict(counted)}"
        )
    if job.counts["skipped"] != skipped:
        violations.append(f"the counters of the job have skipped {job.counts['skipped']}, its ledger {skipped}")
    by_district = Counter((row.item.partition("/")[2], row.kind) for row in settled)
    for district, (_, *counts, _, _) in detail["districts"].items():
        if counts != [by_district[district, kind] for kind in KINDS]:
            violations.append(f"the counters of district {district} are not those of its outcomes")
    return violations


def reports_of(snapshots: Iterable[tuple[str, dict[str, Any], bytes]]) -> dict[tuple[str, str], set[bytes]]:
    """Return the stored bytes of each report by its name and district."""
    found: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for district, described, packed in snapshots:
        whole, offset = zlib.decompress(packed), 0
        for name, report in sorted(described.items()):
            found[name, district].add(whole[offset : offset + report["bytes"]])
            offset += report["bytes"]
    return found
