"""The form that starts a job, its initial values and its presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from adminui.forms import StartForm, error_texts
from adminui.permissions import Permissions
from adminui.presenters import formatting, times
from adminui.presenters.choices import Choice, choices
from adminui.presenters.limits_panel import LimitsPanel
from backfill.domain import (
    FIRST_DAY,
    LIMIT_NAMES,
    STANDARD_LEASES,
    Cadence,
    Job,
    JobRequest,
    JobType,
    LeasePolicy,
    ProgramYear,
    Status,
)

_YEAR_ENDS_SINCE = date(2012, 7, 1)


@dataclass(frozen=True, slots=True)
class TypeChoice:
    value: str
    label: str
    description: str
    dates_help: str
    skip_label: str
    skip_help: str
    start_date: str
    """The dates with which the form of this type begins."""
    end_date: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    label: str
    start: str
    end: str
    cadence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPanel:
    types: list[TypeChoice]
    cadences: list[Choice]
    presets: list[Preset]
    start_date: str
    end_date: str
    first_day: str
    last_day: str
    districts: list[Choice]
    districts_text: str
    chosen_count: int
    skip_existing: bool
    errors: Mapping[str, Sequence[str]]
    form_errors: Sequence[str]
    """Errors that belong to no field."""
    is_open: bool
    copied: str
    """The id of the job whose settings are shown."""
    note: str
    blocked: str
    limits: LimitsPanel


def start_panel(
    form: StartForm | None,
    initial: Mapping[str, Any],
    *,
    handlers: Sequence[JobType],
    known: Sequence[str],
    limits: LimitsPanel,
    active: Job | None,
    permissions: Permissions,
    now: datetime,
    policy: LeasePolicy = STANDARD_LEASES,
    copied: str = "",
) -> StartPanel:
    """`form` is the submitted form, if it is invalid. `known` are the districts of the stored calendars.

    `copied` is the id of the job from which `initial` is.
    """
    values = _values(form, initial, now.date())
    job_type = JobType(values["job_type"]) if values["job_type"] in handlers else handlers[0]
    chosen = set(values["districts"])
    yesterday, default = now.date() - timedelta(days=1), presets(now.date())[0]
    return StartPanel(
        types=[
            TypeChoice(
                value=str(kind),
                label=formatting.job_type(kind),
                description=_(kind.description.summary),
                dates_help=_(kind.description.dates_help),
                skip_label=_(kind.description.skip_label),
                skip_help=_(kind.description.skip_help),
                start_date=default.start if kind.description.requires_dates else "",
                end_date=default.end if kind.description.requires_dates else "",
                is_chosen=kind is job_type,
            )
            for kind in handlers
        ],
        cadences=choices(formatting.CADENCES, values["cadence"]),
        presets=presets(now.date()),
        start_date=_iso(values["start_date"]),
        end_date=_iso(values["end_date"]),
        first_day=FIRST_DAY.isoformat(),
        last_day=yesterday.isoformat(),
        districts=[Choice(name, formatting.one_district(name), name in chosen) for name in known],
        districts_text=str(values["districts_text"]) or ", ".join(sorted(chosen.difference(known))),
        chosen_count=len(chosen),
        skip_existing=bool(values["skip_existing"]),
        errors={name: error_texts(errors) for name, errors in form.errors.items()} if form else {},
        form_errors=_form_errors(form) if form else (),
        is_open=active is None or bool(copied) or any(initial.values()),
        copied=copied,
        note=note(active, permissions),
        blocked=start_blocked(active, permissions, now, policy),
        limits=limits,
    )


def _form_errors(form: StartForm) -> list[str]:
    """Errors of no field, and of the limits, whose fields are in another form of the page."""
    return error_texts(
        [*form.non_field_errors(), *(error for name in LIMIT_NAMES for error in form.errors.get(name, ()))]
    )


def note(active: Job | None, permissions: Permissions) -> str:
    """The text in the header of the start form."""
    if not permissions.can_start:
        return _("View only")
    return _("One job runs at a time. Prepare and preview the next one here.") if active else ""


def start_blocked(
    active: Job | None, permissions: Permissions, now: datetime, policy: LeasePolicy = STANDARD_LEASES
) -> str:
    """Why no job can be started, or an empty string. A stale job does not block a new one."""
    if active is None or not permissions.can_start or active.is_stale(now, policy):
        return ""
    left = active.progress.left if active.status is Status.RUNNING else None
    if left is None:
        return _("Start is possible when the active job has ended. Preview works now.")
    expected_end = times.soon(now + timedelta(seconds=left.seconds), now)
    return times.filled(
        _("Start is possible when the running job has ended, around %(time)s. Preview works now."),
        {"time": expected_end},
    )


def retry_blocked(job: Job, active: Job | None, now: datetime, policy: LeasePolicy = STANDARD_LEASES) -> str:
    """Why the failed items of an ended job cannot be retried, or an empty string."""
    if active is None or active.id == job.id or active.is_stale(now, policy):
        return ""
    return _("A retry is possible when the active job has ended.")


def values_like(job: Job) -> Mapping[str, Any]:
    """Initial values of the form: the settings of a job."""
    request = JobRequest.like(job)
    return {
        "job_type": request.job_type,
        "start_date": request.start_date,
        "end_date": request.end_date,
        "cadence": request.cadence,
        "districts": request.target_districts,
        "skip_existing": request.skip_existing,
    }


def _values(form: StartForm | None, initial: Mapping[str, Any], today: date) -> Mapping[str, Any]:
    default = presets(today)[0]
    if form is None:
        has_dates = JobType(initial.get("job_type", JobType.DATA_COLLECTION)).description.requires_dates
        return {
            "job_type": "",
            "start_date": default.start if has_dates else "",
            "end_date": default.end if has_dates else "",
            "cadence": default.cadence if "start_date" not in initial else Cadence.MONTH_ENDS,
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
    """Common ranges, relative to today."""
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


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value or "")
