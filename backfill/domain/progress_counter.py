"""Counts outcomes as they are settled."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import compress

from backfill.domain.ledger import Outcome, OutcomeKind, SkipReason
from backfill.domain.limiter_status import LimiterReport
from backfill.domain.plan import Plan, WorkItem, district_order
from backfill.domain.progress import ERRORS_KEPT, HISTORY, DistrictProgress, FailureGroup, ItemError, Progress

_MINUTE = timedelta(minutes=1)


class ProgressCounter:
    """The counts of one job; `progress` returns them as an immutable value."""

    def __init__(self, plan: Plan, requests_of: Callable[[str], int]) -> None:
        """`requests_of` returns the requests for an item of a district; see `JobTypeDescription`."""
        self._requests_of = requests_of if plan.requests else lambda _district: 1
        self._total = plan.total_items
        self._expected_skips = plan.skipped_items
        self._requests = plan.requests
        self._district_totals = plan.district_totals
        self._by_district: Counter[tuple[str, OutcomeKind]] = Counter()
        self._skipped: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()
        """Processed items by district without a request, because another date has the same reports."""
        self._last_errors: dict[str, str] = {}
        self._errors: deque[ItemError] = deque(maxlen=ERRORS_KEPT)
        self._failures: dict[str, FailureGroup] = {}
        self._minutes: Counter[datetime] = Counter()
        self._quality: Counter[str] = Counter()
        self._last: Outcome | None = None

    def add(self, outcomes: Iterable[Outcome]) -> None:
        outcomes = list(outcomes)
        if not outcomes:
            return
        # By column, because a resumed job may have a million outcomes: a loop over them takes three times as long.
        items, kinds, at, reasons, _, attempts, _, quality, _ = zip(*outcomes, strict=True)
        districts = [item.district for item in items]
        self._by_district.update(zip(districts, kinds, strict=True))
        if OutcomeKind.SKIPPED in kinds:
            self._skipped.update(compress(reasons, (kind is OutcomeKind.SKIPPED for kind in kinds)))
            at = tuple(compress(at, (kind is not OutcomeKind.SKIPPED for kind in kinds)))
        self._add_minutes(sorted(at))
        if self._requests and 0 in attempts:
            self._shared.update(
                district
                for district, kind, count in zip(districts, kinds, attempts, strict=True)
                if kind is OutcomeKind.PROCESSED and not count
            )
        for counts in filter(None, quality):  # most outcomes have none
            self._quality.update(counts)
        if OutcomeKind.FAILED in kinds:
            for outcome in outcomes:
                if outcome.kind is OutcomeKind.FAILED:
                    self._add_failure(outcome)
        self._last = outcomes[-1]

    def _add_minutes(self, at: Sequence[datetime]) -> None:
        """`at` is sorted."""
        first = 0
        while first < len(at):
            minute = at[first].replace(second=0, microsecond=0)
            following = bisect_left(at, minute + _MINUTE, first)
            self._minutes[minute] += following - first
            first = following

    def _add_failure(self, outcome: Outcome) -> None:
        self._last_errors[outcome.item.district] = outcome.message
        self._failures[outcome.reason] = _with_failure(self._failures.get(outcome.reason), outcome)
        self._errors.appendleft(
            ItemError(
                item_key=outcome.item.key,
                code=outcome.reason,
                message=outcome.message,
                at=outcome.at,
                is_retryable=outcome.is_retryable,
                attempts=outcome.attempts,
            )
        )

    def progress(self, in_flight: Iterable[WorkItem], limiter: LimiterReport, now: datetime) -> Progress:
        current = list(in_flight)
        working = {item.district for item in current}
        counts = self._by_district
        districts = {
            name: DistrictProgress(
                total=total,
                processed=counts[name, OutcomeKind.PROCESSED],
                failed=counts[name, OutcomeKind.FAILED],
                skipped=counts[name, OutcomeKind.SKIPPED],
                last_error=self._last_errors.get(name, ""),
                is_in_progress=name in working,
            )
            for name, total in self._district_totals.items()
        }
        return Progress(
            total_items=self._total,
            expected_skips=self._expected_skips,
            processed=sum(d.processed for d in districts.values()),
            failed=sum(d.failed for d in districts.values()),
            skipped=dict(self._skipped),
            current_item=current[-1].key if current else "",
            last_item=self._last.item.key if self._last else "",
            last_item_at=self._last.at if self._last else None,
            limiter=limiter,
            districts=districts,
            errors=tuple(self._errors),
            failures=tuple(sorted(self._failures.values(), key=lambda group: (-group.items, group.code))),
            minutes=self._history(now),
            quality=dict(self._quality),
        )

    def work(self) -> tuple[float, float]:
        """The planned and the completed work in requests, or in items for a job without requests."""
        skipped, surplus_of_one = self._skipped, self._requests_of("")
        surplus = max(skipped[SkipReason.STORED] + skipped[SkipReason.UNCHANGED] - self._expected_skips, 0)
        planned = self._requests or self._total - self._expected_skips
        done = sum(
            count * self._requests_of(district)
            for (district, kind), count in self._by_district.items()
            if kind is not OutcomeKind.SKIPPED
        )
        done -= sum(count * self._requests_of(district) for district, count in self._shared.items())
        done += skipped[SkipReason.NOT_PUBLISHED] * surplus_of_one
        return planned - surplus * surplus_of_one, done

    def _history(self, now: datetime) -> tuple[tuple[datetime, int], ...]:
        """Each minute within HISTORY from the first with an item to the current one."""
        this = now.replace(second=0, microsecond=0)
        for old in [minute for minute in self._minutes if minute < this - HISTORY]:
            del self._minutes[old]
        if not self._minutes:
            return ()
        first = min(self._minutes)
        count = int((this - first) / timedelta(minutes=1)) + 1
        return tuple((minute, self._minutes[minute]) for minute in (first + timedelta(minutes=n) for n in range(count)))


def _with_failure(group: FailureGroup | None, outcome: Outcome) -> FailureGroup:
    if group is None:
        group = FailureGroup(code=outcome.reason, items=0, districts=(), latest_at=outcome.at, is_retryable=False)
    districts = group.districts
    if outcome.item.district not in districts:
        districts = tuple(sorted((*districts, outcome.item.district), key=district_order))
    return FailureGroup(
        code=group.code,
        items=group.items + 1,
        districts=districts,
        latest_at=max(group.latest_at, outcome.at),
        is_retryable=group.is_retryable or outcome.is_retryable,
    )
