"""Charter dates: when each club of a district was chartered.

Source: Charter Date/Suspend Date of districtperformance. A cell is empty, `Charter MM/DD/YY`, `Susp MM/DD/YY`, or holds
both dates: `Charter 09/30/25 Susp 07/01/26`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from backfill.analytics.quality import Code, Notes
from backfill.domain import ProgramYear

COLUMN = "Charter Date/Suspend Date"

_CHARTER = re.compile(r"\bCharter\s+(\d{1,2})/(\d{1,2})/(\d{2})(?!\d)", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=4096)
def charter_date(cell: str) -> date | None:
    """The charter date in a cell, with or without a suspend date after it; None if there is none."""
    match = _CHARTER.search(cell)
    if match is None:
        return None
    try:
        return date(2000 + int(match[3]), int(match[1]), int(match[2]))
    except ValueError:
        return None


def read_charters(cells: Iterable[tuple[str, str]], notes: Notes) -> list[tuple[str, date]]:
    """The charter dates of (club number, cell) pairs, by club number. A charter without a readable date is noted."""
    charters = []
    for number, cell in cells:
        day = charter_date(cell)
        if day is not None:
            charters.append((number, day))
        elif "charter" in cell.casefold():
            notes.cell(COLUMN, cell, club=number)
    return charters


def note_blank(report: str, notes: Notes) -> None:
    notes.add(
        Code.COLUMN_BLANK,
        f"In {report}, the column {COLUMN} is blank in every row of every district of this date; the number of "
        "chartered clubs is null.",
    )


def is_late(day: date, year: ProgramYear) -> bool:
    """Whether a club was chartered on or after 1 September of the program year: goal 9 then requires round 2 only.

    Source: the announcement of Toastmasters International of September 2013.
    """
    return ProgramYear.of(day) == year and day >= date(year.start, 9, 1)
