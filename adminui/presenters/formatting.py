"""Format numbers, dates, durations and districts; times.py formats times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from backfill.domain import SUMMARY, Cadence, Job, JobConfig, JobType, RateLimits

JOB_TYPES: dict[JobType, str | Promise] = {kind: gettext_lazy(kind.description.title) for kind in JobType}
CADENCES: dict[Cadence, str | Promise] = {
    Cadence.DAILY: gettext_lazy("Every day"),
    Cadence.MONTH_ENDS: gettext_lazy("Month-ends"),
    Cadence.YEAR_ENDS: gettext_lazy("Year-ends"),
}
SKIPS: dict[str, str | Promise] = {
    "stored": gettext_lazy("already stored"),
    "unchanged": gettext_lazy("unchanged"),
    "not-published": gettext_lazy("not published"),
}


def job_type(value: JobType) -> str:
    return str(JOB_TYPES[value])


def number(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) and value != int(value) else f"{int(value):,}"


def items(count: int) -> str:
    return ngettext("%(number)s item", "%(number)s items", count) % {"number": number(count)}


def requests(count: int) -> str:
    return ngettext("%(number)s request", "%(number)s requests", count) % {"number": number(count)}


def items_a_minute(pace: float) -> str:
    pace = round(pace, 1)
    return ngettext("%(number)s item a minute", "%(number)s items a minute", _plural_count(pace)) % {
        "number": number(pace)
    }


def requests_a_minute(pace: float) -> str:
    pace = round(pace, 1)
    words = ngettext("%(number)s request a minute", "%(number)s requests a minute", _plural_count(pace))
    return words % {"number": number(pace)}


def _plural_count(value: float) -> int:
    """Select the plural form: 0.6 items, 1 item, 1.4 items."""
    return 1 if value == 1 else 2


def stored_items(stored: int) -> str:
    """The stored items of a job that stops early."""
    if not stored:
        return _("No items are stored so far")
    words = ngettext("The %(number)s item stored so far is kept", "The %(number)s items stored so far are kept", stored)
    return words % {"number": number(stored)}


# Times.


def day(value: date) -> str:
    """30 Jun 2013."""
    return date_format(value, "j M Y")


def length(of: timedelta) -> str:
    """The two largest units: 48 s, 42 min 10 s, 3 h 29 min, 2 days 3 h."""
    seconds = max(round(of.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    units = [
        (days, ngettext("day", "days", days)),
        (hours, _("h")),
        (minutes, _("min")),
        (seconds % 60, _("s")),
    ]
    first = next((n for n, (count, _name) in enumerate(units) if count), len(units) - 1)
    shown = [f"{count} {name}" for count, name in units[first : first + 2] if count]
    return " ".join(shown) or f"0 {units[-1][1]}"


def duration(job: Job, now: datetime) -> timedelta | None:
    """From the first start to the end or to now. None if the job never started."""
    return (job.ended_at or now) - job.started_at if job.started_at else None


# Jobs.


def span(first: date | None, last: date | None) -> str:
    if first is None and last is None:
        return _("All snapshots")
    if first == last and first is not None:
        return day(first)
    if first is None and last is not None:
        return _("Up to %(day)s") % {"day": day(last)}
    if last is None and first is not None:
        return _("From %(day)s") % {"day": day(first)}
    return _("%(first)s to %(last)s") % {"first": day(first or date.min), "last": day(last or date.max)}


def dates(config: JobConfig) -> str:
    return span(config.start_date, config.end_date)


def title(job: Job) -> str:
    range_of = dates(job.config)
    return f"{job_type(job.job_type)}, {range_of[:1].lower()}{range_of[1:]}"


def short_id(job: Job) -> str:
    return str(job.id)[:8]


def one_district(name: str) -> str:
    """Without leading zeros: 1, not 01."""
    return _("the summary") if name == SUMMARY else name.lstrip("0") or name


def districts(names: Sequence[str]) -> str:
    """20 to 34, 60 and F: consecutive districts form a range."""
    return listed(_ranges(names))


def where(names: Sequence[str]) -> str:
    """District 38; Districts 24 and 57; Districts 1 to 120 and the summary."""
    plain = [name for name in names if name != SUMMARY]
    if not plain:
        return _("The summary of all districts")
    text = ngettext("District %(names)s", "Districts %(names)s", len(plain)) % {"names": districts(plain)}
    return _("%(districts)s and the summary") % {"districts": text} if SUMMARY in names else text


def item(key: str) -> str:
    """District 60, 30 Jun 2013."""
    date_of, _slash, district = key.partition("/")
    shown = day(date.fromisoformat(date_of))
    if district == SUMMARY:
        return _("Summary, %(day)s") % {"day": shown}
    return _("District %(district)s, %(day)s") % {"district": one_district(district), "day": shown}


def sentence(text: str) -> str:
    """The text with a full stop at its end."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return _("%(names)s and %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}


def _ranges(names: Iterable[str]) -> list[str]:
    runs: list[list[str]] = []
    for name in names:
        is_next = runs and name.isdigit() and runs[-1][-1].isdigit() and int(name) == int(runs[-1][-1]) + 1
        if is_next:
            runs[-1].append(name)
        else:
            runs.append([name])
    shown = []
    for run in runs:
        if len(run) > 2:
            ends = {"first": one_district(run[0]), "last": one_district(run[-1])}
            shown.append(_("%(first)s to %(last)s") % ends)
        else:
            shown += [one_district(name) for name in run]
    return shown


def reasons(skipped: dict[str, int]) -> str:
    """Counts by reason: 384 already stored, 96 not published."""
    return ", ".join(f"{number(count)} {SKIPS.get(reason, reason)}" for reason, count in sorted(skipped.items()))


def limits(of: RateLimits) -> list[str]:
    """60 requests a minute; 3 at once; 0.5 s to 30 s between requests."""
    low, high = (f"{ms / 1000:g}" for ms in (of.min_delay_ms, of.max_delay_ms))
    return [
        requests_a_minute(of.max_requests_per_minute),
        _("%(number)s at once") % {"number": of.max_concurrent},
        _("%(low)s s to %(high)s s between requests") % {"low": low, "high": high},
    ]
