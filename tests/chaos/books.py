"""The store as it is, read past the service, with nothing of the service's own code.

What the service wrote is unpacked here a second time, on purpose: a fault in its reading would else hide one in its
writing. How the rows of a store are read is the matter of its reader: `sql_reader`, `firestore_reader`.
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
    """The store does not answer just now."""


def unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


@dataclass(frozen=True)
class JobRow:
    """What is stored of a job."""

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
    """A part of a ledger."""

    number: int
    counts: tuple[int, ...]
    """How many of its outcomes are said to be of each of `KINDS`."""
    outcomes: bytes
    """Packed: a list of columns."""


@dataclass(frozen=True)
class Account:
    """All that is stored of a job, of one moment."""

    job: JobRow
    active: int
    """How many jobs are."""
    plan: bytes
    """Packed."""
    detail: Any
    ledger: list[SegmentRow]
    stored: set[str]
    """The items of which there is a snapshot, or a result where the job computes those."""
    oddities: list[str]
    """Sentences about copies of the same fact, as a store may need them, that do not agree."""


class Reader(ABC):
    """The rows of one store. Every call raises StoreAway where that does not answer."""

    @abstractmethod
    def job(self, job_id: str) -> JobRow: ...

    @abstractmethod
    def account(self, job_id: str) -> Account: ...

    @abstractmethod
    def snapshots(self) -> Iterable[tuple[str, dict[str, Any], bytes]]:
        """Of each the district, its reports as they are described, and their packed bytes."""

    @abstractmethod
    def forget_collected(self) -> None:
        """Remove every snapshot and result, so that the next job has all of its work to do."""


@dataclass(frozen=True)
class Findings:
    """What the books say of one job: sentences about what is wrong, and what was counted on the way."""

    settled: int
    lost: int
    doubled: int
    failed: Counter[str]
    """Items that failed, by the reason."""
    wrong: list[str]


@dataclass(frozen=True)
class _Settled:
    item: str
    kind: str
    reason: str


def examined(account: Account) -> Findings:
    """Ledger against plan, counters against ledger, snapshots against ledger."""
    job, wrong = account.job, list(account.oddities)
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
        wrong.append("items are settled that are not of the plan")
    if len(planned) != job.counts["total"]:
        wrong.append("the total is not the number of items of the plan")
    wrong += _miscounted(job, settled, account.detail)
    missing = {row.item for row in settled if row.kind == "processed"} - account.stored
    if missing:
        wrong.append(f"{len(missing)} items are settled as processed, and of them nothing is stored")
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
    """The bytes that are stored of each report (its name, its district)."""
    found: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for district, described, packed in snapshots:
        whole, offset = zlib.decompress(packed), 0
        for name, report in sorted(described.items()):
            found[name, district].add(whole[offset : offset + report["bytes"]])
            offset += report["bytes"]
    return found
