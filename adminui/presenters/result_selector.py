"""The program years and dates that the pages of results offer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from adminui.presenters import formatting
from adminui.presenters.choices import Choice, choices
from backfill.domain import ProgramYear


@dataclass(frozen=True, slots=True)
class DateOptions:
    choices: list[Choice]
    """Newest first."""
    earlier: date | None
    later: date | None


@dataclass(frozen=True, slots=True)
class ResultSelector:
    years: list[Choice]
    dates: DateOptions


def result_selector(
    year: ProgramYear | None, years: Iterable[ProgramYear], day: date | None = None, dates: Sequence[date] = ()
) -> ResultSelector:
    """`years` with results, newest first; `dates` of the selected year, oldest first."""
    return ResultSelector(years=choices({each: str(each) for each in years}, year), dates=date_options(day, dates))


def date_options(chosen: date | None, dates: Sequence[date]) -> DateOptions:
    """The choices always include the selected date."""
    known = sorted({*dates, chosen} if chosen else set(dates))
    place = known.index(chosen) if chosen else None
    return DateOptions(
        choices=choices({day: formatting.day(day) for day in reversed(known)}, chosen),
        earlier=known[place - 1] if place else None,
        later=known[place + 1] if place is not None and place + 1 < len(known) else None,
    )
