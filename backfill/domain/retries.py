"""What retries made of the failed items of a job."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zlib import crc32

from backfill.domain.ledger import Outcome
from backfill.domain.plan import WorkItem, district_order
from backfill.domain.progress import FailureGroup
from backfill.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedGroup:
    """Items that failed in a job with one error code and are part of a retry."""

    code: str
    items: int
    recovered: int
    """How many of them the retry processed or skipped. An item counts for the first retry that did so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A later job that contains failed items of a job."""

    job_id: UUID
    status: Status
    created_at: datetime
    groups: tuple[RetriedGroup, ...]
    """By error code of the retried job."""

    @property
    def items(self) -> int:
        return sum(group.items for group in self.groups)

    @property
    def recovered(self) -> int:
        return sum(group.recovered for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySummary:
    retries: tuple[Retry, ...]
    """Oldest first."""
    failures: tuple[FailureGroup, ...]
    """What is still failed, by error code, the most frequent first."""

    @property
    def version(self) -> str:
        """Changes when the summary changes."""
        parts = [(str(retry.job_id), str(retry.status), retry.items, retry.recovered) for retry in self.retries]
        return f"{crc32(repr(parts).encode()):x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFacts:
    """The items of a retry, and those that it processed or skipped."""

    job_id: UUID
    status: Status
    created_at: datetime
    items: Collection[WorkItem]
    recovered: Collection[WorkItem]


def still_failed(failed: Sequence[Outcome], retries: Sequence[RetryFacts]) -> list[Outcome]:
    """The failed outcomes of a job without those that a retry recovered."""
    recovered = {item for retry in retries for item in retry.recovered}
    return [outcome for outcome in failed if outcome.item not in recovered]


def summary_of(
    failed: Sequence[Outcome], groups: Sequence[FailureGroup], retries: Sequence[RetryFacts]
) -> RetrySummary:
    """`failed` are the failed outcomes of a job, `groups` its failures, `retries` the later jobs, oldest first."""
    codes = {outcome.item: outcome.reason for outcome in failed}
    credited: set[WorkItem] = set()
    found = []
    for retry in retries:
        items = [item for item in retry.items if item in codes]
        mine = [item for item in retry.recovered if item in codes and item not in credited]
        credited.update(mine)
        if items:
            found.append(
                Retry(
                    job_id=retry.job_id,
                    status=retry.status,
                    created_at=retry.created_at,
                    groups=_groups(items, mine, codes),
                )
            )
    left: dict[str, list[WorkItem]] = {}
    for outcome in failed:
        if outcome.item not in credited:
            left.setdefault(outcome.reason, []).append(outcome.item)
    failures = [
        replace(group, items=len(rest), districts=tuple(sorted({item.district for item in rest}, key=district_order)))
        for group in groups
        if (rest := left.get(group.code))
    ]
    return RetrySummary(retries=tuple(found), failures=tuple(sorted(failures, key=lambda group: -group.items)))


def _groups(
    items: Sequence[WorkItem], recovered: Sequence[WorkItem], codes: Mapping[WorkItem, str]
) -> tuple[RetriedGroup, ...]:
    counts: dict[str, list[int]] = {}
    for item in items:
        counts.setdefault(codes[item], [0, 0])[0] += 1
    for item in recovered:
        counts.setdefault(codes[item], [0, 0])[1] += 1
    return tuple(
        RetriedGroup(code=code, items=number, recovered=done) for code, (number, done) in sorted(counts.items())
    )
