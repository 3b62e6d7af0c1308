"""Details of a job: its current item, pace and expected end, or how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminui.presenters import formatting, times
from adminui.presenters.sparkline import allowed_items_per_minute
from backfill.domain import Job, LimiterState, Status, WaitReason

_STATES: dict[LimiterState, str | Promise] = {  # nothing is said of a job within its limits
    LimiterState.IDLE: gettext_lazy("idle"),
    LimiterState.THROTTLED: gettext_lazy("at the limit"),
    LimiterState.BACKING_OFF: gettext_lazy("backing off"),
}


@dataclass(frozen=True, slots=True)
class Detail:
    label: str
    value: str
    note: str = ""


def job_details(job: Job, now: datetime) -> list[Detail]:
    return _ended_details(job, job.ended_at, now) if job.ended_at else _active_details(job, now)


def _active_details(job: Job, now: datetime) -> list[Detail]:
    details = [_item(job), _pace(job), _expected_end(job, now), _requests(job)]
    return [fact for fact in details if fact is not None]


def _item(job: Job) -> Detail | None:
    progress = job.progress
    if progress.current_item:
        others = sum(district.is_in_progress for district in progress.districts.values()) - 1
        note = _("and %(number)s more in flight") % {"number": others} if others > 0 else ""
        return Detail(_("Current item"), formatting.item(progress.current_item), note)
    if progress.last_item:
        return Detail(_("Last item"), formatting.item(progress.last_item))
    return Detail(_("Current item"), _("None yet")) if job.status is Status.RUNNING else None


def _pace(job: Job) -> Detail | None:
    pace, may = job.progress.items_per_minute, allowed_items_per_minute(job)
    if pace is None and job.status is not Status.RUNNING:
        return None
    value = _("Known after two minutes") if pace is None else formatting.items_a_minute(pace)
    note = _("the limit allows about %(number)s") % {"number": formatting.number(round(may))} if may else ""
    return Detail(_("Pace"), value, _("before it was paused") if job.status is Status.PAUSED else note)


def _expected_end(job: Job, now: datetime) -> Detail | None:
    if job.status is Status.PAUSED:
        return Detail(_("Expected end"), _("Unknown while paused"), _("a paused job blocks new jobs"))
    if job.status is not Status.RUNNING:
        return None
    left = job.progress.left
    if left is None:
        return Detail(_("Expected end"), _("Known soon"))
    usual, low, high = (
        times.soon((now + timedelta(seconds=seconds)).replace(second=0), now)
        for seconds in (left.seconds, left.low, left.high)
    )
    return Detail(
        _("Expected end"),
        times.filled(_("Around %(time)s"), {"time": usual}),
        times.filled(_("between %(low)s and %(high)s"), {"low": low, "high": high}),
    )


def _requests(job: Job) -> Detail | None:
    """None for a job that sends no requests."""
    if allowed_items_per_minute(job) is None:
        return None
    limiter = job.progress.limiter
    if job.ended_at:
        return Detail(_("Requests"), _sent(job))
    limit, made = job.config.rate_limits.max_requests_per_minute, limiter.requests_this_minute
    words = _("%(number)s of %(limit)s this minute")
    if made > limit:
        words = _("%(number)s in the last minute, before the limit was lowered to %(limit)s")
    note = words % {"number": formatting.number(made), "limit": formatting.number(limit)}
    if limiter.state in _STATES:
        note = f"{note}; {_STATES[limiter.state]}"
    return Detail(_("Requests"), _sent(job), note)


def _ended_details(job: Job, ended: datetime, now: datetime) -> list[Detail]:
    began = times.filled(_("started %(at)s"), {"at": times.at(job.started_at, now)}) if job.started_at else ""
    details: list[Detail | None] = [Detail(_("Ended"), times.when(ended, now), began)]
    took = formatting.duration(job, now)
    if took is not None:
        details += [_time_lost(job), _average_pace(job, took)]
    return [fact for fact in [*details, _requests(job)] if fact is not None]


def _time_lost(job: Job) -> Detail:
    """All waits except those for the configured pace."""
    waited = sum(seconds for reason, seconds in job.progress.limiter.waited.items() if reason != WaitReason.PACE)
    text = (
        _("%(length)s in total") % {"length": formatting.length(timedelta(seconds=waited))}
        if waited >= 1
        else _("none")
    )
    return Detail(_("Time lost to errors"), text, _resumes(job))


def _average_pace(job: Job, took: timedelta) -> Detail | None:
    settled = job.progress.processed + job.progress.failed
    if not settled or took <= timedelta(seconds=30):
        return None
    pace = formatting.items_a_minute(settled / (took.total_seconds() / 60))
    return Detail(_("Average pace"), pace, _("without skipped items"))


def _sent(job: Job) -> str:
    return _("%(number)s sent") % {"number": formatting.number(job.progress.limiter.requests_made)}


def _resumes(job: Job) -> str:
    if not job.resume_count:
        return ""
    return ngettext("resumed once", "resumed %(number)s times", job.resume_count) % {"number": job.resume_count}
