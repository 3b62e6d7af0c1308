"""The card of a job: of the one that runs, of the last one, and of any on its own page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminui.permissions import Rights
from adminui.presenters import wording
from adminui.presenters.bar import Bar, Part, bar, small_bar
from adminui.presenters.causes import cause_of
from adminui.presenters.curve import Curve, allowed, curve
from adminui.presenters.status import ALL_IS_WELL, NOTHING_RUNS, Pill, pill, situation
from adminui.presenters.why import Why, why
from backfill.domain import SUMMARY, DistrictProgress, FailureGroup, Job, LimiterState, Status

_VERSION = 1
"""Part of the ETag: counts the changes of what the card shows."""


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    words: str
    items: str
    where: str
    latest: str
    advice: str
    is_retryable: bool


@dataclass(frozen=True, slots=True)
class DistrictRow:
    id: str
    name: str
    bar: list[Part]
    counts: str
    icon: str
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Districts:
    summary: str
    notable: int
    """How many are in progress or have failures."""
    total: int
    shows_all: bool
    rows: list[DistrictRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the template of a status shows."""

    job: Job | None
    status: str
    """Which partial shows it."""
    is_active: bool
    etag: str
    pill: Pill
    title: str = ""
    short_id: str = ""
    about: list[str] = field(default_factory=list)
    percent: str = ""
    counts: str = ""
    left: str = ""
    left_range: str = ""
    bar: Bar | None = None
    why: Why | None = None
    resumed: Why | None = None
    facts: list[Fact] = field(default_factory=list)
    curve: Curve | None = None
    limits: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    failures_head: str = ""
    retryable: int = 0
    districts: Districts | None = None
    can_steer: bool = False
    is_pausable: bool = False
    is_cancellable: bool = False
    is_resumable: bool = False
    can_lower: bool = False
    last: Pill | None = None
    """How the last job ended, where that is all there is to say of it."""
    last_note: str = ""


def etag_of(job: Job | None, rights: Rights, now: datetime, *, shows_all: bool = False) -> str:
    """Changes whenever the card does."""
    known = f"{job.id}-{job.revision}-{situation(job, now)}" if job else "none"
    return f'"{known}-{rights.mark}{shows_all:d}-v{_VERSION}"'


def empty_card(rights: Rights, now: datetime) -> Card:
    """Where no job has ever run."""
    return Card(job=None, status=NOTHING_RUNS, is_active=False, etag=etag_of(None, rights, now), pill=_nothing())


def _nothing() -> Pill:
    return Pill("ring", "mute", _("Nothing is running"))


def line(job: Job, rights: Rights, now: datetime) -> Card:
    """One line where nothing runs; the card of the last job where something is left to do of it."""
    if job.status is Status.FAILED or job.progress.failed:
        return card(job, rights, now)
    took, ended = wording.duration(job, now), wording.at(job.ended_at or now, now)
    note = _("%(at)s, after %(length)s") % {"at": ended, "length": wording.length(took)} if took is not None else ended
    return Card(
        job=job,
        status=ALL_IS_WELL,
        is_active=False,
        etag=etag_of(job, rights, now),
        pill=_nothing(),
        title=wording.title(job),
        last=pill(job, now),
        last_note=note,
    )


def card(job: Job, rights: Rights, now: datetime, *, shows_all: bool = False) -> Card:
    """Of a job with its districts, where those are to be shown. `shows_all`: all of them, not the notable only."""
    progress, status = job.progress, job.status
    left = progress.left if status.is_active and status is not Status.PAUSED else None
    took = wording.duration(job, now)
    failures = [_failure(group, now) for group in progress.failures]
    return Card(
        job=job,
        status=str(status),
        is_active=status.is_active,
        etag=etag_of(job, rights, now, shows_all=shows_all),
        pill=pill(job, now),
        title=wording.title(job),
        short_id=wording.short_id(job),
        about=_about(job, now),
        percent=f"{int(progress.percent)}%",
        counts=_("%(settled)s of %(items)s")
        % {"settled": wording.number(progress.settled_items), "items": wording.items(progress.total_items)},
        left=wording.length(timedelta(seconds=left.seconds)) if left else "",
        left_range=_("%(low)s to %(high)s")
        % {
            "low": wording.length(timedelta(seconds=left.low)),
            "high": wording.length(timedelta(seconds=left.high)),
        }
        if left
        else (_("took %(length)s") % {"length": wording.length(took)} if job.ended_at and took is not None else ""),
        bar=bar(job),
        why=why(job, now),
        resumed=_resumed(job, now),
        facts=_facts(job, now),
        curve=curve(job),
        limits=wording.limits(job.config.rate_limits),
        failures=failures,
        failures_head=_failures_head(job),
        retryable=sum(group.items for group in progress.failures if group.is_retryable),
        districts=_districts(job, shows_all=shows_all),
        can_steer=rights.can_steer,
        is_pausable=status in {Status.PENDING, Status.RUNNING},
        is_cancellable=status.is_active and status is not Status.CANCELLING,
        is_resumable=status in {Status.PAUSED, Status.PAUSING},
        can_lower=status.is_active and status is not Status.CANCELLING,
    )


def _about(job: Job, now: datetime) -> list[str]:
    config = job.config
    names = config.target_districts or tuple(name for name in job.progress.districts if name != SUMMARY)
    lines = []
    if config.target_districts:
        lines.append(wording.where(names))
    elif names:
        count = len(names)
        lines.append(ngettext("%(number)s district", "All %(number)s districts", count) % {"number": count})
    if config.start_date != config.end_date or config.start_date is None:
        lines.append(str(wording.CADENCES[config.cadence]))
    if job.started_at:
        begun = _("Started %(at)s by %(operator)s")
        lines.append(begun % {"at": wording.at(job.started_at, now), "operator": job.created_by})
    else:
        asked = _("Asked for %(at)s by %(operator)s")
        lines.append(asked % {"at": wording.at(job.created_at, now), "operator": job.created_by})
    return lines


def _resumed(job: Job, now: datetime) -> Why | None:
    """The banner of a job that was taken up again; it stays until the job ends."""
    if job.resumed_at is None or job.started_at is None or not job.status.is_active:
        return None
    lead = _("Resumed %(at)s, from the last stored item.") % {"at": wording.at(job.resumed_at, now)}
    if job.resume_count > 1:
        lead = _("Resumed for the %(count)s. time %(at)s, from the last stored item.") % {
            "count": job.resume_count,
            "at": wording.at(job.resumed_at, now),
        }
    rest = _("Originally started %(at)s. What was stored by then was kept and is not fetched again.") % {
        "at": wording.at(job.started_at, now)
    }
    return Why(kind="resumed", icon="again", tone="info", lead=lead, rest=rest)


def _facts(job: Job, now: datetime) -> list[Fact]:
    return _facts_of_ended(job, now) if job.ended_at else _facts_of_active(job, now)


def _facts_of_active(job: Job, now: datetime) -> list[Fact]:
    progress, limiter = job.progress, job.progress.limiter
    facts = []
    working = sum(district.is_in_progress for district in progress.districts.values())
    if progress.current_item:
        more = _("and %(number)s more in flight")
        note = more % {"number": working - 1} if working > 1 else ""
        facts.append(Fact(_("Current item"), wording.item(progress.current_item), note))
    elif progress.last_item:
        facts.append(Fact(_("Last item"), wording.item(progress.last_item)))
    pace, may = progress.items_per_minute, allowed(job)
    may_note = _("the limit allows about %(number)s") % {"number": wording.number(round(may))} if may else ""
    if pace is not None:
        value = _("%(number)s items a minute") % {"number": wording.number(round(pace, 1))}
        facts.append(Fact(_("Pace"), value, may_note))
    else:
        facts.append(Fact(_("Pace"), _("Known after a minute"), may_note))
    left = progress.left if job.status is Status.RUNNING else None
    if left:
        low, high = now + timedelta(seconds=left.low), now + timedelta(seconds=left.high)
        value = _("Around %(time)s") % {"time": _end(now + timedelta(seconds=left.seconds), now)}
        note = _("between %(low)s and %(high)s") % {"low": _end(low, now), "high": _end(high, now)}
        facts.append(Fact(_("Expected end"), value, note))
    states = {
        LimiterState.IDLE: _("none being sent"),
        LimiterState.RUNNING: _("within the limit"),
        LimiterState.THROTTLED: _("waiting for the limit"),
        LimiterState.BACKING_OFF: _("backing off"),
    }
    note = _("%(number)s of %(limit)s in this minute, %(state)s") % {
        "number": limiter.requests_this_minute,
        "limit": wording.number(job.config.rate_limits.max_requests_per_minute),
        "state": states[limiter.state],
    }
    if may is not None:
        facts.append(
            Fact(_("Requests"), _("%(number)s sent") % {"number": wording.number(limiter.requests_made)}, note)
        )
    return facts


def _facts_of_ended(job: Job, now: datetime) -> list[Fact]:
    ended = job.ended_at or now
    took = wording.duration(job, now)
    began = _("started %(at)s") % {"at": wording.at(job.started_at, now)} if job.started_at else ""
    facts = [Fact(_("Ended"), wording.when(ended, now), began)]
    if took is not None:
        facts.append(Fact(_("Took"), wording.length(took), _resumes(job)))
    settled = job.progress.processed + job.progress.failed
    if took and settled and took > timedelta(seconds=30):
        pace = _("%(number)s items a minute") % {
            "number": wording.number(round(settled / (took.total_seconds() / 60), 1))
        }
        facts.append(Fact(_("Average pace"), pace, _("skipped items not counted")))
    made = job.progress.limiter.requests_made
    if allowed(job) is not None:
        facts.append(Fact(_("Requests"), _("%(number)s sent") % {"number": wording.number(made)}))
    return facts


def _resumes(job: Job) -> str:
    if not job.resume_count:
        return ""
    return ngettext("resumed once", "resumed %(number)s times", job.resume_count) % {"number": job.resume_count}


def _end(at: datetime, now: datetime) -> str:
    """A clock time today, else with its date."""
    return wording.minute(at) if at.date() == now.date() else wording.when(at, now)


def _failure(group: FailureGroup, now: datetime) -> Failure:
    cause = cause_of(group.code, is_retryable=group.is_retryable)
    return Failure(
        code=group.code,
        words=str(cause.words),
        items=wording.number(group.items),
        where=wording.where(group.districts),
        latest=wording.minute(group.latest_at)
        if group.latest_at.date() == now.date()
        else wording.when(group.latest_at, now),
        advice=str(cause.advice),
        is_retryable=group.is_retryable,
    )


def _failures_head(job: Job) -> str:
    count = job.progress.failed
    return ngettext("%(number)s failed item, by cause", "%(number)s failed items, by cause", count) % {
        "number": wording.number(count)
    }


def _districts(job: Job, *, shows_all: bool) -> Districts | None:
    districts = job.progress.districts
    if not districts:
        return None
    notable = {name: d for name, d in districts.items() if d.is_in_progress or d.failed}
    done = sum(d.status in {"completed", "skipped", "failed"} for d in districts.values())
    begun = sum(d.status == "processing" for d in districts.values())
    failing = sum(bool(d.failed) for d in districts.values())
    counts = [
        _("%(number)s done") % {"number": done},
        _("%(number)s in progress") % {"number": begun} if job.status.is_active else "",
        _("%(number)s to do") % {"number": len(districts) - done - begun} if job.status.is_active else "",
    ]
    summary = ", ".join(text for text in counts if text)
    if failing:
        with_failures = ngettext("%(number)s has failures", "%(number)s have failures", failing)
        summary = f"{summary}; {with_failures % {'number': failing}}"
    shown = districts if shows_all else notable
    return Districts(
        summary=summary,
        notable=len(notable),
        total=len(districts),
        shows_all=shows_all,
        rows=[_district_row(name, district) for name, district in shown.items()],
    )


def _district_row(name: str, district: DistrictProgress) -> DistrictRow:
    settled = district.processed + district.failed + district.skipped
    if district.failed:
        icon, tone = "warn", "bad"
        words = _("%(number)s failed") % {"number": wording.number(district.failed)}
    elif district.is_in_progress:
        icon, tone, words = "play", "info", _("Working")
    elif settled == district.total:
        icon, tone, words = "check", "ok", _("Done")
    else:
        icon, tone, words = "ring", "mute", _("Begun") if settled else _("To do")
    return DistrictRow(
        id=name,
        name=_("Summary") if name == SUMMARY else wording.one_district(name),
        bar=small_bar(district.total, district.processed, district.skipped, district.failed),
        counts=_("%(settled)s of %(total)s")
        % {"settled": wording.number(settled), "total": wording.number(district.total)},
        icon=icon,
        tone=tone,
        words=words,
    )
