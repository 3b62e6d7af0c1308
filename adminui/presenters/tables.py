"""A table as a value: one template shows every table that is only read, in columns or as cards where it is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sort:
    """What a click on a heading does."""

    query: str
    direction: str
    """`ascending` or `descending` as the table is sorted now; nothing where it is not by this column."""
    words: str


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    kind: str = "text"
    """`name` names the row; a `number` ends at the right; `lead` and `wide` take a line of their own on a card."""
    sort: Sort | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    beside: str = ""
    """Small, in the same line."""
    note: str = ""
    """Small, in a line of its own."""
    excerpt: str = ""
    """Text of several lines that is shown on demand."""
    code: str = ""
    tone: str = ""
    icon: str = ""
    href: str = ""
    """Of a cell that names its row."""
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    cells: Sequence[Cell]
    kind: str = ""
    """`live` is the one that is looked at, `total` the sum; a `division` has each `area` of it below."""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def lines(self) -> Iterator[tuple[Row, Iterable[tuple[Column, Cell]]]]:
        """Each row, with its cells under their columns."""
        return ((row, zip(self.columns, row.cells, strict=True)) for row in self.rows)


def row(*cells: Cell | str, kind: str = "") -> Row:
    """Of cells, and of texts that are nothing more."""
    return Row([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells], kind)


def numbers(*labels: str) -> list[Column]:
    return [Column(label, "number") for label in labels]
