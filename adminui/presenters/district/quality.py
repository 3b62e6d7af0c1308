"""What does not add up in the reports that a result was made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting, number_format
from adminui.presenters.number_format import format_number
from adminui.presenters.result import Json
from adminui.presenters.tables import Cell, Column, Row, Table, numbers, row


@dataclass(frozen=True, slots=True)
class Quality:
    sentence: str
    """What the eye should meet first: whether the figures add up."""
    notes: Table


def quality(notes: Sequence[Json], names: Mapping[str, str]) -> Quality:
    """`names`: of clubs, by their number."""
    columns = [Column(_("What"), "wide"), Column(_("Club")), *numbers(_("Expected"), _("Found"))]
    return Quality(_sentence(notes), Table(_("Quality notes"), columns, [_note(note, names) for note in notes]))


def _sentence(notes: Sequence[Json]) -> str:
    if not notes:
        return _("All sums agree with the district summary.")
    count = len(notes)
    text = ngettext("%(n)s thing does not add up", "%(n)s things do not add up", count) % {"n": format_number(count)}
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
