"""What is missing of the coverage target: the items to collect, the results to compute, and why others wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from backfill.domain.calendar import CalendarMonth, Edition, calendar_ends, edition_of
from backfill.domain.coverage import StoredDay
from backfill.domain.coverage_target import CoverageRule, TargetSettings
from backfill.domain.failed_attempts import AttemptKey, FailedAttempt, FailedAttempts
from backfill.domain.job_config import cadence_dates
from backfill.domain.job_types import JobType
from backfill.domain.keeper_state import Findings, MissingReason
from backfill.domain.plan import SUMMARY, WorkItem, district_order

_NONE: frozenset[str] = frozenset()


def target_months(rules: Iterable[CoverageRule], today: date) -> list[date]:
    """The ends of the months whose calendars the rules need, oldest first. Rules end yesterday."""
    yesterday = today - timedelta(days=1)
    dates = {day for rule in rules for day in cadence_dates(rule.first_day(today), yesterday, rule.cadence)}
    return sorted({end for day in dates for end in calendar_ends(day)})


@dataclass(frozen=True, slots=True)
class WantedDay:
    """What should be stored for a date for which the dashboard has figures."""

    date: date
    edition: Edition
    snapshots: frozenset[str]
    """Districts and the summary."""
    results: frozenset[str]

    @property
    def is_open_close(self) -> bool:
        """Whether it is the end of a month whose figures still change."""
        return self.date == self.edition.month_end and not self.edition.is_final


def wanted_days(settings: TargetSettings, months: Iterable[CalendarMonth], today: date) -> list[WantedDay]:
    """The union of all rules, by date. Dates for which the dashboard has no figures are left out."""
    calendar = {month.month_end: month for month in months}
    yesterday = today - timedelta(days=1)
    rules_of: dict[date, list[CoverageRule]] = {}
    for rule in settings.rules:
        for day in cadence_dates(rule.first_day(today), yesterday, rule.cadence):
            rules_of.setdefault(day, []).append(rule)

    @cache
    def districts(rules: tuple[CoverageRule, ...], end: date) -> frozenset[str]:
        published = frozenset(calendar[end].districts)
        wanted = [published.intersection(rule.districts) if rule.districts else published for rule in rules]
        return frozenset({SUMMARY}).union(*wanted) if rules else _NONE

    found = []
    for day in sorted(rules_of):
        edition = edition_of(day, calendar)
        if edition is not None:
            rules = rules_of[day]
            analytics = tuple(rule for rule in rules if rule.analytics)
            end = edition.month_end
            found.append(WantedDay(day, edition, districts(tuple(rules), end), districts(analytics, end)))
    return found


@dataclass(frozen=True)
class Reconciliation:
    """The difference between what is wanted and what is stored."""

    collect: Mapping[date, frozenset[str]]
    """Items to collect now: missing or outdated, and not waiting for their next attempt."""
    compute: Mapping[date, frozenset[str]]
    """Results to compute now, of stored snapshots."""
    results_missing: int
    """Results that are wanted and not computed, also of snapshots that are not stored yet."""
    findings: Findings
    attempts: FailedAttempts
    """Those of items that are still missing."""
    stored: Mapping[date, frozenset[str]]
    """The snapshots of each date of the target's range; empty if no result is to be computed."""

    @property
    def items(self) -> int:
        """The number of items to collect."""
        return sum(map(len, self.collect.values()))

    def items_within(self, requests: int | None) -> tuple[WorkItem, ...]:
        """The items to collect in date order; with a budget of requests, the newest dates that it suffices for."""
        chosen: list[WorkItem] = []
        left = requests
        for day in sorted(self.collect, reverse=True):
            for district in sorted(self.collect[day], key=district_order):
                if left is not None:
                    left -= 1 if district == SUMMARY else _REQUESTS
                    if left < 0:
                        return tuple(sorted(chosen))
                chosen.append(WorkItem(day, district))
        return tuple(sorted(chosen))

    def results_to_compute(self) -> tuple[WorkItem, ...]:
        """The results to compute, and stored ones that are compared with them; unchanged ones are skipped."""
        days: dict[date, frozenset[str]] = dict(self.compute)
        for day, districts in self.compute.items():
            for later in _year_after(day):
                dependents = self.stored.get(later, _NONE) & districts - {SUMMARY}
                if dependents:
                    days[later] = days.get(later, _NONE) | dependents
        return tuple(WorkItem(day, district) for day in sorted(days) for district in sorted(days[day]))


_REQUESTS = 3
"""Requests for a district on a date; the summary takes one."""


def _year_after(day: date) -> Iterator[date]:
    """The dates whose figures may be compared with those of `day`: of the same month a year later, and its closing."""
    first = day.replace(year=day.year + 1, day=1) - timedelta(days=31)
    last = first + timedelta(days=31 + 31 + 45)
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)


def reconciled(
    wanted: Iterable[WantedDay],
    stored: Iterable[StoredDay],
    as_of: Mapping[date, Mapping[str, date]],
    attempts: FailedAttempts,
    *,
    local_today: date,
) -> Reconciliation:
    """Compare what is wanted, in date order, with what is stored.

    `as_of`: the as-of dates of the snapshots of months that still change, by date and district. `local_today`: decides
    which failed items are tried again.
    """
    days = {day.date: day for day in stored}
    collected = _Missing(JobType.DATA_COLLECTION, attempts, local_today)
    computed = _Missing(JobType.ANALYTICS_GENERATION, attempts, local_today)
    complete_until, is_complete, results_missing = None, True, 0
    for one in wanted:
        day = days.get(one.date)
        snapshots = day.snapshots if day else _NONE
        has_gap = collected.add(one.date, one.snapshots - snapshots, MissingReason.NOT_COLLECTED)
        has_gap |= collected.add(one.date, _outdated(one, day, as_of.get(one.date, {})), MissingReason.OUTDATED)
        results = one.results - (day.analysed if day else _NONE)
        results_missing += len(results)
        computed.add(one.date, results & snapshots, MissingReason.NOT_COMPUTED)
        is_complete = is_complete and not has_gap
        if is_complete:
            complete_until = one.date
    tried = {**collected.tried, **computed.tried}
    failed = [attempt for attempt in tried.values() if attempt.reason != MissingReason.NOT_PUBLISHED]
    return Reconciliation(
        collect=collected.due,
        compute=computed.due,
        results_missing=results_missing,
        findings=Findings(
            missing=dict((collected.reasons + computed.reasons).most_common()),
            complete_until=complete_until,
            failed_since=min((attempt.first for attempt in failed), default=None),
            next_attempt=min((attempt.next for attempt in tried.values()), default=None),
        ),
        attempts=FailedAttempts(tried),
        stored={day.date: day.snapshots for day in days.values()} if computed.due else {},
    )


def _outdated(wanted: WantedDay, day: StoredDay | None, as_of: Mapping[str, date]) -> frozenset[str]:
    """The stored snapshots of a month's end for which newer or final figures are published."""
    if day is None or wanted.date != wanted.edition.month_end:
        return _NONE
    stored = wanted.snapshots & day.snapshots
    if wanted.edition.is_final:
        return stored - day.final
    newest = wanted.edition.as_of
    return frozenset(d for d in stored - day.final if as_of.get(d, newest) < newest)


class _Missing:
    """Collects the missing items of one job type."""

    def __init__(self, job_type: JobType, attempts: FailedAttempts, today: date) -> None:
        self._job_type, self._today = job_type, today
        self._attempts: dict[date, dict[str, FailedAttempt]] = {}
        for (kind, item), attempt in attempts:
            if kind is job_type:
                self._attempts.setdefault(item.date, {})[item.district] = attempt
        self.due: dict[date, frozenset[str]] = {}
        self.tried: dict[AttemptKey, FailedAttempt] = {}
        self.reasons: Counter[str] = Counter()

    def add(self, day: date, districts: frozenset[str], reason: MissingReason) -> bool:
        """Return whether an item is missing that the dashboard has figures for."""
        if not districts:
            return False
        attempts = self._attempts.get(day, {})
        waiting, unpublished = set(), 0
        for district in districts & attempts.keys():
            attempt = attempts[district]
            self.tried[AttemptKey(self._job_type, WorkItem(day, district))] = attempt
            self.reasons[attempt.reason] += 1
            unpublished += attempt.reason == MissingReason.NOT_PUBLISHED
            if not attempt.is_due(self._today):
                waiting.add(district)
        new = len(districts) - len(districts & attempts.keys())
        if new:
            self.reasons[reason] += new
        if due := districts - waiting:
            self.due[day] = self.due.get(day, _NONE) | due
        return len(districts) > unpublished
