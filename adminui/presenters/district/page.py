"""The page of a district and its tiles."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from adminui.presenters import formatting, number_format
from adminui.presenters.district import divisions, quality, standing
from adminui.presenters.district.distinguished import Distinguished, distinguished
from adminui.presenters.district.goals import Goal, goals
from adminui.presenters.district.health import Health, health
from adminui.presenters.district.quality import Quality
from adminui.presenters.district.standing import Comparability, Ranking, Targets
from adminui.presenters.number_format import format_number, format_percent, format_signed, format_signed_percent
from adminui.presenters.result import Json, Tile, describe_result
from adminui.presenters.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    name: str
    about: str
    tiles: list[Tile]
    distinguished: Distinguished
    goals: list[Goal] | None
    """None before program year 2020-2021."""
    health: Health
    divisions: Table
    targets: Targets | None
    """None before program year 2012-2013."""
    comparisons: Table | None
    """None if the year before is unknown."""
    comparability: Comparability | None
    ranking: Ranking | None
    """None if the summary of the date has no row of the district."""
    suspended: list[str]
    quality: Quality


def district(result: Json) -> District:
    """`result` is the stored JSON of a district."""
    names = {line["clubNumber"]: line["clubName"] for line in result["health"]["clubs"]}
    return District(
        name=_("District %(name)s") % {"name": formatting.one_district(result["districtId"])},
        about=describe_result(result),
        tiles=_tiles(result),
        distinguished=distinguished(result["distinguished"], names),
        goals=goals(result["goals"]),
        health=health(result["health"]),
        divisions=divisions.table(result["divisions"], result["areas"]),
        targets=standing.targets(result["targets"]),
        comparisons=standing.comparisons(result["yearOverYear"]),
        comparability=standing.comparability(result["yearOverYear"]),
        ranking=standing.ranking(result["rankings"]),
        suspended=[f"{club['clubName']} ({club['clubNumber']})" for club in result["clubs"]["suspendedClubs"]],
        quality=quality.quality(result["quality"], names),
    )


def _tiles(result: Json) -> list[Tile]:
    clubs, membership, payments = result["clubs"], result["membership"], result["payments"]
    return [
        Tile(
            _("Members"),
            format_number(membership["total"]),
            [_base(membership), _("%(average)s a club") % {"average": format_number(membership["averagePerClub"], 1)}],
            number_format.growth_tone(membership["netGrowth"]),
            format_signed(membership["netGrowth"]),
        ),
        Tile(
            _("Payments"),
            format_number(payments["total"]),
            [
                _base(payments),
                _("%(new)s new, %(october)s October, %(april)s April")
                % {name: format_number(payments[name]) for name in ("new", "october", "april")},
            ],
            number_format.growth_tone(payments["growth"]),
            format_signed_percent(payments["growthPercent"]),
        ),
        Tile(
            _("Paid clubs"),
            format_number(clubs["paid"]),
            [_base(clubs), _statuses(clubs)],
            number_format.growth_tone(clubs["netGrowth"]),
            format_signed(clubs["netGrowth"]),
        ),
        Tile(
            _("Distinguished clubs"),
            format_number(result["distinguished"]["reported"]["total"]),
            [_("%(percent)s of the base") % {"percent": format_percent(result["distinguished"]["percentOfBase"])}],
        ),
    ]


def _base(part: Json) -> str:
    return _("base %(base)s") % {"base": format_number(part["base"])}


def _statuses(clubs: Json) -> str:
    parts = [
        (_("%(n)s open"), clubs["open"]),
        (_("%(n)s active"), clubs.get("active")),
        (_("%(n)s low"), clubs["low"]),
        (_("%(n)s ineligible"), clubs["ineligible"]),
        (_("%(n)s suspended"), clubs["suspended"]),
        (_("%(n)s chartered"), clubs["chartered"]),
    ]
    return ", ".join(text % {"n": format_number(count)} for text, count in parts if count)
