"""The points of a district over program years: what the charts draw, and the same as a table."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from adminui.presenters import wording
from adminui.presenters.figures import figure
from backfill.domain import ProgramYear
from backfill.history import Series

YEARS = 5
"""So many program years are drawn, the last of them the one that is looked at."""

CHARTS: dict[str, str | Promise] = {
    "members": _("Members"),
    "payments": _("Payments"),
    "paidClubs": _("Paid clubs"),
    "distinguished": _("Distinguished clubs"),
}

_STARTS_ANEW = frozenset({"payments", "distinguished"})
"""Counted from zero in each program year."""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    label: str
    value: str
    """At the date that is looked at."""


@dataclass(frozen=True, slots=True)
class PointLine:
    date: date
    day: str
    figures: list[str]
    is_current: bool


@dataclass(frozen=True, slots=True)
class Trend:
    charts: list[Chart]
    columns: list[str]
    points: list[PointLine]
    """Of the program year that is looked at, oldest first."""
    data: dict[str, Any]
    """For the script that draws."""


def trend(of_years: Sequence[Series], year: ProgramYear, day: date) -> Trend:
    """`of_years`: those that have points, oldest first."""
    points = [point for series in of_years for point in series.points]
    shown = next((series.points for series in of_years if series.program_year == year), [])
    current = next((point for point in shown if point.date == day), None)
    columns = [*CHARTS, "goals", "thriving", "vulnerable", "interventionRequired"]
    return Trend(
        charts=[
            Chart(name, str(label), figure(current.figures.get(name) if current else None))
            for name, label in CHARTS.items()
        ],
        columns=[
            *(str(label) for label in CHARTS.values()),
            str(_("Goals")),
            str(_("Thriving")),
            str(_("Vulnerable")),
            str(_("Intervention")),
        ],
        points=[
            PointLine(
                point.date,
                wording.day(point.date),
                [figure(point.figures.get(name)) for name in columns],
                point.date == day,
            )
            for point in shown
        ],
        data={
            "days": [timegm(point.date.timetuple()) for point in points],
            "years": [str(ProgramYear.of(point.date)) for point in points],
            "current": timegm(day.timetuple()),
            "lines": {name: [point.figures.get(name) for point in points] for name in CHARTS},
            "startsAnew": sorted(_STARTS_ANEW),
            "spans": _spans(of_years, year),
        },
    )


def _spans(of_years: Sequence[Series], year: ProgramYear) -> list[dict[str, Any]]:
    """From which moment on each choice draws: one program year, two, or all there are."""
    starts = [series.program_year.start for series in of_years]
    spans: list[tuple[int, object]] = [(1, _("This program year"))]
    if year.start - 1 in starts:
        spans.append((2, _("Two program years")))
    if starts and year.start - min(starts) >= 2:
        spans.append((YEARS, _("%(n)s program years") % {"n": year.start - min(starts) + 1}))
    return [
        {"from": timegm(date(year.start - count + 1, 7, 1).timetuple()), "label": str(label)} for count, label in spans
    ]
