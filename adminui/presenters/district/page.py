"""The page as a whole, and the tiles at its top."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from adminui.presenters import figures, formatting
from adminui.presenters.district import divisions, quality, standing
from adminui.presenters.district.distinguished import Distinguished, distinguished
from adminui.presenters.district.goals import Goal, goals
from adminui.presenters.district.health import Health, health
from adminui.presenters.district.quality import Quality
from adminui.presenters.district.standing import Comparability, Ranking, Targets
from adminui.presenters.figures import figure, percent, signed, signed_percent
from adminui.presenters.result import Json, Tile, about
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
    """None where the year before is not known."""
    comparability: Comparability | None
    ranking: Ranking | None
    """None where the district has no line in the summary of the date."""
    suspended: list[str]
    quality: Quality


def district(result: Json) -> District:
    """Of a district's result as it is stored."""
    names = {line["clubNumber"]: line["clubName"] for line in result["health"]["clubs"]}
    return District(
        name=_("District %(name)s") % {"name": formatting.one_district(result["districtId"])},
        about=about(result),
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
            figure(membership["total"]),
            [_base(membership), _("%(average)s a club") % {"average": figure(membership["averagePerClub"], 1)}],
            figures.tone(membership["netGrowth"]),
            signed(membership["netGrowth"]),
        ),
        Tile(
            _("Payments"),
            figure(payments["total"]),
            [
                _base(payments),
                _("%(new)s new, %(october)s October, %(april)s April")
                % {name: figure(payments[name]) for name in ("new", "october", "april")},
            ],
            figures.tone(payments["growth"]),
            signed_percent(payments["growthPercent"]),
        ),
        Tile(
            _("Paid clubs"),
            figure(clubs["paid"]),
            [_base(clubs), _statuses(clubs)],
            figures.tone(clubs["netGrowth"]),
            signed(clubs["netGrowth"]),
        ),
        Tile(
            _("Distinguished clubs"),
            figure(result["distinguished"]["reported"]["total"]),
            [_("%(percent)s of the base") % {"percent": percent(result["distinguished"]["percentOfBase"])}],
        ),
    ]


def _base(part: Json) -> str:
    return _("base %(base)s") % {"base": figure(part["base"])}


def _statuses(clubs: Json) -> str:
    parts = [
        (_("%(n)s open"), clubs["open"]),
        (_("%(n)s active"), clubs.get("active")),
        (_("%(n)s low"), clubs["low"]),
        (_("%(n)s ineligible"), clubs["ineligible"]),
        (_("%(n)s suspended"), clubs["suspended"]),
        (_("%(n)s chartered"), clubs["chartered"]),
    ]
    return ", ".join(text % {"n": figure(count)} for text, count in parts if count)
