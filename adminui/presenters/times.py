"""Text with moments: plain text for presenters and tests, `<time>` elements in a page.

times.js shows each moment in the zone that the browser has chosen, so each element names its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils.formats import date_format
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

TOOLTIP = "bf-time-tip"
"""The id of the tooltip of base.html."""


class TimedText(str):
    """Text that contains moments. A template renders each moment as a `<time>` element.

    An operation of `str` loses the elements and keeps the text; use `filled` for sentences.
    """

    __slots__ = ("_html",)
    _html: SafeString

    def __new__(cls, text: str, html: SafeString) -> TimedText:
        made = super().__new__(cls, text)
        made._html = html
        return made

    def __html__(self) -> str:
        return self._html


def filled(words: str, values: Mapping[str, object]) -> TimedText:
    """`words % values`, with the moments among the values."""
    html = str(escape(words)) % {
        name: conditional_escape(value if isinstance(value, str) else str(value)) for name, value in values.items()
    }
    return TimedText(words % values, mark_safe(html))  # noqa: S308 - words and values are escaped


def clock(at: datetime) -> TimedText:
    return _moment(at, _time_of_day(at, has_seconds=True), "clock")


def minute(at: datetime) -> str:
    return _time_of_day(at)


def axis_minute(at: datetime) -> TimedText:
    """For the axis of a chart, which assistive technology skips."""
    text = minute(at)
    return TimedText(text, format_html('<time datetime="{}" data-format="minute">{}</time>', _iso(at), text))


def when(at: datetime, now: datetime, *, has_seconds: bool = False) -> TimedText:
    """Today, 12:29; 11 Oct, 18:04; 11 Oct 2023, 18:04."""
    time = _time_of_day(at, has_seconds=has_seconds)
    text = _("Today, %(time)s") % {"time": time} if _is_today(at, now) else f"{_date(at, now)}, {time}"
    return _moment(at, text, "when", has_seconds=has_seconds)


def at(value: datetime, now: datetime) -> TimedText:
    """For use in a sentence: at 14:31; on 11 Oct at 18:04."""
    time = {"time": _time_of_day(value)}
    if _is_today(value, now):
        return _moment(value, _("at %(time)s") % time, "at")
    return _moment(value, _("on %(date)s at %(time)s") % {**time, "date": _date(value, now)}, "at")


def soon(at: datetime, now: datetime, *, has_seconds: bool = False) -> TimedText:
    """The time of day, with its date unless that is today."""
    time = _time_of_day(at, has_seconds=has_seconds)
    text = time if _is_today(at, now) else f"{_date(at, now)}, {time}"
    return _moment(at, text, "soon", has_seconds=has_seconds)


def _moment(at: datetime, text: str, kind: str, *, has_seconds: bool = False) -> TimedText:
    html = format_html(
        '<time datetime="{}" data-format="{}" tabindex="0" aria-describedby="{}">{}</time>',
        _iso(at),
        f"{kind}-seconds" if has_seconds else kind,
        TOOLTIP,
        text,
    )
    return TimedText(text, html)


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _time_of_day(at: datetime, *, has_seconds: bool = False) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S" if has_seconds else "%H:%M")


def _is_today(at: datetime, now: datetime) -> bool:
    return at.astimezone(UTC).date() == now.astimezone(UTC).date()


def _date(at: datetime, now: datetime) -> str:
    return date_format(at.astimezone(UTC), "j M" if at.astimezone(UTC).year == now.year else "j M Y")
