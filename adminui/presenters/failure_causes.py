"""Labels of the causes of failures, and advice for each."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Cause(NamedTuple):
    label: str | Promise
    short_label: str | Promise
    """Used in a list: no response (9), broken report (5)."""
    advice: str | Promise


CAUSES: dict[str, Cause] = {
    "SERVER_ERROR": Cause(
        _("The dashboard returned an error"), _("server error"), _("Retry; the next attempt usually succeeds.")
    ),
    "THROTTLED": Cause(
        _("The dashboard asked for fewer requests"), _("asked to wait"), _("Retry with lower rate limits.")
    ),
    "LOCAL_PROBLEM": Cause(
        _("This machine could not reach the dashboard"),
        _("local network"),
        _("Retry when the local network works again."),
    ),
    "DASHBOARD_ERROR": Cause(
        _("The request could not be sent"), _("not sent"), _("Correct BACKFILL_DASHBOARD_URL, then retry.")
    ),
    "DASHBOARD_TROUBLE": Cause(
        _("The dashboard had a problem"), _("dashboard problem"), _("Retry; the next attempt usually succeeds.")
    ),
    "CONNECTION_FAILED": Cause(
        _("The connection failed"), _("no connection"), _("Retry when the dashboard can be reached.")
    ),
    "TIMEOUT": Cause(_("No response in time"), _("no response"), _("Retry; the next attempt usually succeeds.")),
    "TRUNCATED": Cause(
        _("The response was incomplete"), _("incomplete response"), _("Retry; the next attempt usually succeeds.")
    ),
    "HTML_PAGE": Cause(
        _("The report page was broken"), _("broken report"), _("Retry; this problem often disappears within a day.")
    ),
    "NO_ROWS": Cause(
        _("The report had no rows"), _("no rows"), _("Retry; this problem often disappears within a day.")
    ),
    "UNEXPECTED_STATUS": Cause(
        _("The dashboard returned an unexpected status"),
        _("unexpected status"),
        _("Retry. If the status stays the same, ask the owners of the dashboard, or check BACKFILL_DASHBOARD_URL."),
    ),
    "TOO_LARGE": Cause(
        _("The response was too large"),
        _("too large"),
        _("A retry does not help while the dashboard returns more than the report of one district."),
    ),
    "NOT_CSV": Cause(
        _("The response was not a report"),
        _("not a report"),
        _("Retry; the dashboard or a firewall in front of it returned another text."),
    ),
    "MISSING_COLUMN": Cause(
        _("A column was missing"),
        _("missing column"),
        _("Retry; if it fails again, the export format has changed. Report it to the maintainers."),
    ),
    "MALFORMED_ROW": Cause(
        _("A row was malformed"), _("malformed row"), _("A retry does not help: the dashboard's file is damaged.")
    ),
    "WRONG_MONTH": Cause(
        _("The response was for another month"),
        _("wrong month"),
        _("Retry: the dashboard returned the wrong report or changed its program year. Nothing was stored."),
    ),
    "WRONG_AS_OF": Cause(
        _("The response was for another date"),
        _("wrong date"),
        _("Retry: the dashboard returned the wrong report or changed its program year. Nothing was stored."),
    ),
    "WRONG_DISTRICT": Cause(
        _("The response was for another district"),
        _("wrong district"),
        _("Retry: the dashboard returned the wrong report or changed its program year. Nothing was stored."),
    ),
    "QUARANTINED": Cause(
        _("The process died three times at this item"),
        _("quarantined"),
        _(
            "Not retried, because it may crash the process again. Find the cause of the crashes in the log, often too "
            "little memory; then start a job over its dates."
        ),
    ),
    "COMPUTING_DIED": Cause(
        _("The computing process died"),
        _("computing died"),
        _(
            "Not retried, because each attempt ended the same way. Give the computing processes more memory or run "
            "fewer of them (BACKFILL_EXECUTOR); then start a job over its dates."
        ),
    ),
    "UNEXPECTED_ERROR": Cause(
        _("An unexpected error occurred"), _("unexpected error"), _("Retry once; if it fails again, check the log.")
    ),
}
"""By error code."""


def cause_of(code: str, *, is_retryable: bool) -> Cause:
    """A code that is not in `CAUSES` gets a label derived from its name."""
    known = CAUSES.get(code)
    if known is not None:
        return known
    label = code.replace("_", " ").capitalize()
    return Cause(
        label, label.lower(), _("Retry; the next attempt may succeed.") if is_retryable else _("A retry does not help.")
    )
