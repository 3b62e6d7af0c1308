"""The standing of a district: its targets, the comparison with the year before, and its ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminui.presenters import formatting, number_format
from adminui.presenters.number_format import format_number, format_percent, format_signed, format_signed_percent
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Table, number_columns, row

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


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    text: str
    """Whether the condition is met."""
    tone: str
    icon: str


@dataclass(frozen=True, slots=True)
class Targets:
    level: str
    """The level of the district, or the reason why it has none."""
    tone: str
    icon: str
    table: Table
    conditions: list[Condition]


@dataclass(frozen=True, slots=True)
class Comparability:
    """How many clubs joined and left since the year before."""

    text: str
    is_warning: bool


def targets(value: Mapping[str, Any]) -> Targets | None:
    """None before program year 2012-2013, which had no such targets."""
    if value["payments"] is None:
        return None
    level = value.get("level")
    return Targets(
        level=_district_level(value),
        tone="ok" if level else "neutral",
        icon="check" if level else "",
        table=_targets_table(value),
        conditions=[_condition(condition) for condition in value.get("conditions", ())],
    )


def _district_level(value: Mapping[str, Any]) -> str:
    if "conditions" not in value:
        return _("Computed with older rules; an analytics-generation job computes it again.")
    if value["level"] is not None:
        return _("The district is %(level)s.") % {"level": number_format.level_label(value["level"])}
    if any(value[name]["base"] is None or value[name]["current"] is None for name in _TARGETS):
        return _("It is unknown whether the district has a level.")
    reached = all(value[name]["achieved"] for name in _TARGETS)
    missed = [condition["name"] for condition in value["conditions"] if condition["met"] is False]
    unknown = [condition["name"] for condition in value["conditions"] if condition["met"] is None]
    if not reached:
        return _("The district has no level yet: it has not reached every target of the first level.")
    if missed:
        return _("The district has no level yet. Conditions not met: %(names)s.") % {"names": formatting.listed(missed)}
    return _("It is unknown whether the district has a level: the summary has no value for %(names)s.") % {
        "names": formatting.listed(unknown)
    }


def _condition(condition: Json) -> Condition:
    text, tone, icon = {
        True: (_("met"), "ok", "check"),
        False: (_("not met"), "bad", "cross"),
        None: (_("unknown"), "warn", "warn"),
    }[condition["met"]]
    return Condition(condition["name"], text, tone, icon)


def _targets_table(value: Mapping[str, Any]) -> Table:
    lines = [(str(label), value[name]) for name, label in _TARGETS.items()]
    levels = [number_format.level_label(level["level"]) for level in value["payments"]["levels"]]
    return Table(
        _("Targets"),
        [Column("", "name"), *number_columns(_("Base"), _("Now"), *levels)],
        [
            row(
                name,
                format_number(target["base"]),
                Cell(format_number(target["current"]), is_strong=True),
                *(_target(level, target["current"]) for level in target["levels"]),
            )
            for name, target in lines
        ],
    )


def _target(level: Json, current: int | None) -> Cell:
    needed, percents = level["needed"], level["percent"]
    share = "" if percents is None else format_percent(percents, 0 if percents == int(percents) else 1)
    if needed is None or current is None:
        return Cell(format_number(needed), note=share)
    reached = current >= needed
    state = _("reached") if reached else _("%(n)s to go") % {"n": format_number(needed - current)}
    note = ", ".join(part for part in (share, state) if part)
    return Cell(format_number(needed), note=note, tone="ok" if reached else "", icon="check" if reached else "")


def comparisons(value: Mapping[str, Any] | None) -> Table | None:
    if value is None:
        return None
    lines = [(str(label), value[name]) for name, label in _COMPARED.items()]
    return Table(
        _("Year over year"),
        [Column("", "name"), *number_columns(_("Now"), _("Before"), _("Change"))],
        [
            row(
                name,
                format_number(line["current"]),
                format_number(line["previous"]),
                Cell(
                    format_signed(line["change"]),
                    note=format_signed_percent(line["percent"]),
                    tone=number_format.growth_tone(line["change"]),
                ),
            )
            for name, line in lines
        ],
    )


def comparability(value: Mapping[str, Any] | None) -> Comparability | None:
    """None without a comparison, or if the clubs of the year before are unknown."""
    if value is None or value.get("clubsJoined") is None:
        return None
    joined, left = value["clubsJoined"], value["clubsLeft"]
    clubs = _("%(joined)s and %(left)s") % {
        "joined": ngettext("%(n)s club joined", "%(n)s clubs joined", joined) % {"n": format_number(joined)},
        "left": ngettext("%(n)s left", "%(n)s left", left) % {"n": format_number(left)},
    }
    if value["comparable"] is False:
        return Comparability(_("Not comparable: %(clubs)s.") % {"clubs": clubs}, is_warning=True)
    return Comparability(_("Since then %(clubs)s.") % {"clubs": clubs}, is_warning=False)


def ranking(line: Json | None) -> Ranking | None:
    if line is None:
        return None
    return Ranking(
        overall=format_number(line["overallRank"]),
        percentile=format_number(line["percentile"], 1),
        region=line["region"],
        region_rank=format_number(line["regionRank"]),
        score=format_number(line["score"]),
        measures=Table(
            _("Ranks"),
            [Column("", "name"), *number_columns(_("Percent"), _("Rank"), _("Points"))],
            [
                row(
                    str(label),
                    number_format.format_measure(name, line[f"{name}Percent"]),
                    format_number(line[f"{name}Rank"]),
                    format_number(line[f"{name}Points"]),
                )
                for name, label in _RANKED.items()
            ],
        ),
    )
