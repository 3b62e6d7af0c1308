"""The plan of a collection job: its items and the number of requests that they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from backfill.domain import (
    SUMMARY,
    CalendarMonth,
    JobConfig,
    Plan,
    PlannedDay,
    SkipReason,
    StoredEdition,
    WorkItem,
    district_order,
    edition_of,
    reports_of,
)
from backfill.domain.job_config import cadence_dates


def collection_plan(
    config: JobConfig,
    first: date,
    last: date,
    months: Iterable[CalendarMonth],
    stored: Iterable[StoredEdition],
) -> Plan:
    """The items of a range: the summary and each district of the calendar, for every published date.

    `stored` is in date order and may start before `first`. Dates without published data are counted, not planned.
    """
    calendar = {month.month_end: month for month in months}
    days, unpublished = planned_days(config, cadence_dates(first, last, config.cadence), calendar)
    covered: dict[date, set[str]] = {}
    finals: dict[tuple[date, date], set[str]] = {}
    if config.skip_existing:
        covered, finals = covered_items(days, stored)
    skipped = sum(len(districts) for districts in covered.values())
    return Plan(
        tuple(days),
        unpublished,
        {SkipReason.STORED: skipped} if skipped else {},
        count_requests(days, calendar, covered, finals),
    )


def planned_days(
    config: JobConfig, dates: Iterable[date], calendar: Mapping[date, CalendarMonth]
) -> tuple[list[PlannedDay], int]:
    """The published dates with their items, and the number of the other dates. `calendar` is by month end."""
    groups: dict[date, tuple[str, ...]] = {end: _districts_of(month, config) for end, month in calendar.items()}
    days, unpublished = [], 0
    for day in dates:
        edition = edition_of(day, calendar)
        if edition is None:
            unpublished += 1
        else:
            days.append(PlannedDay(day, groups[edition.month_end], edition))
    return days, unpublished


def _districts_of(month: CalendarMonth, config: JobConfig) -> tuple[str, ...]:
    districts = (d for d in month.districts if not config.target_districts or d in config.target_districts)
    return (SUMMARY, *sorted(districts, key=district_order))


def covered_items(
    days: Sequence[PlannedDay], stored: Iterable[StoredEdition]
) -> tuple[dict[date, set[str]], dict[tuple[date, date], set[str]]]:
    """The planned districts of each date that need no request, and those of each final close by its as-of date."""
    planned = {day.date: day for day in days}
    covered: dict[date, set[str]] = {}
    finals: dict[tuple[date, date], set[str]] = {}
    for edition in stored:
        if edition.is_final:
            finals.setdefault((edition.date, edition.as_of), set()).update(edition.districts)
        day = planned.get(edition.date)
        if day is not None and day.edition is not None and edition.covers(day.edition):
            covered.setdefault(edition.date, set()).update(edition.districts.intersection(day.districts))
    return covered, finals


def count_requests(
    days: Sequence[PlannedDay],
    calendar: Mapping[date, CalendarMonth],
    covered: Mapping[date, set[str]],
    finals: Mapping[tuple[date, date], set[str]],
) -> int:
    """The number of requests for the items. A close and its as-of date have the same requests, which count once."""
    requests = 0
    planned = {day.date: day for day in days}
    for day in days:
        left = set(day.districts) - covered.get(day.date, set())
        if day.edition is not None and day.date != (end := day.edition.month_end):
            close = calendar[end].edition(end)
            if close is not None and close.has_requests_of(day.edition):
                left -= finals.get((end, close.as_of), set())
                if end in planned:
                    left -= set(planned[end].districts) - covered.get(end, set())
        requests += requests_of(left)
    return requests


def narrowed(plan: Plan, items: Iterable[WorkItem]) -> Plan:
    """The plan narrowed to those of `items` that it contains, with its number of requests."""
    only = plan.only(items)
    requests = sum(requests_of(day.districts) for day in only.days)
    for close, day in _days_with_shared_requests(only.days):
        requests -= requests_of(set(close.districts).intersection(day.districts))
    return replace(only, requests=requests)


def requests_of(districts: Iterable[str]) -> int:
    """The number of requests for items of these districts on one date: one for each report."""
    return sum(len(reports_of(district)) for district in districts)


def _days_with_shared_requests(days: Iterable[PlannedDay]) -> Iterator[tuple[PlannedDay, PlannedDay]]:
    """Pairs of a month's close and the as-of date on which it was published, if both are planned.

    Both have the same report strings, so the reports of a district are requested once. `days` is in date order.
    """
    closes: dict[date, PlannedDay] = {}
    for day in days:
        if day.edition is None:
            continue
        if day.date == day.edition.month_end:
            closes[day.date] = day
            continue
        close = closes.get(day.edition.month_end)
        if close is not None and close.edition is not None and close.edition.has_requests_of(day.edition):
            yield close, day
