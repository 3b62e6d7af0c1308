"""Which result is looked at: the program years and dates to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from adminui.presenters import wording
from backfill.domain import FIRST_DAY, ProgramYear


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Dates:
    choices: list[Choice]
    """Newest first."""
    earlier: date | None
    later: date | None


@dataclass(frozen=True, slots=True)
class Chooser:
    years: list[Choice]
    dates: Dates


def choose_year(chosen: ProgramYear | None, newest: ProgramYear | None) -> list[Choice]:
    """Every program year of the dashboard, newest first; nothing where there is no result at all."""
    if newest is None:
        return []
    first, last = ProgramYear.of(FIRST_DAY).start, max(newest.start, chosen.start if chosen else 0)
    years = [ProgramYear(start) for start in range(last, first - 1, -1)]
    return [Choice(str(year), str(year), year == chosen) for year in years]


def choose_date(chosen: date | None, dates: Sequence[date]) -> Dates:
    """`dates` are in order. The chosen one is among the choices in any case."""
    known = sorted({*dates, chosen} if chosen else set(dates))
    place = known.index(chosen) if chosen else None
    return Dates(
        choices=[Choice(day.isoformat(), wording.day(day), day == chosen) for day in reversed(known)],
        earlier=known[place - 1] if place else None,
        later=known[place + 1] if place is not None and place + 1 < len(known) else None,
    )
