"""The ranking of all districts on a date: the stored world result as a table that can be sorted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import figures, wording
from adminui.presenters.district import Tile
from adminui.presenters.figures import figure, percent, signed_percent
from backfill.domain import district_order

COLUMNS: dict[str, tuple[str | Promise, str | Promise]] = {
    "overallRank": (gettext_lazy("Rank"), gettext_lazy("Overall rank")),
    "district": (gettext_lazy("District"), gettext_lazy("District")),
    "region": (gettext_lazy("Region"), gettext_lazy("Region, and the rank in it")),
    "clubGrowth": (gettext_lazy("Club growth"), gettext_lazy("Club growth, its rank and points")),
    "paymentGrowth": (gettext_lazy("Payment growth"), gettext_lazy("Payment growth, its rank and points")),
    "distinguished": (gettext_lazy("Distinguished"), gettext_lazy("Distinguished clubs of the base, rank and points")),
    "score": (gettext_lazy("Points"), gettext_lazy("Points together")),
    "percentile": (gettext_lazy("Percentile"), gettext_lazy("Percentile")),
}
"""Label, and what is sorted by in words."""

_ASCENDING = frozenset({"overallRank", "district", "region"})
"""Where the first click sorts upwards; elsewhere the most comes first."""

MEASURES = ("clubGrowth", "paymentGrowth", "distinguished")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    label: str
    words: str
    direction: str
    """`ascending`, `descending`, or nothing where it is not the one sorted by."""
    query: str
    """Sorts by it, the other way round where it is sorted by already."""
    is_text: bool


@dataclass(frozen=True, slots=True)
class Measure:
    label: str
    percent: str
    rank: str
    points: str
    tone: str


@dataclass(frozen=True, slots=True)
class Row:
    district: str
    name: str
    rank: str
    region: str
    region_rank: str
    measures: list[Measure]
    score: str
    percentile: str


@dataclass(frozen=True, slots=True)
class World:
    columns: list[Column]
    rows: list[Row]
    tiles: list[Tile]
    regions: list[str]
    region: str


def world(result: Mapping[str, Any], *, sort: str, region: str) -> World:
    """`sort`: a column, with a minus for the other way round; what is none stands for the overall rank."""
    name = sort.removeprefix("-") if sort.removeprefix("-") in COLUMNS else "overallRank"
    is_turned = sort.startswith("-") and sort.removeprefix("-") == name
    lines: Mapping[str, Mapping[str, Any]] = result["districts"]
    regions = sorted({line["region"] for line in lines.values() if line["region"]}, key=_number_first)
    region = region if region in regions else ""
    chosen = {district: line for district, line in lines.items() if not region or line["region"] == region}
    is_ascending = (name in _ASCENDING) != is_turned
    return World(
        columns=[_column(each, name, is_turned=is_turned, region=region) for each in COLUMNS],
        rows=[_row(district, chosen[district]) for district in _sorted(chosen, name, is_ascending=is_ascending)],
        tiles=_tiles(result["totals"]),
        regions=regions,
        region=region,
    )


def _sorted(lines: Mapping[str, Mapping[str, Any]], name: str, *, is_ascending: bool) -> list[str]:
    """What is not known comes last either way; ties keep the order of districts."""
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
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


def _column(name: str, sorted_by: str, *, is_turned: bool, region: str) -> Column:
    label, words = COLUMNS[name]
    is_current = name == sorted_by
    is_ascending = (name in _ASCENDING) != (is_turned and is_current)
    query = f"sort={'-' if is_current and not is_turned else ''}{name}"
    return Column(
        name=name,
        label=str(label),
        words=str(words),
        direction=("ascending" if is_ascending else "descending") if is_current else "",
        query=f"{query}&region={region}" if region else query,
        is_text=name in {"district", "region"},
    )


def _row(district: str, line: Mapping[str, Any]) -> Row:
    return Row(
        district=district,
        name=wording.one_district(district),
        rank=figure(line["overallRank"]),
        region=line["region"] or figures.UNKNOWN,
        region_rank=figure(line["regionRank"]),
        measures=[
            Measure(
                label=str(COLUMNS[name][0]),
                percent=(percent if name == "distinguished" else signed_percent)(line[f"{name}Percent"]),
                rank=figure(line[f"{name}Rank"]),
                points=figure(line[f"{name}Points"]),
                tone="" if name == "distinguished" else figures.tone(line[f"{name}Percent"]),
            )
            for name in MEASURES
        ],
        score=figure(line["score"]),
        percentile=figure(line["percentile"], 1),
    )


def _tiles(totals: Mapping[str, Any]) -> list[Tile]:
    club_growth, payment_growth = totals["clubGrowthPercent"], totals["paymentGrowthPercent"]
    return [
        Tile(
            _("Districts"),
            figure(totals["districts"]),
            [_("%(n)s active clubs") % {"n": figure(totals["activeClubs"])}],
        ),
        Tile(
            _("Paid clubs"),
            figure(totals["paidClubs"]),
            [_("base %(base)s") % {"base": figure(totals["paidClubBase"])}],
            figures.tone(club_growth),
            signed_percent(club_growth),
        ),
        Tile(
            _("Payments"),
            figure(totals["payments"]),
            [_("base %(base)s") % {"base": figure(totals["paymentBase"])}],
            figures.tone(payment_growth),
            signed_percent(payment_growth),
        ),
        Tile(
            _("Distinguished clubs"),
            figure(totals["distinguished"]["total"]),
            [_("%(percent)s of the base") % {"percent": percent(totals["distinguishedPercent"])}],
        ),
    ]
