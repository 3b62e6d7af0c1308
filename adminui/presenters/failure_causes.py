"""What a failure was, in words, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Cause(NamedTuple):
    label: str | Promise
    short_label: str | Promise
    """In a list of several: no answer (9), broken report (5)."""
    advice: str | Promise


CAUSES: dict[str, Cause] = {
    "SERVER_ERROR": Cause(
        _("The dashboard answered with an error"), _("server error"), _("Retry; it usually works the next time.")
    ),
    "THROTTLED": Cause(
        _("The dashboard asked for fewer requests"), _("asked to wait"), _("Retry, with gentler limits.")
    ),
    "LOCAL_PROBLEM": Cause(
        _("This machine could not reach the dashboard"),
        _("local network"),
        _("Retry once the local network is mended."),
    ),
    "CONNECTION_FAILED": Cause(
        _("The connection failed"), _("no connection"), _("Retry once the dashboard can be reached.")
    ),
    "TIMEOUT": Cause(_("No answer in time"), _("no answer"), _("Retry; it usually works the next time.")),
    "TRUNCATED": Cause(_("The answer was cut short"), _("cut short"), _("Retry; it usually works the next time.")),
    "HTML_PAGE": Cause(_("The report page was broken"), _("broken report"), _("Retry; it often passes within a day.")),
    "NO_ROWS": Cause(_("The report had no rows"), _("no rows"), _("Retry; it often passes within a day.")),
    "UNEXPECTED_STATUS": Cause(
        _("The dashboard answered in an unknown way"),
        _("unknown answer"),
        _("No retry helps until the service knows this answer. Tell its maintainers."),
    ),
    "TOO_LARGE": Cause(
        _("The answer was too large"), _("too large"), _("No retry: the answer is no report of one district.")
    ),
    "NOT_CSV": Cause(
        _("The answer was no report"), _("no report"), _("No retry: what the dashboard holds there is no report.")
    ),
    "MISSING_COLUMN": Cause(
        _("A column was missing"),
        _("missing column"),
        _("Retry; if it fails again, the format of the export has changed. Tell the maintainers of the service."),
    ),
    "MALFORMED_ROW": Cause(
        _("A row was malformed"), _("malformed row"), _("No retry: the dashboard's own file is damaged.")
    ),
    "WRONG_MONTH": Cause(
        _("The answer was for another month"),
        _("wrong month"),
        _("Retry: the dashboard was confused or its program year moved. Nothing was stored."),
    ),
    "WRONG_AS_OF": Cause(
        _("The answer was for another day"),
        _("wrong day"),
        _("Retry: the dashboard was confused or its program year moved. Nothing was stored."),
    ),
    "WRONG_DISTRICT": Cause(
        _("The answer was for another district"),
        _("wrong district"),
        _("Retry: the dashboard was confused or its program year moved. Nothing was stored."),
    ),
    "UNEXPECTED_ERROR": Cause(
        _("Something unexpected happened"), _("unexpected"), _("Retry once; if it fails again, look at the log.")
    ),
}
"""By the code of the error."""


def cause_of(code: str, *, is_retryable: bool) -> Cause:
    """Also of a code that is newer than this list."""
    known = CAUSES.get(code)
    if known is not None:
        return known
    label = code.replace("_", " ").capitalize()
    return Cause(label, label.lower(), _("Retry; it may work the next time.") if is_retryable else _("No retry helps."))
