"""Settled items as CSV, for spreadsheets and scripts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from backfill.domain import Outcome
from backfill.domain.text import without_formula
from backfill.serializers.items import ItemSerializer

COLUMNS = ("itemId", "date", "districtId", "outcome", "reason", "message", "attempts", "at", "isRetryable")
"""The fields of an item without `excerpt`, which has line breaks."""

_ROWS_AT_ONCE = 500


def item_csv(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield a header and a row for each outcome, many rows at once.

    Null is an empty cell. A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number, outcome in enumerate(outcomes, 1):
        item = ItemSerializer.render(outcome)
        writer.writerow([safe_cell(item[name]) for name in COLUMNS])
        if number % _ROWS_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def safe_cell(value: object) -> object:
    """The text of a value, with an apostrophe before what a spreadsheet would take for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    return without_formula(value) if isinstance(value, str) else value
