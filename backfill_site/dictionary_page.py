"""Writes the tables into docs/data-dictionary.md: `python -m backfill_site.dictionary_page`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from backfill.analytics.dictionary import COLUMNS, FIELDS, Entry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"
_TABLES = re.compile(r"(<!-- (columns|fields): [^\n]* -->\n\n).*?(\n\n<!-- /\2 -->)", re.DOTALL)


def page_with_tables(page: str) -> str:
    """Return the page with the current tables between its markers."""
    sections = {
        "columns": [_section(f"Table `{table}`", entries) for table, entries in COLUMNS.items()],
        "fields": [_section(f"Result `{kind}`", entries) for kind, entries in FIELDS.items()],
    }
    return _TABLES.sub(lambda match: match[1] + "\n\n".join(sections[match[2]]) + match[3], page)


def _section(title: str, entries: Iterable[Entry]) -> str:
    head = ["| name | type | unit | meaning | source | from |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([f"### {title}", "", *head, *map(_row, entries)])


def _row(entry: Entry) -> str:
    same = f" Equal to `{entry.field}`." if entry.field else ""
    cells = (f"`{entry.name}`", entry.type, entry.unit, f"{entry.meaning}{same}", entry.source, entry.first_year)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text()))
