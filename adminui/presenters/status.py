"""The status of a job in words, with the shape and the tone that go with them."""

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
    """Of the sprite: play, clock, pause, stop, check, warn, cross, ring."""
    tone: str
    """info, ok, warn, bad or mute."""
    words: str


NO_JOB = "none"
IDLE = "idle"
"""Nothing runs, and of the last job nothing is left to do."""


_PLAIN: dict[Status, tuple[str, str, str | Promise]] = {
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
        case Status.COMPLETED if job.progress.failed:
            failed = {"number": number(job.progress.failed)}
            return StatusBadge("warn", "warn", _("Completed, %(number)s failed") % failed)
        case Status.CANCELLED:
            return StatusBadge(
                "stop", "neutral", _("Cancelled at %(percent)s%%") % {"percent": int(job.progress.percent)}
            )
    icon, tone, words = _PLAIN[job.status]
    return StatusBadge(icon, tone, str(words))


def history_badge(job: Job, now: datetime) -> StatusBadge:
    """In a list, where a running or paused job also says how far it is."""
    shown = status_badge(job, now)
    percent = {"percent": int(job.progress.percent)}
    if job.status is Status.RUNNING and shown.icon == "play":
        return StatusBadge(shown.icon, shown.tone, _("Running, %(percent)s%%") % percent)
    if job.status is Status.PAUSED:
        return StatusBadge(shown.icon, shown.tone, _("Paused at %(percent)s%%") % percent)
    return shown


def is_limiter_waiting(job: Job) -> bool:
    return job.progress.limiter.state in _WAITING


def time_dependent_state(job: Job, now: datetime, policy: LeasePolicy) -> str:
    """What of a job changes without a write of it, so that an ETag can tell."""
    reason = crc32(job.progress.limiter.reason.encode()) if job.status is Status.PENDING else 0
    return f"{job.is_held(now):d}{job.is_stale(now, policy):d}{reason:x}"
