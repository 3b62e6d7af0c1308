"""The dialog that turns the coverage target on: what its first run collects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from adminui.presenters import formatting
from adminui.presenters.job_details import Detail
from adminui.presenters.target_panel import rule_text, schedule_text
from backfill.domain import Estimate, RateLimits, TargetSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    heading: str
    lead: str
    figures: list[Detail]
    rows: list[Detail]
    confirm: str
    """The label of the button that saves the settings."""


def first_run(
    settings: TargetSettings,
    *,
    items: int,
    requests: int,
    duration: Estimate,
    limits: RateLimits,
    was_enabled: bool,
    zone: str,
) -> FirstRun:
    """`items` and `requests` are those of the first automatic job, `duration` is in seconds at `limits`."""
    per_minute = formatting.number(limits.max_requests_per_minute)
    rows = [Detail(_("Kept complete"), "; ".join(rule_text(rule) for rule in settings.rules))]
    rows.append(Detail(_("Checks"), schedule_text(settings, zone)))
    if (months := _months(requests, settings.monthly_requests)) > 1:
        text = _("The first run spreads over %(months)s months, because of the limit of requests a month.")
        rows.append(Detail(_("Limit a month"), text % {"months": formatting.number(months)}))
    if settings.wants_analytics:
        rows.append(Detail(_("Analytics"), _("Computed when the items of a run are stored.")))
    return FirstRun(
        heading=_("Save the changes?") if was_enabled else _("Keep this complete?"),
        lead=_("Nothing is saved yet. The first run starts when you confirm, as soon as no other job is active."),
        figures=[
            Detail(_("Items to fetch"), formatting.number(items), _("missing now")),
            Detail(
                _("Requests"), formatting.number(requests), _("at most %(number)s a minute") % {"number": per_minute}
            ),
            Detail(_("Duration"), *_duration(items, duration)),
        ],
        rows=rows,
        confirm=_("Save the changes") if was_enabled else _("Turn on"),
    )


def _duration(items: int, takes: Estimate) -> tuple[str, str]:
    if not items:
        return _("Nothing to fetch"), _("everything published is stored")
    length, low, high = (formatting.length(timedelta(seconds=s)) for s in (takes.seconds, takes.low, takes.high))
    return _("about %(length)s") % {"length": length}, _("%(low)s to %(high)s") % {"low": low, "high": high}


def _months(requests: int, budget: int | None) -> int:
    return -(-requests // budget) if budget else 0
