"""Status badges: label, icon and tone of the status of a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.presenters.formatting import number
from backfill.domain import Job, LeasePolicy, LimiterState, Status

_WAITING = frozenset({LimiterState.THROTTLED, LimiterState.BACKING_OFF})


@dataclass(frozen=True, slots=True)
class StatusBadge:
    icon: str
    """Symbol of icon_sprite.html: play, clock, pause, stop, check, warn, cross or ring."""
    tone: str
    """info, ok, warn, bad or neutral."""
    label: str


NO_JOB = "none"
IDLE = "idle"
"""No job is active, and the last one needs no attention."""


_BADGES: dict[Status, tuple[str, str, str | Promise]] = {
    Status.PENDING: ("clock", "neutral", gettext_lazy("Waiting for a worker")),
    Status.RUNNING: ("play", "info", gettext_lazy("Running")),
    Status.PAUSING: ("pause", "neutral", gettext_lazy("Pausing")),
    Status.PAUSED: ("pause", "neutral", gettext_lazy("Paused")),
    Status.CANCELLING: ("stop", "neutral", gettext_lazy("Cancelling")),
    Status.COMPLETED: ("check", "ok", gettext_lazy("Completed")),
    Status.FAILED: ("cross", "bad", gettext_lazy("Failed")),
}


def status_badge(job: Job, now: datetime) -> StatusBadge:
    match job.status:
        case Status.RUNNING if not job.is_held(now) or is_limiter_waiting(job):
            return StatusBadge("clock", "warn", _("Running, waiting"))
        case Status.RUNNING if job.resume_count:
            return StatusBadge("play", "info", _("Running, resumed"))
        case Status.COMPLETED if job.progress.failed and not job.still_failed:
            return StatusBadge("check", "ok", _("Completed, failures recovered"))
        case Status.COMPLETED if job.progress.failed:
            failed = {"number": number(job.still_failed)}
            return StatusBadge("warn", "warn", _("Completed, %(number)s failed") % failed)
        case Status.CANCELLED:
            return StatusBadge(
                "stop", "neutral", _("Cancelled at %(percent)s%%") % {"percent": int(job.progress.percent)}
            )
    icon, tone, label = _BADGES[job.status]
    return StatusBadge(icon, tone, str(label))


def history_badge(job: Job, now: datetime) -> StatusBadge:
    """The badge in the history, which includes the progress of a running or paused job."""
    badge = status_badge(job, now)
    percent = {"percent": int(job.progress.percent)}
    if job.status is Status.RUNNING and badge.icon == "play":
        return StatusBadge(badge.icon, badge.tone, _("Running, %(percent)s%%") % percent)
    if job.status is Status.PAUSED:
        return StatusBadge(badge.icon, badge.tone, _("Paused at %(percent)s%%") % percent)
    return badge


def is_limiter_waiting(job: Job) -> bool:
    return job.progress.limiter.state in _WAITING


def time_dependent_state(job: Job, now: datetime, policy: LeasePolicy) -> str:
    """State that changes without a write to the job, as part of the ETag."""
    reason = crc32(job.progress.limiter.reason.encode()) if job.status is Status.PENDING else 0
    retried = f"-{job.retried.version}" if job.retried else ""
    return f"{job.is_held(now):d}{job.is_stale(now, policy):d}{reason:x}{retried}"
