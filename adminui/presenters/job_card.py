"""The card of a job, on the overview and on the page of the job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.permissions import Permissions
from adminui.presenters import formatting, times
from adminui.presenters.districts import Districts, districts
from adminui.presenters.failures import Failures, failures
from adminui.presenters.job_details import Detail, job_details
from adminui.presenters.progress_bar import ProgressBar, progress_bar
from adminui.presenters.sparkline import Sparkline, sparkline
from adminui.presenters.status import IDLE, NO_JOB, StatusBadge, status_badge, time_dependent_state
from adminui.presenters.status_message import StatusMessage, resumed_message, status_message
from backfill.domain import STANDARD_LEASES, SUMMARY, AuditEntry, Job, LeasePolicy, Status

_VERSION = 4
"""Part of the ETag. Increase it if the card shows something else for the same job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCard:
    """Values of the templates in `status/`."""

    job: Job | None
    status: str
    """Name of the template in `status/`."""
    is_active: bool
    etag: str
    badge: StatusBadge
    is_held: bool = False
    """Whether a hold lasts so long that it is reported."""
    heading: str = ""
    """Heading of the card on the overview."""
    title: str = ""
    short_id: str = ""
    summary: list[str] = field(default_factory=list)
    percent: str = ""
    counts: str = ""
    time_left: str = ""
    time_left_range: str = ""
    progress_bar: ProgressBar | None = None
    status_message: StatusMessage | None = None
    resumed: StatusMessage | None = None
    details: list[Detail] = field(default_factory=list)
    sparkline: Sparkline | None = None
    limits: list[str] = field(default_factory=list)
    left_of_retried_job: str = ""
    """What is still failed in the job that this job retries, apart from the items of an active retry."""
    notes: list[Detail] = field(default_factory=list)
    """Newest first."""
    failures: Failures | None = None
    districts: Districts | None = None
    can_start: bool = False
    can_change: bool = False
    is_pausable: bool = False
    is_cancellable: bool = False
    is_resumable: bool = False
    can_end_hold: bool = False
    can_lower: bool = False
    last_job: StatusBadge | None = None
    """Status of the last job, if no job is active and the last one needs no attention."""
    last_job_note: str = ""


def etag_of(
    job: Job | None,
    permissions: Permissions,
    now: datetime,
    *,
    shows_all: bool = False,
    policy: LeasePolicy = STANDARD_LEASES,
) -> str:
    """The ETag of the card; it changes with everything that the card shows."""
    known = f"{job.id}-{job.revision}-{time_dependent_state(job, now, policy)}" if job else "none"
    return f'"{known}-{permissions.etag_part}{shows_all:d}-v{_VERSION}"'


def no_job_card(permissions: Permissions, now: datetime) -> JobCard:
    """The card if no job has ever run."""
    etag = etag_of(None, permissions, now)
    return JobCard(job=None, status=NO_JOB, is_active=False, etag=etag, badge=_idle_badge(), heading=_("Now"))


def _idle_badge() -> StatusBadge:
    return StatusBadge("ring", "neutral", _("Nothing is running"))


def needs_no_attention(job: Job) -> bool:
    """Whether the job ended without items that are still failed."""
    return not (job.status.is_active or job.status is Status.FAILED or job.still_failed)


def last_job_card(
    job: Job,
    permissions: Permissions,
    now: datetime,
    *,
    shows_all: bool = False,
    left_of_retried_job: int = 0,
    policy: LeasePolicy = STANDARD_LEASES,
) -> JobCard:
    """A single line, or the full card if the last job needs attention."""
    if not needs_no_attention(job):
        title = _("Last job: %(title)s") % {"title": formatting.title(job)}
        card = job_card(
            job, permissions, now, shows_all=shows_all, left_of_retried_job=left_of_retried_job, policy=policy
        )
        return replace(card, heading=_("Now: nothing is running"), title=title)
    took, ended = formatting.duration(job, now), times.at(job.ended_at or now, now)
    note = (
        times.filled(_("%(at)s, after %(length)s"), {"at": ended, "length": formatting.length(took)})
        if took is not None
        else ended
    )
    return JobCard(
        job=job,
        status=IDLE,
        is_active=False,
        etag=etag_of(job, permissions, now, shows_all=shows_all, policy=policy),
        badge=_idle_badge(),
        heading=_("Now"),
        title=formatting.title(job),
        last_job=status_badge(job, now),
        last_job_note=note,
        left_of_retried_job=left_text(job, left_of_retried_job),
        can_start=permissions.can_start,
    )


def job_card(
    job: Job,
    permissions: Permissions,
    now: datetime,
    *,
    shows_all: bool = False,
    last_audit_entry: AuditEntry | None = None,
    left_of_retried_job: int = 0,
    policy: LeasePolicy = STANDARD_LEASES,
) -> JobCard:
    """`job` must be loaded with its districts. `shows_all` lists all of them instead of only the notable ones.

    `left_of_retried_job` is the number of failed items that remain in the job that this one retries.
    """
    progress, status = job.progress, job.status
    time_left, time_left_range = _time_left(job, now)
    return JobCard(
        job=job,
        status=str(status),
        is_active=status.is_active,
        etag=etag_of(job, permissions, now, shows_all=shows_all, policy=policy),
        badge=status_badge(job, now),
        is_held=status.is_active and job.webhook_events.held is not None,
        heading=_("Now"),
        title=formatting.title(job),
        short_id=formatting.short_id(job),
        summary=_summary(job, now),
        percent=f"{int(progress.percent)}%",
        counts=_("%(settled)s of %(items)s")
        % {"settled": formatting.number(progress.settled_items), "items": formatting.items(progress.total_items)},
        time_left=time_left,
        time_left_range=time_left_range,
        progress_bar=progress_bar(job),
        status_message=status_message(job, now, last_audit_entry, policy),
        resumed=resumed_message(job, now),
        details=job_details(job, now),
        sparkline=sparkline(job),
        limits=formatting.limits(job.config.rate_limits),
        left_of_retried_job=left_text(job, left_of_retried_job),
        notes=notes(job, now),
        failures=failures(job, now),
        districts=districts(job, shows_all=shows_all),
        can_start=permissions.can_start,
        can_change=permissions.can_change,
        is_pausable=status in {Status.PENDING, Status.RUNNING},
        is_cancellable=status.is_active and status is not Status.CANCELLING,
        is_resumable=status in {Status.PAUSED, Status.PAUSING},
        can_end_hold=job.can_end_hold,
        can_lower=status.is_active and status is not Status.CANCELLING,
    )


def left_text(job: Job, left: int) -> str:
    """What is still failed in the job that `job` retries; empty if nothing is."""
    if not left:
        return ""
    text = (
        ngettext(
            "%(number)s failed item of the first job is not part of this retry.",
            "%(number)s failed items of the first job are not part of this retry.",
            left,
        )
        if job.status.is_active
        else ngettext(
            "%(number)s item of the first job is still failed.",
            "%(number)s items of the first job are still failed.",
            left,
        )
    )
    return text % {"number": formatting.number(left)}


def notes(job: Job, now: datetime) -> list[Detail]:
    """Newest first."""
    return [
        Detail(
            _("Note"), note.text, times.filled("%(by)s, %(at)s", {"by": note.operator, "at": times.when(note.at, now)})
        )
        for note in reversed(job.notes)
    ]


def _summary(job: Job, now: datetime) -> list[str]:
    config = job.config
    names = config.target_districts or tuple(name for name in job.progress.districts if name != SUMMARY)
    lines = []
    if config.target_districts:
        lines.append(formatting.where(names))
    elif names:
        count = len(names)
        lines.append(ngettext("%(number)s district", "All %(number)s districts", count) % {"number": count})
    if config.start_date != config.end_date or config.start_date is None:
        lines.append(str(formatting.CADENCES[config.cadence]))
    if job.started_at:
        started = _("Started %(at)s by %(operator)s")
        lines.append(times.filled(started, {"at": times.at(job.started_at, now), "operator": job.created_by}))
    else:
        requested = _("Requested %(at)s by %(operator)s")
        lines.append(times.filled(requested, {"at": times.at(job.created_at, now), "operator": job.created_by}))
    return lines


def _time_left(job: Job, now: datetime) -> tuple[str, str]:
    """Time left and its range. A job that is stopping or has ended has no time left, only a text."""
    if job.status in {Status.CANCELLING, Status.PAUSING}:
        return "", _("ends within seconds") if job.status is Status.CANCELLING else _("pauses within seconds")
    left = job.progress.left if job.status.is_active and job.status is not Status.PAUSED else None
    if left is not None:
        usual, low, high = (formatting.length(timedelta(seconds=s)) for s in (left.seconds, left.low, left.high))
        return usual, _("%(low)s to %(high)s") % {"low": low, "high": high}
    took = formatting.duration(job, now) if job.ended_at else None
    return "", _("took %(length)s") % {"length": formatting.length(took)} if took is not None else ""
