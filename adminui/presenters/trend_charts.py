"""The points of a district over program years: what the charts draw, and the same as a table."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import formatting
from adminui.presenters.number_format import format_number
from adminui.presenters.tables import Cell, Column, Table, numbers, row
from backfill.domain import Point, ProgramYear
from backfill.service.queries import Series

YEARS = 5
"""So many program years are drawn, the last of them the one that is looked at."""

CHARTS: dict[str, str | Promise] = {
    "members": gettext_lazy("Members"),
    "payments": gettext_lazy("Payments"),
    "paidClubs": gettext_lazy("Paid clubs"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}

_FIGURES: dict[str, str | Promise] = {
    **CHARTS,
    "goals": gettext_lazy("Goals"),
    "thriving": gettext_lazy("Thriving"),
    "vulnerable": gettext_lazy("Vulnerable"),
    "interventionRequired": gettext_lazy("Intervention"),
}
"""Of the table."""

_STARTS_ANEW = frozenset({"payments", "distinguished"})
"""Counted from zero in each program year."""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    label: str
    value: str
    """At the date that is looked at."""


@dataclass(frozen=True, slots=True)
class TrendCharts:
    charts: list[Chart]
    points: Table
    """Of the program year that is looked at, oldest first."""
    data: dict[str, Any]
    """For the script that draws."""


def trend_charts(of_years: Sequence[Series], year: ProgramYear, day: date) -> TrendCharts:
    """`of_years`: those that have points, oldest first."""
    points = [point for series in of_years for point in series.points]
    shown = next((series.points for series in of_years if series.program_year == year), [])
    current = next((point for point in shown if point.date == day), None)
    return TrendCharts(
        charts=[
            Chart(name, str(label), format_number(current.figures.get(name) if current else None))
            for name, label in CHARTS.items()
        ],
        points=_table(shown, day),
        data={
            "days": [timegm(point.date.timetuple()) for point in points],
            "years": [str(ProgramYear.of(point.date)) for point in points],
            "current": timegm(day.timetuple()),
            "lines": {name: [point.figures.get(name) for point in points] for name in CHARTS},
            "startsAnew": sorted(_STARTS_ANEW),
            "spans": _spans(of_years, year),
        },
    )


def _table(points: Sequence[Point], day: date) -> Table:
    return Table(
        _("Points of the program year"),
        [Column(_("Date"), "name"), *numbers(*map(str, _FIGURES.values()))],
        [
            row(
                Cell(formatting.day(point.date), href=_address(point)),
                *(format_number(point.figures.get(name)) for name in _FIGURES),
                kind="live" if point.date == day else "",
            )
            for point in points
        ],
    )


def _address(point: Point) -> str:
    return reverse("admin:backfill_district_on", args=[point.district, point.date])


def _spans(of_years: Sequence[Series], year: ProgramYear) -> list[dict[str, Any]]:
    """From which moment on each choice draws: one program year, two, or all there are."""
    starts = [series.program_year.start for series in of_years]
    spans: list[tuple[int, str]] = [(1, _("This program year"))]
    if year.start - 1 in starts:
        spans.append((2, _("Two program years")))
    if starts and year.start - min(starts) >= 2:
        spans.append((YEARS, _("%(n)s program years") % {"n": year.start - min(starts) + 1}))
    return [{"from": timegm(date(year.start - count + 1, 7, 1).timetuple()), "label": label} for count, label in spans]
