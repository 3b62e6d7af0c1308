"""The card "Keep complete": the status of the coverage target, its rules in words, and the form that changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import NON_FIELD_ERRORS
from django.forms import Form
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.forms import error_texts
from adminui.permissions import CHANGE_TARGET, Permissions, permission_labels
from adminui.presenters import formatting, times
from adminui.presenters.choices import Choice, choices
from adminui.target_forms import DATE, PROGRAM_YEAR, RuleValues, TargetForm, prefix_of
from backfill.domain import FIRST_DAY, CoverageRule, CoverageTarget, TargetSettings, TargetState, TargetStatus
from backfill.service.targets import TargetView

_BEGINNINGS = {DATE: gettext_lazy("Since"), PROGRAM_YEAR: gettext_lazy("This program year")}

_LOOKS = {
    TargetState.OFF: ("neutral", "pause"),
    TargetState.COMPLETE: ("ok", "check"),
    TargetState.INCOMPLETE: ("warn", "warn"),
    TargetState.COLLECTING: ("info", "play"),
}
"""The colour and the icon of each state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    index: int
    prefix: str
    """Of the names of its fields."""
    beginnings: list[Choice]
    start: str
    cadences: list[Choice]
    districts: str
    has_analytics: bool
    errors: Mapping[str, Sequence[str]]
    """By field; those of no field under `all`."""
    has_focus: bool

    @property
    def number(self) -> int:
        """As it is shown."""
        return self.index + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFields:
    """The fields of the form."""

    rows: list[RuleRow]
    daily_at: str
    monthly_requests: str
    note: str
    version: str
    errors: Mapping[str, Sequence[str]]
    rule_errors: Sequence[str]
    """About the rules as a whole."""
    changed: str = ""
    """Why the settings were not saved although they are valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPanel:
    style: str
    icon: str
    sentence: str
    """The status."""
    details: list[str]
    """When it was last checked, and who changed it."""
    zone: str
    note: str
    job_id: str
    """The newest automatic job; empty without one."""
    rules: list[str]
    schedule: str
    is_enabled: bool
    can_change: bool
    read_only: str
    """Why the user cannot change it; empty if the user can."""
    first_day: str
    fields: TargetFields
    is_open: bool
    """Whether the form is shown open, because it has errors or is being edited."""


def target_panel(
    view: TargetView, permissions: Permissions, now: datetime, *, zone: str, fields: TargetFields | None = None
) -> TargetPanel:
    """`zone` is the name of BACKFILL_TIME_ZONE. `fields` are the submitted ones, if they were not saved."""
    settings, status = view.target.settings, view.status
    is_unchecked = status.state is TargetState.INCOMPLETE and not status.missing
    style, icon = ("info", "clock") if is_unchecked else _LOOKS[status.state]
    return TargetPanel(
        style=style,
        icon=icon,
        sentence=status.sentence,
        details=_details(view.target, status, now),
        zone=zone,
        note=settings.note,
        job_id=str(status.last_job_id or ""),
        rules=[rule_text(rule) for rule in settings.rules],
        schedule=schedule_text(settings, zone),
        is_enabled=settings.enabled,
        can_change=permissions.can_change_target,
        read_only="" if permissions.can_change_target else _read_only(),
        first_day=FIRST_DAY.isoformat(),
        fields=fields or stored_fields(view.target),
        is_open=fields is not None,
    )


def rule_text(rule: CoverageRule) -> str:
    """Such as `Month-ends since 1 Jul 2012, all districts, with analytics`."""
    cadence = str(formatting.CADENCES[rule.cadence])
    if rule.start is None:
        dates = _("%(cadence)s of the current program year") % {"cadence": cadence}
    else:
        dates = _("%(cadence)s since %(day)s") % {"cadence": cadence, "day": formatting.day(rule.start)}
    where = formatting.where(rule.districts) if rule.districts else _("all districts")
    parts = [dates, where[:1].lower() + where[1:]]
    if rule.analytics:
        parts.append(_("with analytics"))
    return ", ".join(parts)


def schedule_text(settings: TargetSettings, zone: str) -> str:
    """Such as `Checked daily at 06:00 (UTC), with at most 20,000 requests a month`."""
    text = _("Checked daily at %(time)s (%(zone)s)") % {"time": f"{settings.daily_at:%H:%M}", "zone": zone}
    if settings.monthly_requests is None:
        return text
    budget = formatting.requests(settings.monthly_requests)
    return _("%(checked)s, with at most %(requests)s a month") % {"checked": text, "requests": budget}


def stored_fields(target: CoverageTarget) -> TargetFields:
    settings = target.settings
    values = [RuleValues.of(rule) for rule in settings.rules] or [RuleValues()]
    return TargetFields(
        rows=[_row(index, row) for index, row in enumerate(values)],
        daily_at=f"{settings.daily_at:%H:%M}",
        monthly_requests="" if settings.monthly_requests is None else str(settings.monthly_requests),
        note=settings.note,
        version=str(target.version),
        errors={},
        rule_errors=(),
    )


def submitted_fields(form: TargetForm, *, version: int | None = None, changed: str = "") -> TargetFields:
    """The submitted values with their errors. `version` is the one that the next attempt replaces."""
    sent = _sent(form.data)
    return TargetFields(
        rows=[
            _row(index, row, errors=_errors(rule))
            for index, (row, rule) in enumerate(zip(form.rows, form.rule_forms, strict=True))
        ],
        daily_at=sent["daily_at"],
        monthly_requests=sent["monthly_requests"],
        note=sent["note"],
        version=sent["version"] if version is None else str(version),
        errors=_errors(form.settings_form),
        rule_errors=form.rule_errors,
        changed=changed,
    )


def edited_fields(data: QueryDict, rows: Sequence[RuleValues]) -> TargetFields:
    """The submitted values, unchecked, with other rules. The last rule gets the focus."""
    return TargetFields(
        rows=[_row(index, row, has_focus=index == len(rows) - 1) for index, row in enumerate(rows)],
        errors={},
        rule_errors=(),
        **_sent(data),
    )


def changed_text(stored: CoverageTarget, now: datetime) -> str:
    """Why settings were not saved: the target was changed to `stored` meanwhile."""
    words = _(
        "The rules were changed %(at)s by %(operator)s since you opened this form. What they are now is shown above; "
        "your entries are kept below. Preview again to replace the rules by your entries."
    )
    at = times.at(stored.updated_at, now) if stored.updated_at else _("meanwhile")
    return times.filled(words, {"at": at, "operator": stored.updated_by or _("another process")})


def _sent(data: QueryDict) -> dict[str, str]:
    return {name: data.get(name, "") for name in ("daily_at", "monthly_requests", "note", "version")}


def _errors(form: Form) -> dict[str, list[str]]:
    return {"all" if name == NON_FIELD_ERRORS else name: error_texts(errors) for name, errors in form.errors.items()}


def _row(
    index: int,
    values: RuleValues,
    *,
    errors: Mapping[str, Sequence[str]] | None = None,
    has_focus: bool = False,
) -> RuleRow:
    return RuleRow(
        index=index,
        prefix=prefix_of(index),
        beginnings=choices(_BEGINNINGS, values.begins),
        start=values.start,
        cadences=choices({str(kind): label for kind, label in formatting.CADENCES.items()}, values.cadence),
        districts=values.districts,
        has_analytics=bool(values.analytics),
        errors=errors or {},
        has_focus=has_focus,
    )


def _details(target: CoverageTarget, status: TargetStatus, now: datetime) -> list[str]:
    found: list[str] = []
    if status.last_check_at:
        found.append(times.filled(_("Last check %(at)s."), {"at": times.at(status.last_check_at, now)}))
    if target.updated_at:
        found.append(
            times.filled(
                _("Changed %(at)s by %(operator)s."),
                {"at": times.at(target.updated_at, now), "operator": target.updated_by},
            )
        )
    return found


def _read_only() -> str:
    return _("To change what is kept complete, ask an administrator for “%(names)s”.") % {
        "names": "”, “".join(permission_labels([CHANGE_TARGET]))
    }
