"""The form from which a job is started, filled; the presets that fill it; and the limits beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.forms import LimitsForm, StartForm
from adminui.permissions import Rights
from adminui.presenters import wording
from backfill.domain import (
    BOUNDS,
    DISTRICT_REPORTS,
    FIRST_DAY,
    LIMIT_NAMES,
    Cadence,
    Job,
    JobType,
    ProgramYear,
    RateLimits,
    StoredLimits,
)

_SENTENCES: dict[JobType, str | Promise] = {
    JobType.DATA_COLLECTION: gettext_lazy(
        "Fetches the published figures of each date and district from the dashboard and stores them as snapshots."
    ),
    JobType.ANALYTICS_GENERATION: gettext_lazy(
        "Computes the analytics of snapshots that are already stored. Sends no requests to the dashboard."
    ),
}

_LIMITS: dict[str, tuple[str | Promise, str | Promise]] = {
    "max_requests_per_minute": (gettext_lazy("Requests a minute"), ""),
    "max_concurrent": (gettext_lazy("Requests at once"), ""),
    "min_delay_ms": (gettext_lazy("Shortest delay"), gettext_lazy("ms")),
    "max_delay_ms": (gettext_lazy("Longest delay"), gettext_lazy("ms")),
    "backoff_multiplier": (gettext_lazy("Backoff factor"), ""),
}
"""Label and unit."""

_YEAR_ENDS_SINCE = date(2012, 7, 1)


@dataclass(frozen=True, slots=True)
class TypeChoice:
    value: str
    label: str
    sentence: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    label: str
    start: str
    end: str
    cadence: str


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
class Limits:
    fields: list[LimitField]
    changed: str
    sentences: list[str]
    errors: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    types: list[TypeChoice]
    cadences: list[Option]
    presets: list[Preset]
    start_date: str
    end_date: str
    first_day: str
    last_day: str
    districts: list[Option]
    districts_text: str
    chosen: int
    skip_existing: bool
    errors: Mapping[str, Sequence[str]]
    form_errors: Sequence[str]
    """Of no field."""
    is_optional: bool
    """Whether the dates are."""
    is_open: bool
    note: str
    limits: Limits


def start(
    form: StartForm | None,
    initial: Mapping[str, Any],
    *,
    works: Sequence[JobType],
    known: Sequence[str],
    limits: Limits,
    active: Job | None,
    rights: Rights,
    now: datetime,
) -> Start:
    """`form`: where it was sent and is wrong. `known`: the districts of the calendar as far as it is stored."""
    values = _values(form, initial, now.date())
    job_type = JobType(values["job_type"]) if values["job_type"] in works else works[0]
    chosen = set(values["districts"])
    yesterday = now.date() - timedelta(days=1)
    return Start(
        types=[
            TypeChoice(str(kind), str(wording.JOB_TYPES[kind]), str(_SENTENCES[kind]), kind is job_type)
            for kind in works
        ],
        cadences=[Option(str(kind), str(label), kind == values["cadence"]) for kind, label in wording.CADENCES.items()],
        presets=presets(now.date()),
        start_date=_iso(values["start_date"]),
        end_date=_iso(values["end_date"]),
        first_day=FIRST_DAY.isoformat(),
        last_day=yesterday.isoformat(),
        districts=[Option(name, wording.one_district(name), name in chosen) for name in known],
        districts_text=str(values["districts_text"]) or ", ".join(sorted(chosen.difference(known))),
        chosen=len(chosen),
        skip_existing=bool(values["skip_existing"]),
        errors={name: _sentences(errors) for name, errors in form.errors.items()} if form else {},
        form_errors=_sentences(form.non_field_errors()) if form else (),
        is_optional=job_type is JobType.ANALYTICS_GENERATION,
        is_open=active is None,
        note=note(active, rights),
        limits=limits,
    )


def note(active: Job | None, rights: Rights) -> str:
    """In the bar of the start form, why it is closed."""
    if not rights.can_start:
        return _("You may look only")
    return _("One job runs at a time. Prepare and preview the next one here.") if active else ""


def _values(form: StartForm | None, initial: Mapping[str, Any], today: date) -> Mapping[str, Any]:
    usual = presets(today)[0]
    if form is None:
        return {
            "job_type": JobType.DATA_COLLECTION,
            "start_date": usual.start,
            "end_date": usual.end,
            "cadence": usual.cadence if "start_date" not in initial else Cadence.MONTH_ENDS,
            "districts": (),
            "districts_text": "",
            "skip_existing": True,
            **initial,
        }
    valid = getattr(form, "cleaned_data", {})
    return {
        "job_type": form.data.get("job_type"),
        "start_date": form.data.get("start_date", ""),
        "end_date": form.data.get("end_date", ""),
        "cadence": form.data.get("cadence"),
        "districts": valid.get("districts", form.data.getlist("district")),  # type: ignore[attr-defined]
        "districts_text": "" if "districts" in valid else form.data.get("districts", ""),
        "skip_existing": bool(form.data.get("skip_existing")),
    }


def presets(today: date) -> list[Preset]:
    """What is asked for most, as it is today."""
    yesterday = today - timedelta(days=1)
    closed = today.replace(day=1) - timedelta(days=1)
    year = ProgramYear.of(yesterday)
    return [
        _preset("last-close", _("Last month's close"), closed, closed, Cadence.MONTH_ENDS),
        _preset("this-year", _("This program year"), date(year.start, 7, 1), yesterday, Cadence.MONTH_ENDS),
        _preset("year-ends", _("Year-ends since 2012"), _YEAR_ENDS_SINCE, yesterday, Cadence.YEAR_ENDS),
        _preset("all-gaps", _("Fill all gaps"), FIRST_DAY, yesterday, Cadence.MONTH_ENDS),
    ]


def _preset(name: str, label: str, first: date, last: date, cadence: Cadence) -> Preset:
    return Preset(name, label, first.isoformat(), last.isoformat(), str(cadence))


def _sentences(errors: Iterable[object]) -> list[str]:
    return [str(error) for error in errors]


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value or "")


def limits_of(stored: StoredLimits, now: datetime, form: LimitsForm | None = None) -> Limits:
    """`form`: where it was sent and is wrong."""
    current = stored.limits.to_dict()
    interval = stored.limits.interval.total_seconds()
    allowed = 60 / interval / len(DISTRICT_REPORTS)
    changed = _("Never changed; these are the defaults.")
    if stored.updated_at:
        changed = _("Changed %(at)s by %(operator)s.") % {
            "at": wording.at(stored.updated_at, now),
            "operator": stored.updated_by,
        }
    return Limits(
        fields=[_limit_field(name, current[name], form) for name in LIMIT_NAMES],
        changed=changed,
        sentences=[
            _("Allows about %(number)s items a minute: an item takes %(requests)s requests.")
            % {"number": wording.number(round(allowed, 1)), "requests": len(DISTRICT_REPORTS)},
            _waits(stored.limits),
        ],
        errors=_sentences(form.non_field_errors()) if form else (),
    )


def _waits(limits: RateLimits) -> str:
    """How long the first failures in a row wait, and the longest of all."""
    waits = [f"{limits.backoff(failures, jitter=1).total_seconds():g} s" for failures in (1, 2, 3, 1000)]
    if len(set(waits)) == 1:
        return _("After an error it waits up to %(longest)s.") % {"longest": waits[0]}
    return _(
        "After an error it waits up to %(first)s, then %(second)s, %(third)s and so on, %(longest)s at most."
    ) % dict(zip(("first", "second", "third", "longest"), waits, strict=True))


def _limit_field(name: str, current: float, form: LimitsForm | None) -> LimitField:
    label, unit = _LIMITS[name]
    low, high = BOUNDS[name]
    sent = form.data.get(name) if form else None
    return LimitField(
        name=name,
        label=str(label),
        range=_("%(low)s to %(high)s") % {"low": f"{low:,}", "high": f"{high:,}"},
        unit=str(unit),
        value=f"{current:g}" if sent is None else str(sent),
        lowest=low,
        highest=high,
        errors=_sentences(form.errors.get(name, ())) if form else (),
        step="any" if name == "backoff_multiplier" else "1",
    )
