"""The JSON of the coverage map, read by coverage.js."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext as _

from adminui.presenters import formatting
from adminui.presenters.coverage import districts_of, gap_row, month_name, size, summary, unknown_text
from backfill.domain import SUMMARY, Cell, CoveredMonth, Gap, ProgramYear
from backfill.service.queries import Coverage

LARGEST_GAPS = 3
"""Number of gaps listed below the map."""

_LETTERS = {
    Cell.NONE: "n",
    Cell.SNAPSHOT: "s",
    Cell.FINAL: "f",
    Cell.ANALYTICS: "a",
    Cell.UNPUBLISHED: "u",
    Cell.UNKNOWN: "q",
}
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
"""Base 32: a month has at most 31 dates, so a count is one digit."""


def map_json(coverage: Coverage, today: date) -> dict[str, Any]:
    """The whole map, with a string for each district and a character for each month.

    `cells`: n nothing, s snapshot, f final, a analytics, u not published, q unknown; upper case if the final figures
    of a closed month are missing. `stored` and `computed` count the dates of the month in base 32.
    """
    months, districts = coverage.months, districts_of(coverage)
    return {
        "first": f"{coverage.first:%Y-%m}",
        "lastDay": (today - timedelta(days=1)).isoformat(),
        "months": [month_name(month) for month in months],
        "years": [str(ProgramYear.of(month.month_end)) for month in months],
        "districts": districts,
        "names": [_row_name(district) for district in districts],
        "cells": ["".join(_letter(month, district) for month in months) for district in districts],
        "stored": ["".join(_DIGITS[month.snapshots.get(d, 0)] for month in months) for d in districts],
        "computed": ["".join(_DIGITS[month.results.get(d, 0)] for month in months) for d in districts],
        "summary": summary(coverage),
        "size": size(coverage),
        "unknown": unknown_text(coverage),
        "gaps": [_gap_as_json(gap, coverage) for gap in coverage.gaps[:LARGEST_GAPS]],
        "moreGaps": len(coverage.gaps) > LARGEST_GAPS,
        "texts": map_texts(),
    }


def map_texts() -> dict[str, Any]:
    """Texts of coverage.js. `{n}` and the like are placeholders; a pair is singular and plural."""
    return {
        "n": _("nothing stored; the month is not over"),
        "N": _("nothing stored"),
        "s": _("snapshots; the month is still open"),
        "S": _("snapshots without the final close"),
        "f": _("final close"),
        "a": _("analytics"),
        "A": _("analytics without the final close"),
        "u": _("not published"),
        "q": _("unknown; its calendar is not read yet"),
        "dates": [_("{n} date stored"), _("{n} dates stored")],
        "computed": _("{n} with analytics"),
        "cell": _("{district}, {month}: {state}."),
        "selected": _("Selected: {districts}, {months}."),
        "districts": _("Districts {first} to {last}"),
        "span": _("{first} to {last}"),
        "cells": [_("{n} district month"), _("{n} district months")],
        "missing": _("{n} missing"),
        "stored": _("{n} stored"),
        "unpublished": _("{n} not published"),
        "unknown": _("{n} unknown"),
        "onlySummary": _("Every job collects the summary: select a district as well."),
        "tapAgain": _("Tap another cell to extend the selection to it."),
        "cleared": _("Selection cleared."),
        "used": _("The start form contains the range and districts of the selection."),
    }


def _row_name(district: str) -> str:
    return _("Summary") if district == SUMMARY else _("District %(name)s") % {"name": formatting.one_district(district)}


def _letter(month: CoveredMonth, district: str) -> str:
    letter = _LETTERS[month.cells[district]]
    return letter.upper() if district in month.missing else letter


def _gap_as_json(gap: Gap, coverage: Coverage) -> Mapping[str, Any]:
    line = gap_row(gap, coverage)
    place = {month.month_end: n for n, month in enumerate(coverage.months)}
    last = place[gap.last]
    return {
        "title": line.title,
        "text": line.text,
        "first": last - gap.months + 1,
        "last": last,
        "districts": list(gap.districts),
    }
