"""The rows of a report in the order of club numbers, by which clubs are matched between reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from backfill.analytics.cells import club_number, counted, words
from backfill.analytics.inputs import Table
from backfill.analytics.quality import Code, Notes

Key = tuple[str, str, int]
"""A club's number, its name if it has no number, and the index among rows with the same number and name."""

Id = tuple[str, str]
"""A club's number, and its name if it has no number: clubs are matched between reports by it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A report's rows in the order of club numbers."""

    keys: list[Key]
    cells: Sequence[Sequence[str]]
    """By column position."""
    ids: frozenset[Id]
    """The keys without the index."""


def ordered(table: Table, report: str, number_column: str, notes: Notes) -> Rows:
    """Sort a report by club number. Notes rows without a number and clubs with several rows.

    Identical rows count once, because some months of the real export contain every row twice. Raises
    UnreadableSnapshot if the report is empty.
    """
    table.require_rows(report)
    (at,) = table.needed(report, number_column)
    numbers = [club_number(row[at]) for row in table.rows]
    # The usual case, handled faster: every row has a number, and no two rows have the same.
    row_of = dict(zip(numbers, table.rows, strict=True))
    if _is_number("".join(numbers)) and "" not in row_of and len(row_of) == len(numbers):
        in_order = sorted(sorted(row_of), key=len)
        cells = list(zip(*map(row_of.__getitem__, in_order), strict=True))
        return Rows(list(zip(in_order, repeat(""), repeat(0))), cells, frozenset(zip(in_order, repeat(""))))
    return _ordered_with_notes(table, report, numbers, notes)


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii()


def _ordered_with_notes(table: Table, report: str, numbers: list[str], notes: Notes) -> Rows:
    in_order = sorted({(len(text), text, tuple(row)) for text, row in zip(numbers, table.rows, strict=True)})
    if repeated := len(numbers) - len(in_order):
        notes.add(
            Code.ROW_REPEATED,
            f"{report} has {counted(repeated, 'repeated row')}; each row counts once.",
            found=repeated,
        )
    name_at = table.position("Club Name")
    keys: list[Key] = []
    seen = Counter[tuple[str, str]]()
    for _, text, row in in_order:
        name = "" if text or name_at is None else words(row[name_at])
        occurrence = seen[text, name]
        seen[text, name] += 1
        keys.append((text, name, occurrence))
        if not _is_number(text):
            which = f'the invalid number "{text[:40]}"' if text else f'no number (its name is "{name[:60]}")'
            notes.add(Code.CLUB_WITHOUT_NUMBER, f"A club in {report} has {which}; the club is kept.", club=text[:40])
        if occurrence == 1:
            notes.add(Code.CLUB_TWICE, f"{report} has different rows of {named(text, name)}; each is kept.", club=text)
    return Rows(keys, list(zip(*(row for *_, row in in_order), strict=True)), frozenset([key[:2] for key in keys]))


def named(number: str, name: str) -> str:
    """A club as messages name it."""
    return f"club {number[:40]}" if number else f'the club "{name[:60]}"'
