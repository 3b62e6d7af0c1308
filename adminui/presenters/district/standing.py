"""Where a district stands: before its own targets, beside the year before, and among the districts of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters import figures
from adminui.presenters.figures import figure, percent, signed, signed_percent
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Table, numbers, row

_TARGETS: dict[str, str | Promise] = {
    "paidClubs": gettext_lazy("Paid clubs"),
    "payments": gettext_lazy("Payments"),
    "distinguishedClubs": gettext_lazy("Distinguished clubs"),
}
_COMPARED: dict[str, str | Promise] = {
    "members": gettext_lazy("Members"),
    "payments": gettext_lazy("Payments"),
    "paidClubs": gettext_lazy("Paid clubs"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}
_RANKED: dict[str, str | Promise] = {
    "clubGrowth": gettext_lazy("Club growth"),
    "paymentGrowth": gettext_lazy("Payment growth"),
    "distinguished": gettext_lazy("Distinguished clubs"),
}


@dataclass(frozen=True, slots=True)
class Ranking:
    overall: str
    percentile: str
    region: str
    region_rank: str
    score: str
    measures: Table


def targets(value: Mapping[str, Json]) -> Table:
    levels = [str(label) for label in figures.LEVELS.values()]
    lines = [(str(label), value[name]) for name, label in _TARGETS.items()]
    return Table(
        _("Targets"),
        [Column("", "name"), *numbers(_("Base"), _("Now"), *levels)],
        [
            row(
                name,
                figure(target["base"]),
                Cell(figure(target["current"]), is_strong=True),
                *(_target(level, target["current"]) for level in target["levels"]),
            )
            for name, target in lines
        ],
    )


def _target(level: Json, current: int | None) -> Cell:
    needed, share = level["needed"], percent(level["percent"], 0)
    if needed is None or current is None:
        return Cell(figure(needed), note=share)
    if current >= needed:
        return Cell(figure(needed), note=_("%(percent)s, reached") % {"percent": share}, tone="ok", icon="check")
    return Cell(figure(needed), note=_("%(percent)s, %(n)s to go") % {"percent": share, "n": figure(needed - current)})


def comparisons(value: Mapping[str, Json] | None) -> Table | None:
    if value is None:
        return None
    lines = [(str(label), value[name]) for name, label in _COMPARED.items()]
    return Table(
        _("Year over year"),
        [Column("", "name"), *numbers(_("Now"), _("Before"), _("Change"))],
        [
            row(
                name,
                figure(line["current"]),
                figure(line["previous"]),
                Cell(signed(line["change"]), note=signed_percent(line["percent"]), tone=figures.tone(line["change"])),
            )
            for name, line in lines
        ],
    )


def ranking(line: Json | None) -> Ranking | None:
    if line is None:
        return None
    return Ranking(
        overall=figure(line["overallRank"]),
        percentile=figure(line["percentile"], 1),
        region=line["region"],
        region_rank=figure(line["regionRank"]),
        score=figure(line["score"]),
        measures=Table(
            _("Ranks"),
            [Column("", "name"), *numbers(_("Percent"), _("Rank"), _("Points"))],
            [
                row(
                    str(label),
                    figures.measure(name, line[f"{name}Percent"]),
                    figure(line[f"{name}Rank"]),
                    figure(line[f"{name}Points"]),
                )
                for name, label in _RANKED.items()
            ],
        ),
    )
