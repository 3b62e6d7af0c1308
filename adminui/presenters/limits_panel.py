"""The rate limits: form fields and their effects in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.forms import LimitsForm, error_texts
from adminui.presenters import formatting, times
from backfill.domain import BOUNDS, LIMIT_NAMES, JobType, RateLimits, StoredLimits

_UNITS: dict[str, str | Promise] = {"min_delay_ms": gettext_lazy("ms"), "max_delay_ms": gettext_lazy("ms")}


@dataclass(frozen=True, slots=True)
class LimitField:
    name: str
    label: str
    range: str
    unit: str
    value: str
    lowest: int
    highest: int
    errors: Sequence[str]
    step: str


@dataclass(frozen=True, slots=True)
class LimitsPanel:
    fields: list[LimitField]
    changed: str
    effects: list[str]
    errors: Sequence[str]


def limits_panel(stored: StoredLimits, now: datetime, form: LimitsForm | None = None) -> LimitsPanel:
    """`form` is the submitted form, if it is invalid."""
    current = stored.limits.to_dict()
    changed = _("Default values, never changed.")
    if stored.updated_at:
        changed = times.filled(
            _("Changed %(at)s by %(operator)s."),
            {"at": times.at(stored.updated_at, now), "operator": stored.updated_by},
        )
    return LimitsPanel(
        fields=[_limit_field(name, current[name], form) for name in LIMIT_NAMES],
        changed=changed,
        effects=[*_pace_texts(stored.limits), _backoff_text(stored.limits)],
        errors=error_texts(form.non_field_errors()) if form else (),
    )


def _pace_texts(limits: RateLimits) -> list[str]:
    """The pace that the limits allow, for each job type that sends requests to the dashboard."""
    requests_per_item = sorted({kind.description.requests_per_item for kind in JobType} - {0})
    return [
        _("Allows about %(pace)s; each item needs %(requests)s.")
        % {
            "pace": formatting.items_a_minute(60 / limits.interval.total_seconds() / requests),
            "requests": formatting.requests(requests),
        }
        for requests in requests_per_item
    ]


def _backoff_text(limits: RateLimits) -> str:
    """The waiting times after the first consecutive failures, and the longest one."""
    waits = [f"{limits.backoff(failures, jitter=1).total_seconds():g} s" for failures in (1, 2, 3, 1000)]
    if len(set(waits)) == 1:
        return _("After an error the service waits up to %(longest)s.") % {"longest": waits[0]}
    return _(
        "After an error the service waits up to %(first)s, then %(second)s, %(third)s and so on, at most %(longest)s."
    ) % dict(zip(("first", "second", "third", "longest"), waits, strict=True))


def _limit_field(name: str, current: float, form: LimitsForm | None) -> LimitField:
    low, high = BOUNDS[name]
    sent = form.data.get(name) if form else None
    return LimitField(
        name=name,
        label=str(LimitsForm.base_fields[name].label),
        range=_("%(low)s to %(high)s") % {"low": f"{low:,}", "high": f"{high:,}"},
        unit=str(_UNITS.get(name, "")),
        value=f"{current:g}" if sent is None else str(sent),
        lowest=low,
        highest=high,
        errors=error_texts(form.errors.get(name, ())) if form else (),
        step="any" if name == "backoff_multiplier" else "1",
    )
