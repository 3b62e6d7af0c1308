"""The page of the differences between two dates of a district."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting
from adminui.presenters.number_format import UNKNOWN, format_signed, growth_tone, level_label
from adminui.presenters.result import Tile
from adminui.presenters.tables import Cell, Column, Table, number_columns, row
from backfill.analytics.changes import Basis, ChangeKind, ClubChange, ClubOnDate, DistrictChanges, Figure

_NONE = Cell(UNKNOWN, is_empty=True)


@dataclass(frozen=True, slots=True)
class Section:
    """A list of clubs with the same change."""

    name: str
    title: str
    table: Table


@dataclass(frozen=True, slots=True)
class Changes:
    tiles: list[Tile]
    notes: list[str]
    sections: list[Section]
    """Without empty lists."""
    summary: str
    clubs: Table


def changes(found: DistrictChanges) -> Changes:
    totals = found.totals
    sections = [_section(kind, found.of_kind(kind)) for kind in ChangeKind if found.of_kind(kind)]
    for gained, name, title in (
        (True, "levels-gained", _("Levels gained")),
        (False, "levels-lost", _("Levels lost")),
    ):
        if levels := found.levels(gained=gained):
            columns = [Column(_("Club"), "name"), Column(_("Kind")), Column(_("From")), Column(_("To"))]
            rows = [
                row(
                    _named(level.number, level.name),
                    _("reported") if level.basis is Basis.REPORTED else _("by the figures"),
                    _level(level.before),
                    _level(level.after),
                )
                for level in levels
            ]
            sections.append(Section(name, title, Table(title, columns, rows)))
    return Changes(
        tiles=[
            _tile(_("Open clubs"), totals.clubs),
            _tile(_("Members"), totals.members),
            _tile(_("Payments"), totals.payments),
        ],
        notes=list(found.notes),
        sections=sections,
        summary="" if sections else _("No club is new, closed, moved or suspended, and no level changed."),
        clubs=_clubs(found),
    )


def _section(kind: ChangeKind, clubs: list[ClubChange]) -> Section:
    titles = {
        ChangeKind.NEW: _("New clubs"),
        ChangeKind.CLOSED: _("Closed clubs"),
        ChangeKind.MOVED: _("Moved clubs"),
        ChangeKind.SUSPENDED: _("Suspended clubs"),
        ChangeKind.REOPENED: _("Reopened clubs"),
    }
    columns = [Column(_("Club"), "name"), Column(_("From")), Column(_("To"))]
    columns += number_columns(_("Members"))
    if kind is ChangeKind.NEW:
        columns.append(Column(_("Chartered")))
    rows = [
        row(
            _name(club),
            _place(club.before),
            _place(club.after),
            _number(club.latest.figures.members),
            *([_chartered(club)] if kind is ChangeKind.NEW else []),
        )
        for club in clubs
    ]
    return Section(str(kind), titles[kind], Table(titles[kind], columns, rows))


def _clubs(found: DistrictChanges) -> Table:
    columns = [
        Column(_("Club"), "name"),
        *number_columns(_("Members"), _("Change"), _("Payments"), _("Change"), _("Goals"), _("Change")),
    ]
    rows = []
    for club in found.clubs:
        figures = (club.members, club.payments, club.goals)
        cells = [cell for figure in figures for cell in (_number(figure.after), _change(figure))]
        rows.append(row(_name(club), *cells))
    caption = ngettext("%(number)s club", "%(number)s clubs", len(rows)) % {"number": formatting.number(len(rows))}
    return Table(caption, columns, rows)


def _name(club: ClubChange) -> Cell:
    figures = club.latest.figures
    return Cell(_named(figures.club_number, figures.club_name))


def _named(number: str, name: str) -> str:
    return f"{name} ({number})" if number else name


def _place(club: ClubOnDate | None) -> Cell:
    if club is None:
        return _NONE
    values = {"district": club.district, "division": club.figures.division, "area": club.figures.area}
    return Cell(_("District %(district)s, division %(division)s, area %(area)s") % values)


def _chartered(club: ClubChange) -> Cell:
    day = club.latest.figures.charter_date
    return Cell(formatting.day(day)) if day else _NONE


def _level(level: str | None) -> Cell:
    return Cell(level_label(level)) if level else _NONE


def _number(value: int | None) -> Cell:
    return _NONE if value is None else Cell(formatting.number(value))


def _change(figure: Figure) -> Cell:
    if figure.change is None:
        return _NONE
    return Cell(format_signed(figure.change), tone=growth_tone(figure.change))


def _tile(label: str, figure: Figure) -> Tile:
    value = UNKNOWN if figure.after is None else formatting.number(figure.after)
    before = "" if figure.before is None else _("before: %(number)s") % {"number": formatting.number(figure.before)}
    change = _change(figure)
    return Tile(label, value, [before], tone=change.tone, change="" if change.is_empty else change.text)
