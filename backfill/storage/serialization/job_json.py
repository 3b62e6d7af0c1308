"""The stored JSON of a job's config, progress and webhook events, for all adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from backfill.domain import (
    Cadence,
    CrashIsolation,
    DistrictProgress,
    Estimate,
    FailureGroup,
    ItemError,
    JobConfig,
    JobCounters,
    LimiterReport,
    LimiterState,
    Note,
    Progress,
    RateLimits,
    ThroughputHistory,
    WaitReason,
    WebhookEvent,
    WebhookEvents,
    WebhookEventType,
)
from backfill.storage.serialization.packing import storable


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def webhook_events_to_json(webhook_events: WebhookEvents) -> dict[str, Any]:
    return {
        "ended": event_to_json(webhook_events.ended),
        "held": event_to_json(webhook_events.held),
        "heldSince": _text(webhook_events.held_since),
        "holdEndedAt": _text(webhook_events.hold_ended_at),
    }


def webhook_events_from_json(value: Mapping[str, Any]) -> WebhookEvents:
    """`value` is empty if the job was stored before webhook events existed."""
    return WebhookEvents(
        ended=event_from_json(value.get("ended")),
        held=event_from_json(value.get("held")),
        held_since=_instant(value.get("heldSince")),
        hold_ended_at=_instant(value.get("holdEndedAt")),
    )


def event_to_json(event: WebhookEvent | None) -> dict[str, Any] | None:
    if event is None:
        return None
    return {
        "event": str(event.event),
        "at": event.at.isoformat(),
        "sentence": storable(event.sentence),
        "dueAt": _text(event.due_at),
        "attempts": event.attempts,
    }


def event_from_json(value: Mapping[str, Any] | None) -> WebhookEvent | None:
    if value is None:
        return None
    return WebhookEvent(
        event=WebhookEventType(value["event"]),
        at=datetime.fromisoformat(value["at"]),
        sentence=value["sentence"],
        due_at=_instant(value["dueAt"]),
        attempts=value["attempts"],
    )


def notes_to_json(notes: Sequence[Note]) -> list[dict[str, Any]]:
    return [
        {"at": note.at.isoformat(), "operator": storable(note.operator), "text": storable(note.text)} for note in notes
    ]


def notes_from_json(value: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    return tuple(Note(**{**note, "at": datetime.fromisoformat(note["at"])}) for note in value)


def counters_to_json(counters: JobCounters) -> dict[str, Any]:
    return asdict(counters)


def counters_from_json(value: Mapping[str, Any]) -> JobCounters:
    return JobCounters(**value)


def config_to_json(config: JobConfig) -> dict[str, Any]:
    return {
        "startDate": config.start_date.isoformat() if config.start_date else None,
        "endDate": config.end_date.isoformat() if config.end_date else None,
        "targetDistricts": list(config.target_districts),
        "cadence": str(config.cadence),
        "skipExisting": config.skip_existing,
        "rateLimits": config.rate_limits.to_dict(),
        "initialLimits": config.initial_limits.to_dict() if config.initial_limits else None,
    }


def config_from_json(value: Mapping[str, Any]) -> JobConfig:
    start, end = value["startDate"], value["endDate"]
    initial = value.get("initialLimits")
    return JobConfig(
        start_date=date.fromisoformat(start) if start else None,
        end_date=date.fromisoformat(end) if end else None,
        target_districts=tuple(value["targetDistricts"]),
        cadence=Cadence(value["cadence"]),
        skip_existing=value["skipExisting"],
        rate_limits=RateLimits(**value["rateLimits"]),
        initial_limits=RateLimits(**initial) if initial else None,
    )


def crash_isolation_to_json(crash_isolation: CrashIsolation) -> dict[str, Any]:
    return asdict(crash_isolation)


def crash_isolation_from_json(value: Mapping[str, Any]) -> CrashIsolation:
    return CrashIsolation(**{**value, "items": tuple(value.get("items", ()))})


def progress_to_json(progress: Progress) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the counts, which lists of jobs need, and the detail, which only the page of a job needs."""
    limiter = progress.limiter
    waits_for_responses = limiter.waits_for is WaitReason.RESPONSES
    counts = {
        "total": progress.total_items,
        "expectedSkips": progress.expected_skips,
        "processed": progress.processed,
        "failed": progress.failed,
        "skipped": dict(progress.skipped),
        "currentItem": progress.current_item,
        "lastItem": progress.last_item,
        "lastItemAt": _text(progress.last_item_at),
        "limiter": {
            **asdict(limiter),
            "state": str(limiter.state),
            "waiting_until": _text(limiter.waiting_until),
            "down_since": _text(limiter.down_since),
            "reason": storable(limiter.reason),
            "waits_for": str(limiter.waits_for) if limiter.waits_for and not waits_for_responses else None,
        },
        # A field of its own: version 0.1 cannot read a job with an unknown reason.
        "waitsForResponses": waits_for_responses,
        "minutes": [[at.isoformat(), count] for at, count in progress.minutes],
        "quality": dict(progress.quality),
        "course": _throughput_to_json(progress.throughput),
        "expectedEach": asdict(expected) if (expected := progress.throughput.expected_each) else None,
        "left": asdict(progress.left) if progress.left else None,
        "failures": [{**asdict(group), "latest_at": group.latest_at.isoformat()} for group in progress.failures],
    }
    detail = {
        "districts": {
            name: [d.total, d.processed, d.failed, d.skipped, storable(d.last_error), d.is_in_progress]
            for name, d in progress.districts.items()
        },
        "errors": [
            {**asdict(error), "message": storable(error.message), "at": error.at.isoformat()}
            for error in progress.errors
        ],
    }
    return counts, detail


def _throughput_to_json(throughput: ThroughputHistory) -> dict[str, Any]:
    """Without `expected_each`, which the previous version cannot read here."""
    fields = {**asdict(throughput), "measured_at": _text(throughput.measured_at)}
    return {name: value for name, value in fields.items() if name != "expected_each"}


def _throughput_from_json(value: Mapping[str, Any], expected: Mapping[str, Any] | None) -> ThroughputHistory:
    """Jobs of earlier versions have no `expected`."""
    marks = tuple((seconds, done) for seconds, done in value.get("marks", ()))
    return ThroughputHistory(
        **{**value, "marks": marks, "measured_at": _instant(value.get("measured_at"))},
        expected_each=Estimate(**expected) if expected else None,
    )


def _failure_group(value: Mapping[str, Any]) -> FailureGroup:
    latest_at = datetime.fromisoformat(value["latest_at"])
    return FailureGroup(**{**value, "latest_at": latest_at, "districts": tuple(value["districts"])})


def progress_from_json(counts: Mapping[str, Any], detail: Mapping[str, Any] | None) -> Progress:
    waits_for = WaitReason.RESPONSES if counts.get("waitsForResponses") else counts["limiter"].get("waits_for")
    limiter = {
        **counts["limiter"],
        "state": LimiterState(counts["limiter"]["state"]),
        "waiting_until": _instant(counts["limiter"]["waiting_until"]),
        "down_since": _instant(counts["limiter"].get("down_since")),
        "waits_for": WaitReason(waits_for) if waits_for else None,
    }
    names = ("total", "processed", "failed", "skipped", "last_error", "is_in_progress")
    districts = (
        {}
        if detail is None
        else {
            name: DistrictProgress(**dict(zip(names, values, strict=True)))
            for name, values in detail["districts"].items()
        }
    )
    errors = (
        ()
        if detail is None
        else tuple(ItemError(**{**error, "at": datetime.fromisoformat(error["at"])}) for error in detail["errors"])
    )
    return Progress(
        total_items=counts["total"],
        expected_skips=counts["expectedSkips"],
        processed=counts["processed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        current_item=counts["currentItem"],
        last_item=counts["lastItem"],
        last_item_at=_instant(counts["lastItemAt"]),
        limiter=LimiterReport(**limiter),
        districts=districts,
        errors=errors,
        failures=tuple(_failure_group(group) for group in counts.get("failures", ())),
        minutes=tuple((datetime.fromisoformat(at), count) for at, count in counts["minutes"]),
        quality=counts.get("quality", {}),
        throughput=_throughput_from_json(counts.get("course", {}), counts.get("expectedEach")),
        left=Estimate(**counts["left"]) if counts.get("left") else None,
    )
