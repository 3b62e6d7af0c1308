"""Read-only tables as values. `table.html` renders them; narrow screens show the rows of a `bf-table` as cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sort:
    """The link of a column heading that sorts the table."""

    query: str
    direction: str
    """`ascending` or `descending` if the table is sorted by this column, otherwise empty."""
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    kind: str = "text"
    """CSS class without its prefix.

    `name` is the row heading, `number` is aligned to the end. On a card, `lead`, `wide` and `long` take a full line;
    `long` also wraps at any width.
    """
    sort: Sort | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    inline_note: str = ""
    """Small text on the same line."""
    note: str = ""
    """Small text on its own line."""
    excerpt: str = ""
    """Text of several lines, shown on demand."""
    code: str = ""
    tone: str = ""
    icon: str = ""
    href: str = ""
    link_label: str = ""
    """Accessible name of the link, if its text is not unique on the page."""
    action: str = ""
    """Text of another link in the cell."""
    action_href: str = ""
    action_label: str = ""
    """Its accessible name."""
    is_strong: bool = False
    is_empty: bool = False
    """The text stands for a missing value; cards leave the cell out."""


@dataclass(frozen=True, slots=True)
class Row:
    cells: Sequence[Cell]
    kind: str = ""
    """CSS class without its prefix: `current`, `total`, `division` or `area`."""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    @property
    def lines(self) -> Iterator[tuple[Row, Iterable[tuple[Column, Cell]]]]:
        """Each row with the pairs of column and cell."""
        return ((row, zip(self.columns, row.cells, strict=True)) for row in self.rows)


def row(*cells: Cell | str, kind: str = "", row_id: str = "") -> Row:
    """A string stands for a cell with that text."""
    return Row([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells], kind, row_id)


def number_columns(*labels: str) -> list[Column]:
    return [Column(label, "number") for label in labels]
