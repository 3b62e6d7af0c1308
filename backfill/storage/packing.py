"""How values are laid down as JSON and bytes; the same for every adapter."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any

from backfill.domain import (
    Cadence,
    Course,
    DistrictProgress,
    Edition,
    Estimate,
    Event,
    FailureGroup,
    Flight,
    ItemError,
    JobConfig,
    LimiterReport,
    LimiterState,
    Notice,
    Notices,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    Progress,
    RateLimits,
    Report,
    ReportName,
    Segment,
    Totals,
    WorkItem,
)
from backfill.errors import CorruptRecord

_LEVEL = 6
"""Of zlib: three reports of 110 clubs in one stream shrink to 15 % in a millisecond; higher levels gain 1 %."""

_LEVEL_OF_RESULTS = 3
"""A result of 110 clubs shrinks to 6 KB; level 6 would save another 10 % and take three times as long."""


def pack_json(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def unpack_json(packed: bytes, subject: str) -> Any:
    """Raise CorruptRecord that names `subject` for bytes that `pack_json` did not make."""
    try:
        return json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc


def storable(text: str) -> str:
    """Without NUL and lone surrogates, which a message may quote from the dashboard and no database takes as text."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


# Plans: districts are shared by days, so each group of them is written once.


def pack_plan(plan: Plan) -> bytes:
    groups: dict[tuple[str, ...], int] = {}
    days = []
    for day in plan.days:
        edition = day.edition
        days.append(
            [
                day.date.isoformat(),
                groups.setdefault(day.districts, len(groups)),
                *(
                    (
                        edition.month_end.isoformat(),
                        edition.as_of.isoformat(),
                        edition.is_final,
                        edition.is_archived,
                        edition.asks_blank,
                    )
                    if edition
                    else ()
                ),
            ]
        )
    return pack_json(
        {
            "groups": list(groups),
            "days": days,
            "unpublishedDates": plan.unpublished_dates,
            "skipped": dict(plan.skipped),
            "requests": plan.requests,
        }
    )


def unpack_plan(packed: bytes, subject: str) -> Plan:
    value = unpack_json(packed, subject)
    try:
        groups = [tuple(group) for group in value["groups"]]
        days = []
        for day, group, *edition in value["days"]:
            days.append(
                PlannedDay(
                    date.fromisoformat(day),
                    groups[group],
                    Edition(
                        month_end=date.fromisoformat(edition[0]),
                        as_of=date.fromisoformat(edition[1]),
                        is_final=edition[2],
                        is_archived=edition[3],
                        asks_blank=edition[4],
                    )
                    if edition
                    else None,
                )
            )
        return Plan(tuple(days), value["unpublishedDates"], value["skipped"], value["requests"])
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc


# Segments: columns, since like stands beside like and packs well.


def pack_outcomes(outcomes: Iterable[Outcome]) -> bytes:
    rows = [
        (
            outcome.item.date.isoformat(),
            outcome.item.district,
            str(outcome.kind),
            outcome.at.timestamp(),
            outcome.reason,
            outcome.message,
            outcome.attempts,
            outcome.is_retryable,
            dict(outcome.quality),
        )
        for outcome in outcomes
    ]
    return pack_json([list(column) for column in zip(*rows, strict=True)])


def unpack_segment(number: int, packed: bytes, subject: str) -> Segment:
    value = unpack_json(packed, subject)
    if value == []:
        return Segment(number, ())
    try:
        dates, districts, kinds, instants, reasons, messages, attempts, retryable, *more = value
        quality = more[0] if more else [{}] * len(dates)  # segments of before there were analytics have none
        days = {text: date.fromisoformat(text) for text in set(dates)}
        kind_of = {str(kind): kind for kind in OutcomeKind}
        items = [WorkItem(days[day], district) for day, district in zip(dates, districts, strict=True)]
        at = [datetime.fromtimestamp(seconds, UTC) for seconds in instants]
        columns = (items, [kind_of[kind] for kind in kinds], at, reasons, messages, attempts, retryable, quality)
        rows = zip(*columns, strict=True)
        return Segment(number, tuple(map(Outcome._make, rows)))
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc


# Reports: one stream for the three of a district, since they repeat each other's club names.


def pack_reports(reports: Mapping[ReportName, Report]) -> bytes:
    return zlib.compress(b"".join(reports[name].content for name in sorted(reports)), _LEVEL)


def described_reports(reports: Mapping[ReportName, Report]) -> dict[str, dict[str, Any]]:
    return {str(name): {"rows": r.rows, "bytes": r.size, "hash": r.content_hash} for name, r in reports.items()}


def read_reports(described: Mapping[str, Mapping[str, Any]]) -> dict[ReportName, Report]:
    """The descriptions, without the bytes."""
    return {
        ReportName(name): Report(rows=d["rows"], size=d["bytes"], content_hash=d["hash"])
        for name, d in sorted(described.items())
    }


def unpack_reports(described: Mapping[str, Mapping[str, Any]], packed: bytes, subject: str) -> dict[ReportName, Report]:
    try:
        content = zlib.decompress(packed)
    except zlib.error as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc
    reports = {}
    start = 0
    for name, report in read_reports(described).items():
        reports[name] = replace(report, content=content[start : start + report.size])
        start += report.size
    if start != len(content):
        raise CorruptRecord(f"The {subject} holds {len(content):,} bytes where {start:,} were stored.")
    return reports


# Results: JSON as it is answered.


def pack_body(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL_OF_RESULTS)


def unpack_body(packed: bytes, subject: str) -> bytes:
    try:
        return zlib.decompress(packed)
    except zlib.error as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc


# Jobs, and what they came to.


def notices_to_json(notices: Notices) -> dict[str, Any]:
    return {
        "ended": _notice_to_json(notices.ended),
        "held": _notice_to_json(notices.held),
        "heldSince": _text(notices.held_since),
    }


def notices_from_json(value: Mapping[str, Any]) -> Notices:
    """Of jobs from before there were notices, `value` is empty."""
    return Notices(
        ended=_notice_from_json(value.get("ended")),
        held=_notice_from_json(value.get("held")),
        held_since=_instant(value.get("heldSince")),
    )


def _notice_to_json(notice: Notice | None) -> dict[str, Any] | None:
    if notice is None:
        return None
    return {
        "event": str(notice.event),
        "at": notice.at.isoformat(),
        "sentence": storable(notice.sentence),
        "dueAt": _text(notice.due_at),
        "attempts": notice.attempts,
    }


def _notice_from_json(value: Mapping[str, Any] | None) -> Notice | None:
    if value is None:
        return None
    return Notice(
        event=Event(value["event"]),
        at=datetime.fromisoformat(value["at"]),
        sentence=value["sentence"],
        due_at=_instant(value["dueAt"]),
        attempts=value["attempts"],
    )


def totals_to_json(totals: Totals) -> dict[str, Any]:
    return asdict(totals)


def totals_from_json(value: Mapping[str, Any]) -> Totals:
    return Totals(**value)


def config_to_json(config: JobConfig) -> dict[str, Any]:
    return {
        "startDate": config.start_date.isoformat() if config.start_date else None,
        "endDate": config.end_date.isoformat() if config.end_date else None,
        "targetDistricts": list(config.target_districts),
        "cadence": str(config.cadence),
        "skipExisting": config.skip_existing,
        "rateLimits": config.rate_limits.to_dict(),
    }


def config_from_json(value: Mapping[str, Any]) -> JobConfig:
    start, end = value["startDate"], value["endDate"]
    return JobConfig(
        start_date=date.fromisoformat(start) if start else None,
        end_date=date.fromisoformat(end) if end else None,
        target_districts=tuple(value["targetDistricts"]),
        cadence=Cadence(value["cadence"]),
        skip_existing=value["skipExisting"],
        rate_limits=RateLimits(**value["rateLimits"]),
    )


def flight_to_json(flight: Flight) -> dict[str, Any]:
    return asdict(flight)


def flight_from_json(value: Mapping[str, Any]) -> Flight:
    return Flight(**{**value, "items": tuple(value.get("items", ()))})


def progress_to_json(progress: Progress) -> tuple[dict[str, Any], dict[str, Any]]:
    """The counts, which every list shows, and the detail, which only a job's own page does."""
    limiter = progress.limiter
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
        },
        "minutes": [[at.isoformat(), count] for at, count in progress.minutes],
        "quality": dict(progress.quality),
        "course": {**asdict(progress.course), "measured_at": _text(progress.course.measured_at)},
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


def _course_from_json(value: Mapping[str, Any]) -> Course:
    marks = tuple((seconds, done) for seconds, done in value.get("marks", ()))
    return Course(**{**value, "marks": marks, "measured_at": _instant(value.get("measured_at"))})


def _failure_group(value: Mapping[str, Any]) -> FailureGroup:
    latest_at = datetime.fromisoformat(value["latest_at"])
    return FailureGroup(**{**value, "latest_at": latest_at, "districts": tuple(value["districts"])})


def progress_from_json(counts: Mapping[str, Any], detail: Mapping[str, Any] | None) -> Progress:
    limiter = {
        **counts["limiter"],
        "state": LimiterState(counts["limiter"]["state"]),
        "waiting_until": _instant(counts["limiter"]["waiting_until"]),
        "down_since": _instant(counts["limiter"].get("down_since")),
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
        course=_course_from_json(counts.get("course", {})),
        left=Estimate(**counts["left"]) if counts.get("left") else None,
    )
