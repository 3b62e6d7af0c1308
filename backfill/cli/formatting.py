"""Formats values as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from backfill.domain import (
    AuditAction,
    AuditEntry,
    Estimate,
    Job,
    JobConfig,
    LimiterReport,
    LimiterState,
    Progress,
    Status,
)

COMMAND = "manage.py backfill"


def instant(at: datetime | None) -> str:
    """Format a time in UTC with seconds; a dash for None."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "-"


def minute(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else "-"


def length(delta: timedelta) -> str:
    """Format the two largest units: `45 s`, `3 min 20 s`, `1 h 20 min`, `2 days 3 h`."""
    seconds = max(round(delta.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    units = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    first = next((n for n, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count or first == len(units) - 1)


def duration(job: Job, now: datetime) -> timedelta:
    """Return the time from the first start of a job to its end, or to now."""
    end = job.ended_at or now
    return end - (job.started_at or end)


def count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def reasons(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(skipped.items()))


def outcomes(progress: Progress) -> str:
    skipped = f"{progress.skipped_items:,} skipped"
    if progress.skipped_items:
        skipped += f" ({reasons(progress.skipped)})"
    return f"{progress.processed:,} processed, {skipped}, {progress.failed:,} failed"


def settled(progress: Progress) -> str:
    return f"{progress.settled_items:,} of {count(progress.total_items, 'item')}: {outcomes(progress)}"


def pace(progress: Progress) -> str:
    """Format the rate of a job and its remaining time."""
    rate, left = progress.items_per_minute, progress.left
    if left is None:
        return "remaining time unknown until the first items are done"
    pace = f"{rate:,.1f} items a minute, " if rate is not None else ""
    return f"{pace}about {estimate(left, 'left ')}"


def estimate(value: Estimate, suffix: str = "") -> str:
    """Format `3 min (2 min to 5 min)`; `suffix` follows the first value."""
    expected, low, high = (length(timedelta(seconds=seconds)) for seconds in (value.seconds, value.low, value.high))
    return f"{expected} {suffix}({low} to {high})"


def status_message(job: Job) -> str:
    """Return a sentence that explains what the job does now."""
    if job.status is Status.PAUSED:
        return f"It is paused. Resume it with: {COMMAND} resume {job.id}"
    kind = job.job_type.description
    sends_nothing = not kind.calls_dashboard and job.status is Status.RUNNING
    if sends_nothing and job.progress.limiter.state is not LimiterState.BACKING_OFF:
        return f"{kind.gerund} {job.progress.current_item or kind.unit}. No requests are sent to the dashboard."
    reason = job.progress.limiter.reason
    until = job.progress.limiter.waiting_until
    is_named = until is None or f"{until:%H:%M:%S}" in reason
    return printable(reason if is_named else f"{reason} (until {instant(until)} UTC)")


def changes(entry: AuditEntry) -> str:
    """Format changes as `status running to cancelling`; for a new job only its range. A note comes last."""
    pairs = dict(entry.changes)
    note = pairs.pop("note", None)
    parts = [f"{name} {before} to {after}" for name, (before, after) in pairs.items()]
    if entry.action in {AuditAction.STARTED, AuditAction.RETRIED}:
        first, last = (pairs.get(name, (None, None))[1] for name in ("startDate", "endDate"))
        parts = [f"{first or 'the first'} to {last or 'the newest'}"]
    if entry.action is AuditAction.IMPORTED:
        parts = [f"{name} {value}" for name, (_, value) in pairs.items()]
    if entry.action in {AuditAction.CHECKED, AuditAction.POSTPONED_CHECK}:
        parts = [f"{name} {value}" for name, (_, value) in pairs.items() if value]
    return printable(", ".join([*parts, f"note: {note[1]}"] if note else parts))


def time_lost(limiter: LimiterReport) -> str:
    """Format the time lost by cause; empty if none was lost."""
    parts = [f"{length(timedelta(seconds=seconds))} {by}" for by, seconds in sorted(limiter.waited.items()) if seconds]
    return f"time lost to errors: {', '.join(parts)}" if parts else ""


def dates(config: JobConfig) -> str:
    if config.start_date is None and config.end_date is None:
        return "all dates"
    if config.start_date == config.end_date:
        return str(config.start_date)
    return f"{config.start_date or 'the first'} to {config.end_date or 'the newest'}"


def districts(config: JobConfig) -> str:
    return " ".join(config.target_districts) or "all districts"


def printable(text: str) -> str:
    """Replace line breaks and control characters, which could control the terminal, by spaces."""
    return "".join(char if char.isprintable() else " " for char in text)
