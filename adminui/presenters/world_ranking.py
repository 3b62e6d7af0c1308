"""The world ranking: a stored world result as a sortable table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.numbers import whole_number
from adminui.presenters import formatting, number_format
from adminui.presenters.choices import Choice, choices
from adminui.presenters.number_format import format_number, format_percent, format_signed_percent
from adminui.presenters.result import Json, Tile
from adminui.presenters.tables import Cell, Column, Row, Sort, Table, row
from backfill.domain import district_order

COLUMNS: dict[str, tuple[str | Promise, str | Promise, str]] = {
    "overallRank": (gettext_lazy("Rank"), gettext_lazy("Overall rank"), "number"),
    "district": (gettext_lazy("District"), gettext_lazy("District"), "name"),
    "region": (gettext_lazy("Region"), gettext_lazy("Region, and the rank in it"), "text"),
    "clubGrowth": (gettext_lazy("Club growth"), gettext_lazy("Club growth, its rank and points"), "number"),
    "paymentGrowth": (gettext_lazy("Payment growth"), gettext_lazy("Payment growth, its rank and points"), "number"),
    "distinguished": (
        gettext_lazy("Distinguished"),
        gettext_lazy("Distinguished clubs of the base, rank and points"),
        "number",
    ),
    "score": (gettext_lazy("Points"), gettext_lazy("Total points"), "number"),
    "percentile": (gettext_lazy("Percentile"), gettext_lazy("Percentile"), "number"),
}
"""Label, title of the sort link, and kind of column."""

_ASCENDING = frozenset({"overallRank", "district", "region"})
"""Columns that sort ascending at the first click; the others sort descending."""

MEASURES = ("clubGrowth", "paymentGrowth", "distinguished")


@dataclass(frozen=True, slots=True)
class WorldRanking:
    table: Table
    tiles: list[Tile]
    regions: list[Choice]


def world_ranking(result: Json, day: date, *, sort: str, region: str) -> WorldRanking:
    """`sort` is a column name, prefixed with `-` to reverse it. An unknown name sorts by overall rank."""
    name = sort.removeprefix("-") if sort.removeprefix("-") in COLUMNS else "overallRank"
    is_reversed = sort.startswith("-") and sort.removeprefix("-") == name
    lines: Mapping[str, Json] = result["districts"]
    regions = sorted({line["region"] for line in lines.values() if line["region"]}, key=_number_first)
    region = region if region in regions else ""
    chosen = {district: line for district, line in lines.items() if not region or line["region"] == region}
    is_ascending = (name in _ASCENDING) != is_reversed
    return WorldRanking(
        table=Table(
            _("Districts by rank on %(day)s") % {"day": formatting.day(day)},
            [_column(each, name, is_reversed=is_reversed, region=region) for each in COLUMNS],
            [_row(district, chosen[district], day) for district in _sorted(chosen, name, is_ascending=is_ascending)],
        ),
        tiles=_tiles(result["totals"]),
        regions=choices({name: name for name in regions}, region),
    )


def _sorted(lines: Mapping[str, Json], name: str, *, is_ascending: bool) -> list[str]:
    """Unknown values come last in both directions; ties keep the order of districts."""
    districts = sorted(lines, key=district_order)
    if name == "district":
        return districts if is_ascending else districts[::-1]
    if name == "region":
        return sorted(
            districts,
            key=lambda d: (_number_first(lines[d]["region"]), lines[d]["regionRank"]),
            reverse=not is_ascending,
        )
    key = f"{name}Percent" if name in MEASURES else name
    known = [district for district in districts if lines[district][key] is not None]
    unknown = [district for district in districts if lines[district][key] is None]
    return [*sorted(known, key=lambda d: lines[d][key], reverse=not is_ascending), *unknown]


def _number_first(text: str) -> tuple[int, int, str]:
    number = whole_number(text)
    return (1, 0, text) if number is None else (0, number, "")


def _column(name: str, sorted_by: str, *, is_reversed: bool, region: str) -> Column:
    """The heading sorts by the column, or reverses the order if the table is sorted by it already."""
    label, title, kind = COLUMNS[name]
    is_current = name == sorted_by
    is_ascending = (name in _ASCENDING) != (is_reversed and is_current)
    query = {"sort": f"-{name}" if is_current and not is_reversed else name, **({"region": region} if region else {})}
    direction = ("ascending" if is_ascending else "descending") if is_current else ""
    return Column(str(label), kind, Sort(urlencode(query), direction, str(title)))


def _row(district: str, line: Json, day: date) -> Row:
    return row(
        Cell(format_number(line["overallRank"]), is_strong=True),
        Cell(formatting.one_district(district), href=reverse("admin:backfill_district_on", args=[district, day])),
        Cell(
            line["region"] or number_format.UNKNOWN,
            note=_("no. %(rank)s") % {"rank": format_number(line["regionRank"])},
        ),
        *(_measure(name, line) for name in MEASURES),
        Cell(format_number(line["score"]), is_strong=True),
        format_number(line["percentile"], 1),
    )


def _measure(name: str, line: Json) -> Cell:
    value, rank, points = (line[f"{name}{part}"] for part in ("Percent", "Rank", "Points"))
    note = _("not ranked, %(points)s points") if rank is None else _("no. %(rank)s, %(points)s points")
    return Cell(
        number_format.format_measure(name, value),
        note=note % {"rank": format_number(rank), "points": format_number(points)},
        tone="" if name == "distinguished" else number_format.growth_tone(value),
    )


def _tiles(totals: Json) -> list[Tile]:
    club_growth, payment_growth = totals["clubGrowthPercent"], totals["paymentGrowthPercent"]
    return [
        Tile(
            _("Districts"),
            format_number(totals["districts"]),
            [_("%(n)s active clubs") % {"n": format_number(totals["activeClubs"])}],
        ),
        Tile(
            _("Paid clubs"),
            format_number(totals["paidClubs"]),
            [_("base %(base)s") % {"base": format_number(totals["paidClubBase"])}],
            number_format.growth_tone(club_growth),
            format_signed_percent(club_growth),
        ),
        Tile(
            _("Payments"),
            format_number(totals["payments"]),
            [_("base %(base)s") % {"base": format_number(totals["paymentBase"])}],
            number_format.growth_tone(payment_growth),
            format_signed_percent(payment_growth),
        ),
        Tile(
            _("Distinguished clubs"),
            format_number(totals["distinguished"]["total"]),
            [_("%(percent)s of the base") % {"percent": format_percent(totals["distinguishedPercent"])}],
        ),
    ]
