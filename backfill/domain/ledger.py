"""The checkpoint: an append-only ledger of outcomes, and what is counted from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from backfill.domain.plan import Plan, WorkItem

LONGEST_EXCERPT = 2048
"""Bytes of the excerpt of a refused answer, in UTF-8."""

_NOTHING_NOTED: Mapping[str, int] = MappingProxyType({})


class OutcomeKind(StrEnum):
    PROCESSED = "processed"
    FAILED = "failed"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    STORED = "stored"
    UNCHANGED = "unchanged"
    NOT_PUBLISHED = "not-published"


class Outcome(NamedTuple):
    """How an item was settled. A tuple, since a job may have a million of them."""

    item: WorkItem
    kind: OutcomeKind
    at: datetime
    reason: str = ""
    """Of a skip why, of a failure the error's code."""
    message: str = ""
    attempts: int = 0
    is_retryable: bool = False
    """Of a failure: whether trying again may help."""
    quality: Mapping[str, int] = _NOTHING_NOTED
    """Of a computed result: how many notes on its quality it has, by their code."""
    excerpt: str = ""
    """Of a failure: the beginning of the answer that was refused, at most LONGEST_EXCERPT bytes."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the ledger that is written as one record. Writing it again with more outcomes replaces it, so that
    a write whose answer was lost may be repeated."""

    number: int
    outcomes: tuple[Outcome, ...]


class SettledItems:
    """The set of settled items: a bit for each item of a plan, so that a million take a few hundred kilobytes."""

    def __init__(self, plan: Plan) -> None:
        self._places: dict[tuple[str, ...], dict[str, int]] = {}
        self._place_of: dict[date, dict[str, int]] = {}
        for day in plan.days:
            places = self._places.setdefault(
                day.districts, {district: 1 << n for n, district in enumerate(day.districts)}
            )
            self._place_of[day.date] = places
        self._bits: dict[date, int] = {}

    def add(self, item: WorkItem) -> bool:
        """Whether the item is of the plan and was not settled before."""
        bit = self._place_of.get(item.date, {}).get(item.district, 0)
        bits = self._bits.get(item.date, 0)
        if not bit or bits & bit:
            return False
        self._bits[item.date] = bits | bit
        return True

    def __contains__(self, item: WorkItem) -> bool:
        return bool(self._bits.get(item.date, 0) & self._place_of.get(item.date, {}).get(item.district, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFilter:
    """Which outcomes of a job are wanted; None stands for any."""

    district: str | None = None
    kind: OutcomeKind | None = None

    def matches(self, outcome: Outcome) -> bool:
        return (self.district is None or outcome.item.district == self.district) and (
            self.kind is None or outcome.kind is self.kind
        )


def kinds_in(outcomes: Iterable[Outcome]) -> Mapping[OutcomeKind, int]:
    """How many outcomes of each kind."""
    counts = dict.fromkeys(OutcomeKind, 0)
    for outcome in outcomes:
        counts[outcome.kind] += 1
    return counts
