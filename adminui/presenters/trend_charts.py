"""Trend charts of a district over program years, and their points as a table."""

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
from adminui.presenters.tables import Cell, Column, Table, number_columns, row
from backfill.domain import Point, ProgramYear
from backfill.service.queries import Series

YEARS = 5
"""Number of program years drawn, the last one being the selected year."""

CHARTS: dict[str, str | Promise] = {
    "members": gettext_lazy("Members"),
    "payments": gettext_lazy("Payments"),
    "paidClubs": gettext_lazy("Paid clubs"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}

_COLUMNS: dict[str, str | Promise] = {
    **CHARTS,
    "goals": gettext_lazy("Goals"),
    "thriving": gettext_lazy("Thriving"),
    "vulnerable": gettext_lazy("Vulnerable"),
    "interventionRequired": gettext_lazy("Intervention"),
}
"""Columns of the table."""

_RESET_EACH_YEAR = frozenset({"payments", "distinguished"})
"""Figures that start at zero in each program year."""


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    label: str
    value: str
    """Value on the selected date."""


@dataclass(frozen=True, slots=True)
class TrendCharts:
    charts: list[Chart]
    points: Table
    """Points of the selected program year, oldest first."""
    data: dict[str, Any]
    """Input of results.js."""


def trend_charts(series_by_year: Sequence[Series], year: ProgramYear, day: date) -> TrendCharts:
    """`series_by_year` has the program years with points, oldest first."""
    points = [point for series in series_by_year for point in series.points]
    shown = next((series.points for series in series_by_year if series.program_year == year), [])
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
            "resetEachYear": sorted(_RESET_EACH_YEAR),
            "periods": _periods(series_by_year, year),
        },
    )


def _table(points: Sequence[Point], day: date) -> Table:
    return Table(
        _("Points of the program year"),
        [Column(_("Date"), "name"), *number_columns(*map(str, _COLUMNS.values()))],
        [
            row(
                Cell(formatting.day(point.date), href=_address(point)),
                *(format_number(point.figures.get(name)) for name in _COLUMNS),
                kind="current" if point.date == day else "",
            )
            for point in points
        ],
    )


def _address(point: Point) -> str:
    return reverse("admin:backfill_district_on", args=[point.district, point.date])


def _periods(series_by_year: Sequence[Series], year: ProgramYear) -> list[dict[str, Any]]:
    """The periods that can be selected: one program year, two, or all."""
    starts = [series.program_year.start for series in series_by_year]
    periods: list[tuple[int, str]] = [(1, _("This program year"))]
    if year.start - 1 in starts:
        periods.append((2, _("Two program years")))
    if starts and year.start - min(starts) >= 2:
        periods.append((YEARS, _("%(n)s program years") % {"n": year.start - min(starts) + 1}))
    return [
        {"from": timegm(date(year.start - count + 1, 7, 1).timetuple()), "label": label} for count, label in periods
    ]
