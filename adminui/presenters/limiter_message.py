"""Messages about the rate limiter: why a collection job waits and what sets its pace."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext as _

from adminui.presenters import formatting, times
from backfill.domain import Job, LimiterReport, WaitReason


class LimiterMessage(NamedTuple):
    tone: str
    lead: str
    rest: str


def waiting_message(job: Job) -> LimiterMessage:
    limiter = job.progress.limiter
    time: dict[str, object] = {"time": times.clock(limiter.waiting_until)} if limiter.waiting_until else {}
    plain = times.filled(_("Waiting until %(time)s."), time) if time else _(job.job_type.description.waiting)
    if limiter.waits_for in (
        WaitReason.DOWN,
        WaitReason.LOCAL,
        WaitReason.ROBOTS,
    ):  # the reason includes what happens next
        return LimiterMessage("warn", plain, formatting.sentence(limiter.reason))
    if not time:
        return _limiter_message(limiter, plain)
    match limiter.waits_for:
        case WaitReason.PACE:
            lead = times.filled(_("Waiting until %(time)s to keep to %(pace)s."), {**time, "pace": _limit(job)})
            return LimiterMessage("neutral", lead, _("The job continues automatically."))
        case WaitReason.SLOWED | WaitReason.CRAWL_DELAY:
            lead = times.filled(_("Waiting until %(time)s to keep to %(pace)s."), {**time, "pace": _pace(job)})
            is_crawling = limiter.waits_for is WaitReason.CRAWL_DELAY
            slowed = _("The dashboard's robots.txt requires this rate.") if is_crawling else _slowed(job)
            return LimiterMessage(
                "neutral", lead, _("%(slowed)s The job continues automatically.") % {"slowed": slowed}
            )
        case WaitReason.OUTSIDE_HOURS:
            lead = times.filled(_("Waiting until %(time)s, when the allowed hours begin."), time)
            return LimiterMessage(
                "neutral", lead, _("Requests are sent only within the allowed hours. The job continues automatically.")
            )
    return _limiter_message(limiter, plain)


def pace_message(job: Job) -> str:
    """What sets the pace of a collection job."""
    if job.progress.limiter.waits_for is WaitReason.RESPONSES:
        return formatting.sentence(job.progress.limiter.reason)
    if job.progress.limiter.waits_for is WaitReason.SLOWED:
        return _("The dashboard responds; the rate is %(pace)s. %(slowed)s") % {
            "pace": _pace(job),
            "slowed": _slowed(job),
        }
    if job.progress.limiter.waits_for is WaitReason.CRAWL_DELAY:
        return _("The dashboard responds; the rate is %(pace)s, as its robots.txt requires.") % {"pace": _pace(job)}
    return _("The dashboard responds normally; the rate is the limit of %(limit)s.") % {"limit": _limit(job)}


def _limiter_message(limiter: LimiterReport, lead: str) -> LimiterMessage:
    rest = _("%(reason)s The request is repeated automatically. No item is lost; no action is needed.")
    return LimiterMessage("warn", lead, rest % {"reason": formatting.sentence(limiter.reason)})


def _slowed(job: Job) -> str:
    words = _(
        "It asked for fewer requests than the limit of %(limit)s; the rate increases by a tenth of the limit "
        "each minute."
    )
    return words % {"limit": _limit(job)}


def _pace(job: Job) -> str:
    return formatting.requests_a_minute(job.progress.limiter.pace or 0)


def _limit(job: Job) -> str:
    return formatting.requests_a_minute(job.config.rate_limits.max_per_minute)
