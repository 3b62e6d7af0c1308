"""Requests that read the dashboard's calendar: the page repeats them and shows the progress until they are done."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.http import HttpRequest
from django.utils.translation import gettext as _

from adminui.presenters import formatting
from backfill.api.calendar_access import LONGEST_WAIT, disconnect_check
from backfill.domain import CalendarAccess
from backfill.errors import CalendarIncomplete

_POLL_WAIT = 1.0
"""Seconds that a request of the script waits: the progress is updated once in that time."""


class ReadingDialog(NamedTuple):
    """What the dialog shows, and the request that it repeats."""

    text: str
    percent: int
    width: str
    """Of the bar, as an SVG length."""
    url: str
    fields: list[tuple[str, str]]
    reason: str
    """Why nothing is read now; empty while pages are read."""


def access(request: HttpRequest) -> CalendarAccess:
    """How long a view may wait for the calendar. The permission is checked by the view."""
    is_htmx = request.headers.get("HX-Request") == "true"
    return CalendarAccess(
        max_wait=_POLL_WAIT if is_htmx else LONGEST_WAIT / 2, is_abandoned=disconnect_check(request.META)
    )


def reading_dialog(request: HttpRequest, exc: CalendarIncomplete) -> ReadingDialog:
    progress = exc.details or {}
    needed, stored = progress["needed"], progress["stored"]
    percent = 100 * stored // max(needed, 1)
    text = _("Reading the dashboard's calendar: %(stored)s of %(needed)s pages, about %(left)s left") % {
        "stored": formatting.number(stored),
        "needed": formatting.number(needed),
        "left": formatting.length(timedelta(seconds=progress["estimatedSecondsLeft"])),
    }
    fields = [
        (name, value) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken" for value in values
    ]
    return ReadingDialog(text, percent, f"{percent}%", request.path, fields, progress.get("reason", ""))
