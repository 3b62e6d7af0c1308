"""Format the numbers of results. An unknown value is a dash, never zero."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

UNKNOWN = "\N{EN DASH}"

Figure = int | float | None

LEVELS: dict[str, str | Promise] = {
    "distinguished": _("Distinguished"),
    "select": _("Select Distinguished"),
    "presidents": _("President's Distinguished"),
    "smedley": _("Smedley Distinguished"),
}
"""Labels by the names in a result, lowest level first."""

NOTES: dict[str, str | Promise] = {
    "SUMMARY_MISSING": _("no district summary"),
    "YEAR_BEFORE_UNREADABLE": _("no comparison with the year before"),
    "SUMMARY_DIFFERS": _("sums that differ from the summary"),
    "COLUMN_MISSING": _("missing columns"),
    "COLUMN_BLANK": _("blank columns"),
    "COLUMN_TWICE": _("columns under two names"),
    "ROW_REPEATED": _("repeated rows"),
    "CELL_BLANK": _("blank cells"),
    "CELL_UNREADABLE": _("unreadable cells"),
    "CLUB_MISSING": _("clubs missing from a report"),
    "CLUB_TWICE": _("clubs with two rows"),
    "CLUB_WITHOUT_NUMBER": _("clubs without a number"),
    "UNKNOWN_STATUS": _("unknown statuses"),
    "UNKNOWN_LEVEL": _("unknown levels"),
    "GOALS_DIFFER": _("goals that differ"),
    "ROWS_DIFFER": _("rows that do not agree"),
}
"""Labels of quality notes by code."""


def format_number(value: Figure, digits: int = 0) -> str:
    return UNKNOWN if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def format_signed(value: Figure, digits: int = 0) -> str:
    """With a sign: +12."""
    text = format_number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def format_percent(value: Figure, digits: int = 2) -> str:
    return UNKNOWN if value is None else f"{format_number(value, digits)} %"


def format_signed_percent(value: Figure, digits: int = 2) -> str:
    return UNKNOWN if value is None else f"{format_signed(value, digits)} %"


def format_measure(name: str, value: Figure) -> str:
    """Percentage of a ranking measure. Growth has a sign, the share of distinguished clubs has none."""
    return format_percent(value) if name == "distinguished" else format_signed_percent(value)


def growth_tone(value: Figure) -> str:
    """`ok` for growth, `bad` for decline, otherwise empty."""
    return "" if not value else "ok" if value > 0 else "bad"


def level_label(name: str | None) -> str:
    return UNKNOWN if name is None else str(LEVELS.get(name, name))


def quality_note_label(code: str) -> str:
    return str(NOTES.get(code, code))


def bar_segments(counts: Iterable[int], width: int = 100) -> list[tuple[float, float]]:
    """Start and width of each segment of a bar."""
    counts = list(counts)
    total, start = sum(counts) or 1, 0
    segments = []
    for count in counts:
        segments.append((round(width * start / total, 2), round(width * count / total, 2)))
        start += count
    return segments
