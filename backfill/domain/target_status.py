"""The status of the coverage target in values and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from backfill.domain.allowed_hours import AllowedHours
from backfill.domain.coverage_target import CoverageTarget
from backfill.domain.daily_schedule import DailySchedule
from backfill.domain.keeper_state import Findings, KeeperState, MissingReason


class TargetState(StrEnum):
    OFF = "off"
    COMPLETE = "complete"
    """Everything that is published is stored, and computed where the rules say so."""
    INCOMPLETE = "incomplete"
    COLLECTING = "collecting"
    """An automatic job is active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """The result of the last check, as far as it belongs to the current target."""

    state: TargetState
    sentence: str
    missing: Mapping[str, int]
    """The number of missing items by MissingReason or error code."""
    complete_until: date | None = None
    next_check_at: datetime | None = None
    """None while the target is off; the present time if a check is due or requested."""
    last_check_at: datetime | None = None
    last_job_id: UUID | None = None
    incomplete_since: datetime | None = None

    @property
    def missing_items(self) -> int:
        return sum(self.missing.values())


def target_status(
    target: CoverageTarget,
    state: KeeperState,
    *,
    is_collecting: bool,
    now: datetime,
    zone: tzinfo,
    hours: AllowedHours | None = None,
) -> TargetStatus:
    """`is_collecting`: an automatic job is active. `zone`: BACKFILL_TIME_ZONE. `hours`: when checks may take place."""
    if not target.settings.enabled:
        return TargetStatus(
            state=TargetState.OFF,
            sentence="Off: nothing is collected automatically.",
            missing={},
            last_check_at=state.checked_at,
            last_job_id=state.job_id,
        )
    is_checked = state.findings is not None and state.checked_version == target.version
    findings = state.findings if is_checked and state.findings is not None else Findings()
    schedule = DailySchedule(target.settings.daily_at, zone)
    is_waiting = not is_checked or state.requested_at is not None
    next_check = now if is_waiting else schedule.next_check(state.checked_at, now)
    if state.retry_at is not None:
        next_check = max(next_check, state.retry_at)
    if hours is not None:
        next_check = hours.opens_at(next_check)
    if is_collecting:
        kind = TargetState.COLLECTING
    else:
        kind = TargetState.COMPLETE if is_checked and findings.is_complete else TargetState.INCOMPLETE
    return TargetStatus(
        state=kind,
        sentence=_sentence(kind, findings, next_check, is_checked=is_checked, now=now, zone=zone),
        missing=findings.missing,
        complete_until=findings.complete_until,
        next_check_at=next_check,
        last_check_at=state.checked_at,
        last_job_id=state.job_id,
        incomplete_since=state.incomplete_since,
    )


def _sentence(
    kind: TargetState, findings: Findings, next_check: datetime, *, is_checked: bool, now: datetime, zone: tzinfo
) -> str:
    check = f"next check {_instant(next_check, now, zone)}"
    if not is_checked:
        return "An automatic job is collecting." if kind is TargetState.COLLECTING else "The first check is due."
    until = f" to {_day(findings.complete_until)}" if findings.complete_until else ""
    if not findings.missing:
        found = f"Complete{until}"
    else:
        items = f"{_items(sum(findings.missing.values()))}: {_reasons(findings)}"
        found = f"Complete{until if findings.is_complete else ''} except {items}" if until else f"Missing {items}"
    if findings.is_over_budget:
        found += "; the requests of this month are used up"
    if kind is TargetState.COLLECTING:
        return f"{found}; an automatic job is collecting."
    attempt = findings.next_attempt
    return f"{found}; {check}{f', next attempt {_day(attempt)}' if attempt else ''}."


_TEXTS: Mapping[str, str] = {
    MissingReason.NOT_PUBLISHED: "not published",
    MissingReason.NOT_COLLECTED: "not collected yet",
    MissingReason.OUTDATED: "outdated",
    MissingReason.NOT_COMPUTED: "without analytics",
}


def _reasons(findings: Findings) -> str:
    """Such as `12 not published, 2 failed since 3 Nov 2026 (HTML_PAGE)`."""
    parts = [f"{count:,} {_TEXTS[reason]}" for reason, count in findings.missing.items() if reason in _TEXTS]
    failed = {code: count for code, count in findings.missing.items() if code not in _TEXTS}
    if failed:
        since = f" since {_day(findings.failed_since)}" if findings.failed_since else ""
        parts.append(f"{sum(failed.values()):,} failed{since} ({', '.join(sorted(failed))})")
    return ", ".join(parts)


def _items(count: int) -> str:
    return f"{count:,} item" if count == 1 else f"{count:,} items"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _instant(at: datetime, now: datetime, zone: tzinfo) -> str:
    """In local time, such as `tomorrow 06:00`."""
    if at <= now:
        return "now"
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    names = {today: "today", today + timedelta(days=1): "tomorrow"}
    return f"{names.get(local.date(), _day(local.date()))} {local:%H:%M}"
