"""The plan that the preview dialog shows and starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.forms import LimitFields
from adminui.presenters import formatting
from adminui.presenters.job_details import Detail
from backfill.domain import LIMIT_NAMES, SUMMARY, RateLimits, camel, limit_text
from backfill.service.planning import Preview

_DATES_LISTED = 400

_LIMITS = {name: LimitFields.base_fields[name].label for name in LIMIT_NAMES}


@dataclass(frozen=True, slots=True)
class Change:
    label: str
    before: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`changes` is empty unless the plan differs from the one previewed before."""

    heading: str
    lead: str
    figures: list[Detail]
    rows: list[Detail]
    dates: list[str]
    dates_title: str
    more_dates: str
    plan_id: str
    plan_name: str
    is_empty: bool
    why_empty: str
    changes: list[Change]


def plan(
    preview: Preview, changed: Mapping[str, Any] | None = None, *, limit_changes: Mapping[str, float] | None = None
) -> Plan:
    """`changed` are the details of PlanChanged if the plan differs from the one previewed before.

    `limit_changes` are the limits of the request that are not saved.
    """
    made, config, limits = preview.plan, preview.config, preview.config.rate_limits
    to_do = made.total_items - made.skipped_items
    kind = _lowercase_first(formatting.job_type(preview.job_type))
    description = preview.job_type.description
    days = [formatting.day(day.date) for day in made.days]
    of_range = _("of %(number)s in the range") % {"number": formatting.number(made.total_items)}
    figures = [
        Detail(_("Items to %(verb)s") % {"verb": _(description.verb)}, formatting.number(to_do), of_range),
        Detail(
            _("Requests"),
            formatting.number(made.requests),
            _("at most %(number)s a minute") % {"number": formatting.number(limits.max_requests_per_minute)}
            if description.calls_dashboard
            else _("no requests"),
        ),
        Detail(_("Duration"), *_duration(preview)),
    ]
    count = ngettext("%(number)s date", "%(number)s dates", len(days)) % {"number": formatting.number(len(days))}
    names = [name for name in made.district_totals if name != SUMMARY]
    skipped = formatting.reasons(dict(made.skipped)) or _("nothing")
    if made.unpublished_dates and description.calls_dashboard:
        skipped += "; " + ngettext(
            "%(number)s date has no published data",
            "%(number)s dates have no published data",
            made.unpublished_dates,
        ) % {"number": formatting.number(made.unpublished_dates)}
    rows = [
        Detail(
            _("Range"),
            f"{formatting.dates(config)}, {_lowercase_first(str(formatting.CADENCES[config.cadence]))}: {count}",
        ),
        Detail(_("Districts"), f"{len(names)}: {formatting.districts(names)}" if names else _("none")),
        Detail(_("Skipped"), skipped),
    ]
    if description.calls_dashboard:
        failed = _(
            "Each item is tried up to 5 times. The job continues without items that still fail. "
            "You can retry them later."
        )
        rows.append(Detail(_("Failed items"), failed))
        unsaved = _("Not saved: they apply to this job only.") if limit_changes else ""
        rows.append(Detail(_("Limits"), ", ".join(formatting.limits(limits)), unsaved))
    else:
        rows.append(Detail(_("Failed items"), _("The job continues without them; you can retry them later.")))
    lead = _("The job has not started; nothing has been %(done)s.") % {"done": _(description.participle)}
    return Plan(
        heading=_("Start the new plan?") if changed else _("Start %(kind)s?") % {"kind": kind},
        lead=_("Check the changes, then start the new plan or go back.") if changed else lead,
        figures=figures,
        rows=rows,
        dates=days[:_DATES_LISTED],
        dates_title=ngettext("The date", "The %(number)s dates", len(days)) % {"number": formatting.number(len(days))},
        more_dates=_("and %(number)s more") % {"number": formatting.number(len(days) - _DATES_LISTED)}
        if len(days) > _DATES_LISTED
        else "",
        plan_id=preview.plan_id,
        plan_name=preview.plan_id.rpartition("-")[2][:8],
        is_empty=not made.total_items,
        why_empty=_("The plan is empty: %(why)s for these dates and districts. Go back and choose others.")
        % {"why": _(description.no_items)},
        changes=_changes(changed, preview) if changed else [],
    )


def _duration(preview: Preview) -> tuple[str, str]:
    if preview.plan.skipped_items == preview.plan.total_items:
        return _("Nothing to %(verb)s") % {"verb": _(preview.job_type.description.verb)}, ""
    takes = preview.duration
    length, low, high = (formatting.length(timedelta(seconds=s)) for s in (takes.seconds, takes.low, takes.high))
    return _("about %(length)s") % {"length": length}, _("%(low)s to %(high)s") % {"low": low, "high": high}


def _changes(changed: Mapping[str, Any], preview: Preview) -> list[Change]:
    before, now = changed["before"], changed["now"]
    to_do = [made["totalItems"] - made["skippedItems"] for made in (before, now)]
    pairs = [
        (_("Items in the range"), before["totalItems"], now["totalItems"]),
        (_("Items to do"), *to_do),
        (_("Requests"), before["estimatedRequests"], now["estimatedRequests"]),
    ]
    limits: RateLimits = preview.config.rate_limits
    lengths = [formatting.length(limits.interval * made["estimatedRequests"]) for made in (before, now)]
    counts = [Change(label, formatting.number(old), formatting.number(new)) for label, old, new in pairs]
    changed_values = [change for change in [*counts, Change(_("Duration"), *lengths)] if change.before != change.now]
    if changed["rateLimits"] is None:
        changed_values.append(Change(_("Limits"), _("unknown"), ", ".join(formatting.limits(limits))))
    changed_limits: Mapping[str, Mapping[str, float]] = changed["rateLimits"] or {}
    changed_values += [
        Change(str(_LIMITS[name]), limit_text(name, pair["before"]), f"{pair['now']:,g}")
        for name in LIMIT_NAMES
        if (pair := changed_limits.get(camel(name)))
    ]
    return changed_values or [Change(_("Dates or districts"), _("others"), _("as below"))]


def _lowercase_first(text: str) -> str:
    return text[:1].lower() + text[1:]
