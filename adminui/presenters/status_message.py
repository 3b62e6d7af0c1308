"""The status message: what a job does or waits for, what happens next, and what the operator needs to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.presenters import formatting, times
from adminui.presenters.limiter_message import pace_message, waiting_message
from adminui.presenters.status import is_limiter_waiting
from backfill.domain import STANDARD_LEASES, AuditAction, AuditEntry, Job, LeasePolicy, LimiterState, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMessage:
    kind: str
    """Screen readers announce the message only if this changes."""
    icon: str
    tone: str
    lead: str
    rest: str
    until: datetime | None = None
    """When the wait ends."""


def status_message(
    job: Job, now: datetime, last_audit_entry: AuditEntry | None = None, policy: LeasePolicy = STANDARD_LEASES
) -> StatusMessage:
    """`last_audit_entry` names the operator who paused the job."""
    if job.is_stale(now, policy):
        return _stale(policy)
    if job.status is Status.PAUSED:
        return _paused(job, now, last_audit_entry)
    return _running(job, now) if job.status is Status.RUNNING else _MESSAGES[job.status](job, now)


def resumed_message(job: Job, now: datetime) -> StatusMessage | None:
    """The banner of a resumed job, shown until the job ends."""
    if job.resumed_at is None or job.started_at is None or not job.status.is_active:
        return None
    words = _("Resumed %(at)s, from the last stored item.")
    if job.resume_count > 1:
        words = _("Resumed %(count)s times, most recently %(at)s, from the last stored item.")
    lead = times.filled(words, {"count": job.resume_count, "at": times.at(job.resumed_at, now)})
    rest = times.filled(
        _("Originally started %(at)s. Stored items were kept and are not %(done)s again."),
        {"at": times.at(job.started_at, now), "done": _(job.job_type.description.participle)},
    )
    return StatusMessage(kind="resumed", icon="again", tone="info", lead=lead, rest=rest)


def _running(job: Job, now: datetime) -> StatusMessage:
    if not job.is_held(now):
        return _orphaned(job, now)
    if job.job_type.description.calls_dashboard:
        return _waiting(job) if is_limiter_waiting(job) else _fetching(job)
    return _waiting_to_compute(job) if is_limiter_waiting(job) else _computing(job)


def _pending(job: Job, _now: datetime) -> StatusMessage:
    lead = _("Waiting for a worker.")
    reason = job.progress.limiter.reason.removeprefix("Waiting for a worker; ")
    rest = f"{reason[:1].upper()}{formatting.sentence(reason)[1:]}"
    if job.started_at is not None:
        rest += " " + _("The job then continues from the last stored item.")
    return StatusMessage(kind="pending", icon="clock", tone="neutral", lead=lead, rest=rest)


def _orphaned(job: Job, now: datetime) -> StatusMessage:
    expired = job.lease.expires_at if job.lease else now
    return StatusMessage(
        kind="orphaned",
        icon="clock",
        tone="warn",
        lead=times.filled(_("Worker not heard from since %(time)s."), {"time": times.clock(expired)}),
        rest=_("The next worker continues automatically from the last stored item; no stored item is lost."),
    )


def _stale(policy: LeasePolicy) -> StatusMessage:
    lead = _("No progress for %(minutes)s minutes.") % {"minutes": int(policy.stale_after.total_seconds() // 60)}
    rest = _(
        "The worker seems to have stopped. The next worker continues from the last stored item. A new job can also be "
        "started; it replaces this one."
    )
    return StatusMessage(kind="stale", icon="warn", tone="warn", lead=lead, rest=rest)


def _waiting(job: Job) -> StatusMessage:
    limiter = job.progress.limiter
    tone, lead, rest = waiting_message(job)
    kind = f"waiting-{limiter.waits_for or limiter.state}"
    return StatusMessage(kind=kind, icon="clock", tone=tone, lead=lead, rest=rest, until=limiter.waiting_until)


def _waiting_to_compute(job: Job) -> StatusMessage:
    """The message of a job that waits for another system than the dashboard; `reason` names the necessary action."""
    return StatusMessage(
        kind="waiting-to-compute",
        icon="clock",
        tone="warn",
        lead=_(job.job_type.description.waiting),
        rest=_("%(reason)s The job then continues automatically. No item is lost.")
        % {"reason": formatting.sentence(job.progress.limiter.reason)},
    )


def _fetching(job: Job) -> StatusMessage:
    limiter = job.progress.limiter
    if limiter.state is not LimiterState.RUNNING:
        lead, rest = _("Working through the plan."), _("Stored items are skipped without a request.")
        return StatusMessage(kind="fetching", icon="play", tone="info", lead=lead, rest=rest)
    pace = pace_message(job)
    working = [name for name, district in job.progress.districts.items() if district.is_in_progress]
    places = _lowercase_first(formatting.where(working))
    if len(working) > 1:
        lead = _("Fetching %(number)s items at once,") % {"number": len(working)}
        rest = _("from %(places)s. %(pace)s") % {"places": places, "pace": pace}
    elif working:  # several items of one district
        lead, rest = _("Fetching from %(places)s.") % {"places": places}, pace
    else:
        lead, rest = _("Fetching the next items."), pace
    return StatusMessage(kind="fetching", icon="play", tone="info", lead=lead, rest=rest)


def _computing(job: Job) -> StatusMessage:
    item = job.progress.current_item
    description = job.job_type.description
    what = _lowercase_first(formatting.item(item)) if item else _(description.unit)
    lead = f"{_(description.gerund)} {what}."
    return StatusMessage(
        kind="computing", icon="play", tone="info", lead=lead, rest=_("No requests are sent to the dashboard.")
    )


def _stopping(job: Job, _now: datetime) -> StatusMessage:
    progress = job.progress
    left = progress.total_items - progress.settled_items
    if job.status is Status.CANCELLING:
        rest = _("Usually within 20 seconds. %(stored)s; %(left)s will be left undone.")
    else:
        rest = ngettext(
            "Usually within 20 seconds. %(stored)s; the other one is processed after the job is resumed.",
            "Usually within 20 seconds. %(stored)s; the other %(left)s are processed after the job is resumed.",
            left,
        )
    return StatusMessage(
        kind=str(job.status),
        icon="clock",
        tone="neutral",
        lead=_("Finishing the items in flight, then it stops."),
        rest=rest % {"stored": formatting.stored_items(progress.processed), "left": formatting.number(left)},
    )


def _paused(job: Job, now: datetime, last_audit_entry: AuditEntry | None) -> StatusMessage:
    left = job.progress.total_items - job.progress.settled_items
    nothing = _("Nothing is %(done)s until the job is resumed.") % {"done": _(job.job_type.description.participle)}
    goes_on = ngettext(
        "The job then continues with the one item that is left.",
        "The job then continues with the %(left)s items that are left.",
        left,
    )
    lead = _("Paused.")
    if last_audit_entry is not None and last_audit_entry.action is AuditAction.PAUSED:
        values = {"at": times.at(last_audit_entry.at, now), "operator": last_audit_entry.actor.operator}
        lead = times.filled(_("Paused %(at)s by %(operator)s."), values)
    rest = f"{nothing} {goes_on % {'left': formatting.number(left)}}"
    return StatusMessage(kind="paused", icon="pause", tone="neutral", lead=lead, rest=rest)


def _completed(job: Job, now: datetime) -> StatusMessage:
    progress, time = job.progress, times.at(job.ended_at or now, now)
    done = {"done": _(job.job_type.description.done)}
    if not progress.failed:
        lead = times.filled(_("Completed %(time)s."), {"time": time})
        return StatusMessage(
            kind="completed", icon="check", tone="ok", lead=lead, rest=_("Every item was %(done)s or skipped.") % done
        )
    if not job.still_failed:
        lead = times.filled(_("Completed %(time)s."), {"time": time})
        rest = _("%(items)s failed, and later jobs recovered all of them.") % {
            "items": formatting.items(progress.failed)
        }
        return StatusMessage(kind="completed-recovered", icon="check", tone="ok", lead=lead, rest=rest)
    lead = times.filled(
        _("Ended %(time)s with %(items)s not %(done)s."),
        {"time": time, "items": formatting.items(job.still_failed), **done},
    )
    rest = _("All other items are done.")
    retryable = sum(group.items for group in job.failures if group.is_retryable)
    if retryable:
        rest += " " + ngettext(
            "%(number)s can be retried: that is a new job of exactly that item, under the limits of the next job.",
            "%(number)s can be retried: that is a new job of exactly those items, under the limits of the next job.",
            retryable,
        ) % {"number": formatting.number(retryable)}
    if not_retryable := job.still_failed - retryable:
        rest += " " + _not_retryable_text(not_retryable, retryable)
    return StatusMessage(kind="completed-failed", icon="warn", tone="warn", lead=lead, rest=rest)


def _not_retryable_text(items: int, others: int) -> str:
    if not others:
        return _("A retry would fail the same way.")
    words = ngettext("The other one would fail the same way.", "The other %(number)s would fail the same way.", items)
    return words % {"number": formatting.number(items)}


def _failed(job: Job, now: datetime) -> StatusMessage:
    lead = times.filled(_("Failed %(time)s."), {"time": times.at(job.ended_at or now, now)})
    rest = formatting.sentence(job.error) or _("No item could be stored.")
    return StatusMessage(kind="failed", icon="cross", tone="bad", lead=lead, rest=rest)


def _cancelled(job: Job, now: datetime) -> StatusMessage:
    left = job.progress.total_items - job.progress.settled_items
    lead = times.filled(_("Cancelled %(time)s."), {"time": times.at(job.ended_at or now, now)})
    rest = ngettext(
        "Stored items are kept; %(items)s was left undone. Start the same range again to continue.",
        "Stored items are kept; %(items)s were left undone. Start the same range again to continue.",
        left,
    ) % {"items": formatting.items(left)}
    return StatusMessage(kind="cancelled", icon="stop", tone="neutral", lead=lead, rest=rest)


_MESSAGES: dict[Status, Callable[[Job, datetime], StatusMessage]] = {
    Status.PENDING: _pending,
    Status.PAUSING: _stopping,
    Status.CANCELLING: _stopping,
    Status.COMPLETED: _completed,
    Status.FAILED: _failed,
    Status.CANCELLED: _cancelled,
}


def _lowercase_first(text: str) -> str:
    return text[:1].lower() + text[1:]
