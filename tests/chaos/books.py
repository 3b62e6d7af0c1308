"""Checks the stored data of a job without any code of the service.

The format is decoded a second time on purpose: otherwise, an error in the service's reading could hide one in its
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


class StoreAway(Exception):
    """The store is unavailable."""


def unpacked(packed: bytes) -> Any:
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
class Account:
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
    inconsistencies: list[str]
    """Messages about redundant copies in the store that differ."""


class Reader(ABC):
    """The rows of one store. Each method raises StoreAway if it is unavailable."""

    @abstractmethod
    def job(self, job_id: str) -> JobRow: ...

    @abstractmethod
    def account(self, job_id: str) -> Account: ...

    @abstractmethod
    def snapshots(self) -> Iterable[tuple[str, dict[str, Any], bytes]]:
        """Yield district, description of the reports, and packed bytes of each snapshot."""

    @abstractmethod
    def forget_collected(self) -> None:
        """Remove all snapshots and results, so that the next job skips no item."""


@dataclass(frozen=True)
class Findings:
    """The result of checking one job: counts, and messages about errors."""

    settled: int
    lost: int
    doubled: int
    failed: Counter[str]
    """Failed items by reason."""
    wrong: list[str]


@dataclass(frozen=True)
class _Settled:
    item: str
    kind: str
    reason: str


def examined(account: Account) -> Findings:
    """Compare ledger with plan, counters with ledger, and snapshots with ledger."""
    job, wrong = account.job, list(account.inconsistencies)
    if account.active > 1:
        wrong.append("more than one job is active")
    planned = set(_planned(account.plan))
    settled: list[_Settled] = []
    for segment in account.ledger:
        rows = _settled(segment)
        kinds = Counter(row.kind for row in rows)
        if segment.counts != tuple(kinds[kind] for kind in KINDS):
            wrong.append(f"the counts of segment {segment.number} are not those of its outcomes")
        settled += rows
    times = Counter(row.item for row in settled)
    doubled = sum(count - 1 for count in times.values())
    lost = len(planned - set(times)) if job.status == "completed" else 0
    if doubled:
        wrong.append(f"{doubled} items are settled twice")
    if lost:
        wrong.append(f"{lost} items of a completed job are not settled")
    if not set(times) <= planned:
        wrong.append("items are settled that are not in the plan")
    if len(planned) != job.counts["total"]:
        wrong.append("the total is not the number of items of the plan")
    wrong += _miscounted(job, settled, account.detail)
    missing = {row.item for row in settled if row.kind == "processed"} - account.stored
    if missing:
        wrong.append(f"{len(missing)} items are settled as processed but not stored")
        lost += len(missing)
    failed = Counter(row.reason for row in settled if row.kind == "failed")
    return Findings(settled=len(times), lost=lost, doubled=doubled, failed=failed, wrong=wrong)


def _planned(packed: bytes) -> list[str]:
    plan = unpacked(packed)
    return [f"{day}/{district}" for day, group, *_ in plan["days"] for district in plan["groups"][group]]


def _settled(segment: SegmentRow) -> list[_Settled]:
    columns = unpacked(segment.outcomes)
    rows = zip(*columns[:5], strict=True) if columns else ()
    return [_Settled(f"{day}/{district}", kind, reason) for day, district, kind, _, reason in rows]


def _miscounted(job: JobRow, settled: list[_Settled], detail: Any) -> list[str]:
    wrong = []
    counted = Counter(row.kind for row in settled)
    skipped = dict(Counter(row.reason for row in settled if row.kind == "skipped"))
    if (job.counts["processed"], job.counts["failed"]) != (counted["processed"], counted["failed"]):
        wrong.append(f"the counters of the job say {job.counts['processed']} processed, its ledger {dict(counted)}")
    if job.counts["skipped"] != skipped:
        wrong.append(f"the job counts as skipped {job.counts['skipped']}, its ledger {skipped}")
    by_district = Counter((row.item.partition("/")[2], row.kind) for row in settled)
    for district, (_, *counts, _, _) in detail["districts"].items():
        if counts != [by_district[district, kind] for kind in KINDS]:
            wrong.append(f"the counters of district {district} are not those of its outcomes")
    return wrong


def reports_of(snapshots: Iterable[tuple[str, dict[str, Any], bytes]]) -> dict[tuple[str, str], set[bytes]]:
    """Return the stored bytes of each report by its name and district."""
    found: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for district, described, packed in snapshots:
        whole, offset = zlib.decompress(packed), 0
        for name, report in sorted(described.items()):
            found[name, district].add(whole[offset : offset + report["bytes"]])
            offset += report["bytes"]
    return found
