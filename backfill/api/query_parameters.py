"""What the addresses of requests say: their parameters, and the ids and dates in their paths."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from rest_framework.request import Request

from backfill.api.fields import parsed_day, shown
from backfill.domain import (
    SUMMARY,
    JobFilter,
    JobType,
    OutcomeFilter,
    OutcomeKind,
    ProgramYear,
    ReportName,
    SnapshotFilter,
    Status,
    parsed_district,
)
from backfill.errors import AnalyticsNotFound, InvalidDateRange, InvalidRequest, JobNotFound, SnapshotNotFound

LARGEST_PAGE = 100
USUAL_PAGE = 20
LARGEST_OFFSET = 10_000_000
PAGING = ("limit", "offset")

E = TypeVar("E", bound=StrEnum)
Query = Mapping[str, str]


class Resolution(StrEnum):
    """Of coverage."""

    DAY = "day"
    MONTH = "month"


def query(request: Request, *known: str) -> Query:
    """The parameters that were given, each once; InvalidRequest names those that are unknown or repeated."""
    wrong: dict[str, list[str]] = {}
    for name, values in request.query_params.lists():
        label = shown(name)
        if name not in known:
            taken = f"it takes {', '.join(known)}" if known else "it takes none"
            wrong[label] = [f"{label} is no parameter of this address; {taken}."]
        elif len(values) > 1:
            wrong[label] = [f"{label} is given more than once; write several values as a list with commas."]
    if wrong:
        raise InvalidRequest(dict(list(wrong.items())[:20]))
    return request.query_params.dict()


def page(given: Query) -> tuple[int, int]:
    """Limit and offset."""
    return (_whole(given, "limit", USUAL_PAGE, 1, LARGEST_PAGE), _whole(given, "offset", 0, 0, LARGEST_OFFSET))


def job_filter(given: Query) -> JobFilter:
    return JobFilter(
        statuses=_several(Status, given, "status"),
        job_types=_several(JobType, given, "jobType"),
        created_from=_instant(given, "createdFrom"),
        created_to=_instant(given, "createdTo", is_end=True),
    )


def outcome_filter(given: Query) -> OutcomeFilter:
    kind = given.get("outcome")
    return OutcomeFilter(district=_district(given), kind=None if kind is None else _one(OutcomeKind, kind, "outcome"))


def span(given: Query) -> tuple[date | None, date | None]:
    """`from` and `to`."""
    first, last = _day(given, "from"), _day(given, "to")
    if first is not None and last is not None and first > last:
        raise InvalidDateRange({"from": [f"from ({first}) must not be after to ({last})."]})
    return first, last


def snapshot_filter(given: Query) -> SnapshotFilter:
    first, last = span(given)
    return SnapshotFilter(first=first, last=last, district=_district(given))


def job_id(text: str) -> UUID:
    """JobNotFound for what is no id, since no job can have it."""
    try:
        return UUID(text)
    except ValueError:
        raise JobNotFound(
            f"There is no job {shown(text)!r}: a job's id is a UUID. List the jobs to find the one you mean."
        ) from None


def snapshot_key(day: str, district: str) -> tuple[date, str]:
    """SnapshotNotFound for what is no date or no district, since nothing can be stored for it."""
    try:
        return parsed_day(day, "date"), parsed_district(district)
    except InvalidRequest as exc:
        raise SnapshotNotFound(f"Nothing is stored there. {exc.message} /api/snapshots lists what is stored.") from exc


def result_key(day: str, district: str) -> tuple[date, str]:
    """AnalyticsNotFound for what is no date or no district, since nothing can have been computed for it."""
    try:
        return parsed_day(day, "date"), parsed_district(district, may_be_summary=False)
    except InvalidRequest as exc:
        raise AnalyticsNotFound(f"There are no analytics there. {exc.message} The world's are at .../world.") from exc


def world_key(day: str) -> tuple[date, str]:
    try:
        return parsed_day(day, "date"), SUMMARY
    except InvalidRequest as exc:
        raise AnalyticsNotFound(f"There are no analytics there. {exc.message}") from exc


def series_district(text: str) -> str:
    try:
        return parsed_district(text, may_be_summary=False)
    except InvalidRequest as exc:
        raise AnalyticsNotFound(f"There is no such series. {exc.message}") from exc


def program_year(given: Query) -> ProgramYear | None:
    text = given.get("programYear")
    try:
        return None if text is None else ProgramYear.parse(text)
    except ValueError as exc:
        raise InvalidRequest({"programYear": [f"programYear must be like 2022-2023; it was {text!r:.40}."]}) from exc


def is_monthly(given: Query) -> bool:
    return _one(Resolution, given.get("resolution", Resolution.DAY), "resolution") is Resolution.MONTH


def report_name(text: str) -> ReportName:
    try:
        return ReportName(text)
    except ValueError:
        raise SnapshotNotFound(
            f"There is no report {shown(text)!r}; the reports are {', '.join(ReportName)}."
        ) from None


def _whole(given: Query, name: str, usual: int, low: int, high: int) -> int:
    text = given.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
        message = f"{name} must be a whole number from {low:,} to {high:,}; it was {text[:40]!r}."
        raise InvalidRequest({name: [message]})
    return int(text)


def _one(kind: type[E], text: str, name: str) -> E:
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest({name: [f"{name} must be one of {', '.join(kind)}; it was {text[:40]!r}."]}) from None


def _several(kind: type[E], given: Query, name: str) -> frozenset[E]:
    text = given.get(name)
    return frozenset(_one(kind, word.strip(), name) for word in text.split(",")) if text is not None else frozenset()


def _district(given: Query) -> str | None:
    text = given.get("district")
    return None if text is None else parsed_district(text)


def _day(given: Query, name: str) -> date | None:
    text = given.get(name)
    return None if text is None else parsed_day(text, name)


def _instant(given: Query, name: str, *, is_end: bool = False) -> datetime | None:
    """A date, or a date and time; UTC where it says no other. A date as an end takes in that whole day."""
    text = given.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2024-01-31"):
            midnight = datetime.combine(parsed_day(text, name), time(), UTC)
            return midnight + timedelta(days=1) if is_end else midnight
        parsed_day(text[:10], name)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (InvalidRequest, ValueError, OverflowError):
        message = (
            f"{name} must be a date like 2024-01-31 or a time like 2024-01-31T18:00:00Z (a + is written as "
            f"%2B); it was {text[:40]!r}."
        )
        raise InvalidRequest({name: [message]}) from None
