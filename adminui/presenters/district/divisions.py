"""The divisions of a district, each followed by its areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting
from adminui.presenters.number_format import UNKNOWN, format_number
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Row, Table, number_columns, row

_UNALIGNED = ("0D", "0A")


def table(divisions: Sequence[Json], areas: Sequence[Json]) -> Table:
    return Table(
        _("Divisions and areas"),
        [
            Column(_("Unit"), "name"),
            *number_columns(_("Rank"), _("Clubs"), _("Paid of base"), _("Members"), _("Goals"), _("Distinguished")),
            Column(_("Level")),
            Column(_("To next level")),
        ],
        [unit for division in divisions for unit in _with_areas(division, areas)],
    )


def _with_areas(division: Json, areas: Sequence[Json]) -> list[Row]:
    rank = format_number(division["rank"])
    return [
        _unit(division, _name_of(division["id"], _("Division %(id)s")), rank=rank, kind="division"),
        *(
            _unit(area, _name_of(area["area"], _("Area %(id)s")))
            for area in areas
            if area["division"] == division["id"]
        ),
    ]


def _name_of(unit: str, text: str) -> str:
    return _("Unaligned") if unit in _UNALIGNED else text % {"id": unit}


def _unit(line: Json, name: str, *, rank: str = "", kind: str = "area") -> Row:
    return row(
        name,
        rank,
        format_number(line["clubs"]),
        f"{format_number(line['paid'])} / {format_number(line['base'])}",
        format_number(line["members"]),
        format_number(line["goals"]),
        format_number(line["distinguished"]),
        Cell(line["reported"] or UNKNOWN, note=_earned(line["reported"], line["qualifying"])),
        _gap(line["gap"]),
        kind=kind,
    )


def _earned(reported: str | None, qualifying: str | None) -> str:
    """The level that the figures earn, if the dashboard reports another one."""
    return _("earned: %(level)s") % {"level": qualifying} if qualifying and qualifying != reported else ""


def _gap(gap: Mapping[str, int] | None) -> str:
    if gap is None:
        return UNKNOWN
    parts = []
    if paid := gap["paidClubs"]:
        parts.append(_("%(n)s paid") % {"n": paid})
    if distinguished := gap["distinguishedClubs"]:
        parts.append(_("%(n)s distinguished") % {"n": distinguished})
    if first := gap.get("firstVisits"):
        parts.append(
            ngettext("%(n)s first-round visit", "%(n)s first-round visits", first) % {"n": first},
        )
    if second := gap.get("secondVisits"):
        parts.append(
            ngettext("%(n)s second-round visit", "%(n)s second-round visits", second) % {"n": second},
        )
    return formatting.listed(parts)
