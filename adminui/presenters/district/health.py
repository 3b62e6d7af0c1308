"""Open clubs by health category, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import number_format
from adminui.presenters.number_format import format_number, format_signed
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Row, Table, number_columns, row

CATEGORIES: dict[str, tuple[str | Promise, str, str]] = {
    "interventionRequired": (gettext_lazy("Intervention required"), "bad", "cross"),
    "vulnerable": (gettext_lazy("Vulnerable"), "warn", "warn"),
    "thriving": (gettext_lazy("Thriving"), "ok", "check"),
}
"""Label, tone and icon; the most urgent category first."""


@dataclass(frozen=True, slots=True)
class Category:
    label: str
    tone: str
    icon: str
    count: int
    x: float
    """Start of the segment in the bar, in percent."""
    width: float
    clubs: Table


@dataclass(frozen=True, slots=True)
class Health:
    categories: list[Category]
    unassessed: Table
    """Clubs without enough data."""


def health(value: Json) -> Health:
    shares = number_format.bar_segments([value[name] for name in CATEGORIES])
    return Health(
        categories=[
            Category(str(label), tone, icon, value[name], x, width, _clubs(str(label), value["clubs"], name))
            for (name, (label, tone, icon)), (x, width) in zip(CATEGORIES.items(), shares, strict=True)
        ],
        unassessed=_clubs(_("Not assessed"), value["clubs"], None),
    )


def _clubs(caption: str, lines: Iterable[Json], category: str | None) -> Table:
    return Table(
        caption,
        [
            Column(_("Club"), "lead"),
            Column(_("Area")),
            *number_columns(_("Members"), _("Growth"), _("Goals")),
            Column(_("Reason"), "wide"),
        ],
        [_club(line) for line in lines if line["category"] == category],
    )


def _club(line: Json) -> Row:
    return row(
        Cell(line["clubName"], inline_note=line["clubNumber"]),
        "/".join(part for part in (line["division"], line["area"]) if part),
        format_number(line["members"]),
        format_signed(line["netGrowth"]),
        format_number(line["goals"]),
        " ".join(line["reasons"]),
    )
