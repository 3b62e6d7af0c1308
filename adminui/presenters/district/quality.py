"""Quality notes: inconsistencies in the reports of a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting, number_format
from adminui.presenters.number_format import format_number
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Row, Table, number_columns, row


@dataclass(frozen=True, slots=True)
class Quality:
    summary: str
    """Summary of the notes."""
    notes: Table


def quality(notes: Sequence[Json], names: Mapping[str, str]) -> Quality:
    """`names` are club names by club number."""
    columns = [Column(_("Note"), "wide"), Column(_("Club")), *number_columns(_("Expected"), _("Found"))]
    return Quality(_summary(notes), Table(_("Quality notes"), columns, [_note(note, names) for note in notes]))


def _summary(notes: Sequence[Json]) -> str:
    if not notes:
        return _("All sums agree with the district summary.")
    count = len(notes)
    text = ngettext("%(n)s inconsistency", "%(n)s inconsistencies", count) % {"n": format_number(count)}
    kinds = Counter(note["code"] for note in notes)
    named = [
        f"{number_format.quality_note_label(code)} ({format_number(times)})" for code, times in kinds.most_common(3)
    ]
    return f"{text}: {formatting.listed(named)}."


def _note(note: Json, names: Mapping[str, str]) -> Row:
    number = note["clubNumber"]
    return row(
        Cell(note["message"], note=number_format.quality_note_label(note["code"])),
        f"{names[number]} ({number})" if number in names else number or "",
        _formatted(note["expected"]),
        _formatted(note["found"]),
    )


def _formatted(value: int | str | None) -> str:
    if value is None:
        return ""
    return format_number(value) if isinstance(value, int) else f"“{value}”"
