"""Which planned items need no request, and how many requests the others take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from backfill.domain import CalendarMonth, PlannedDay, StoredEdition, requests_of


def covered_items(
    days: Sequence[PlannedDay], stored: Iterable[StoredEdition]
) -> tuple[dict[date, set[str]], dict[tuple[date, date], set[str]]]:
    """The planned districts of each date that need not be fetched, and those of each final close by its as-of day."""
    planned = {day.date: day for day in days}
    covered: dict[date, set[str]] = {}
    finals: dict[tuple[date, date], set[str]] = {}
    for held in stored:
        if held.is_final:
            finals.setdefault((held.date, held.as_of), set()).update(held.districts)
        day = planned.get(held.date)
        if day is not None and day.edition is not None and held.covers(day.edition):
            covered.setdefault(held.date, set()).update(held.districts.intersection(day.districts))
    return covered, finals


def count_requests(
    days: Sequence[PlannedDay],
    calendar: Mapping[date, CalendarMonth],
    covered: Mapping[date, set[str]],
    finals: Mapping[tuple[date, date], set[str]],
) -> int:
    """How many requests the items take. Those of a close and of its as-of date are the same, and are counted once."""
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
        requests += sum(map(requests_of, left))
    return requests
