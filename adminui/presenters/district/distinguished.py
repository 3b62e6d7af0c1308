"""Distinguished levels: clubs at each level and clubs closest to the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting, number_format
from adminui.presenters.number_format import UNKNOWN, format_number, format_percent
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Table, number_columns, row

NEAREST = 10
"""Number of clubs listed before the others."""


@dataclass(frozen=True, slots=True)
class Distinguished:
    levels: Table
    percent: str
    nearest: Table
    others: Table
    at_top: int
    note: str


def distinguished(value: Json, names: Mapping[str, str]) -> Distinguished:
    """`names` are club names by club number."""
    ahead = [line for line in value["toGo"] or () if line["level"] is not None]
    ahead.sort(key=lambda line: (line.get("planMissing", False), line["goals"] + line["members"], line["clubNumber"]))
    return Distinguished(
        levels=_levels(value["reported"], value["qualifying"]),
        percent=format_percent(value["percentOfBase"]),
        nearest=_to_go(_("Closest to the next level"), ahead[:NEAREST], names),
        others=_to_go(_("The other clubs"), ahead[NEAREST:], names),
        at_top=sum(line["level"] is None and line["goals"] == 0 for line in value["toGo"] or ()),
        note=_("Qualifying clubs are unknown: the report has no Club Success Plan.")
        if value["qualifying"] is None
        else "",
    )


def _levels(reported: Json, qualifying: Json | None) -> Table:
    """The Smedley level, which not every year has, is left out if no club has reached it."""
    kept = [
        name for name in number_format.LEVELS if reported[name] or (qualifying or {}).get(name) or name != "smedley"
    ]
    return Table(
        _("Levels"),
        [Column(_("Level"), "name"), *number_columns(_("Reported"), _("Qualifying"))],
        [
            row(
                _("Total") if name == "total" else number_format.level_label(name),
                format_number(reported[name]),
                UNKNOWN if qualifying is None else format_number(qualifying[name]),
                kind="total" if name == "total" else "",
            )
            for name in [*kept, "total"]
        ],
    )


def _to_go(caption: str, lines: Sequence[Json], names: Mapping[str, str]) -> Table:
    return Table(
        caption,
        [Column(_("Club"), "lead"), Column(_("Next level")), Column(_("Missing"))],
        [
            row(
                Cell(names.get(line["clubNumber"], ""), inline_note=line["clubNumber"]),
                number_format.level_label(line["level"]),
                _missing(line),
            )
            for line in lines
        ],
    )


def _missing(line: Json) -> str:
    missing = []
    if line["goals"]:
        missing.append(ngettext("%(n)s goal", "%(n)s goals", line["goals"]) % {"n": line["goals"]})
    if line["members"]:
        missing.append(ngettext("%(n)s member", "%(n)s members", line["members"]) % {"n": line["members"]})
    if line.get("planMissing"):
        missing.append(_("the Club Success Plan"))
    return formatting.listed(missing)
