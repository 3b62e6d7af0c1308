"""Writes the table of settings into docs/configuration.md: `python -m backfill_site.settings_page`."""

from __future__ import annotations

import re
from pathlib import Path

from backfill.settings_table import SETTINGS, Setting

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
_TABLE = re.compile(r"(<!-- settings table: [^\n]* -->\n\n).*(\n\n<!-- /settings table -->)", re.DOTALL)


def page_with_table(page: str) -> str:
    """Return the page with the current table between its markers."""
    rows = "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *map(_row, SETTINGS)])
    return _TABLE.sub(lambda match: f"{match[1]}{rows}{match[2]}", page)


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else setting.without_default
    return f"| `{setting.name}` | {default} | {setting.help} |"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
