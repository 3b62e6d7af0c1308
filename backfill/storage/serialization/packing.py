"""The stored bytes of plans, ledger segments, reports and results, for all adapters."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import repeat
from typing import Any

from isal import isal_zlib

from backfill.domain import (
    Edition,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    Report,
    ReportName,
    Segment,
    WorkItem,
)
from backfill.errors import CorruptRecord

_WORK_ITEM, _OUTCOME = partial(tuple.__new__, WorkItem), partial(tuple.__new__, Outcome)
"""Make the value of an iterable of its fields, of which there must be as many."""

_LEVEL = 6
"""Compression level of reports. Three reports of 110 clubs shrink to 15 % in 1 ms; higher levels save another 1 %."""

_RESULT_LEVEL = 1
"""Compression level of results. ISA-L shrinks a result of 110 clubs to 6 KB in a fifth of the time of zlib; its other
levels save at most 4 %. ISA-L and zlib read what the other one writes."""

_ISAL_ERROR: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub declares an instance


def pack_json(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def unpack_json(packed: bytes, subject: str) -> Any:
    """Return the value that `pack_json` packed. Raises CorruptRecord, which names `subject`, for other bytes."""
    try:
        return json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc


def storable(text: str) -> str:
    """Replace NUL and lone surrogates, which a quoted response may contain and databases refuse."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


# Plans. Days share their districts, so each distinct group of districts is stored once.


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


# Segments. They are stored by column, which compresses better than by row.


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
            outcome.excerpt,
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
        # Segments of earlier versions lack quality and excerpts, or only excerpts.
        quality = more[0] if more else [{}] * len(dates)
        excerpts = more[1] if len(more) > 1 else [""] * len(dates)
        days = {text: date.fromisoformat(text) for text in set(dates)}
        kind_of = {str(kind): kind for kind in OutcomeKind}
        # `map` calls these functions without a frame of Python, since a resumed job may have a million outcomes.
        items = map(_WORK_ITEM, zip(map(days.__getitem__, dates), districts, strict=True))
        at = map(datetime.fromtimestamp, instants, repeat(UTC))
        settled = (items, map(kind_of.__getitem__, kinds), at, reasons, messages, attempts, retryable)
        rows = zip(*settled, quality, excerpts, strict=True)
        return Segment(number, tuple(map(_OUTCOME, rows)))
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc!r}.") from exc


# Reports. The three reports of a district are compressed together, because they contain the same club names.


def pack_reports(reports: Mapping[ReportName, Report]) -> bytes:
    return zlib.compress(b"".join(reports[name].content for name in sorted(reports)), _LEVEL)


def reports_to_json(reports: Mapping[ReportName, Report]) -> dict[str, dict[str, Any]]:
    return {str(name): {"rows": r.rows, "bytes": r.size, "hash": r.content_hash} for name, r in reports.items()}


def reports_from_json(described: Mapping[str, Mapping[str, Any]]) -> dict[ReportName, Report]:
    """Return the reports without their bytes."""
    return {
        ReportName(name): Report(rows=d["rows"], size=d["bytes"], content_hash=d["hash"])
        for name, d in sorted(described.items())
    }


def unpack_reports(described: Mapping[str, Mapping[str, Any]], packed: bytes, subject: str) -> dict[ReportName, Report]:
    try:
        content = isal_zlib.decompress(packed)
    except _ISAL_ERROR as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc
    reports = {}
    start = 0
    for name, report in reports_from_json(described).items():
        reports[name] = replace(report, content=content[start : start + report.size])
        start += report.size
    if start != len(content):
        raise CorruptRecord(f"The {subject} has {len(content):,} bytes instead of {start:,}.")
    return reports


# Results. They are stored as the JSON of the response.


def pack_body(body: bytes) -> bytes:
    return isal_zlib.compress(body, _RESULT_LEVEL)


def unpack_body(packed: bytes, subject: str) -> bytes:
    try:
        return isal_zlib.decompress(packed)
    except _ISAL_ERROR as exc:
        raise CorruptRecord(f"The {subject} cannot be read: {exc}.") from exc
