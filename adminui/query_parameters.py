"""Parse query parameters. An invalid value is ignored, because URLs come from links and not from users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.http import QueryDict

from adminui.forms import parse_districts
from adminui.numbers import whole_number
from backfill.domain import (
    Cadence,
    JobFilter,
    JobOutcome,
    JobType,
    OutcomeFilter,
    OutcomeKind,
    ProgramYear,
    Status,
    is_one_line,
    parsed_district,
)
from backfill.errors import InvalidRequest

LARGEST_PAGE = 100_000
_LONGEST_TEXT = 200


class _Page(Protocol):
    """A page of a list and the length of the list."""

    @property
    def rows(self) -> Sequence[Any]: ...
    @property
    def total(self) -> int: ...


PageT = TypeVar("PageT", bound=_Page)


def job_filter(query: QueryDict) -> JobFilter:
    """The filter of the history. `status` is a status, or an outcome that is no status."""
    statuses = query.getlist("status")
    since, until = _day(query, "since"), _day(query, "until")
    return JobFilter(
        statuses=frozenset(Status(text) for text in statuses if text in set(Status)),
        outcomes=frozenset(JobOutcome(text) for text in statuses if text in set(JobOutcome) - set(Status)),
        job_types=frozenset(JobType(text) for text in query.getlist("type") if text in set(JobType)),
        created_from=datetime.combine(since, time(), UTC) if since else None,
        created_to=datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None,
        created_by=_line(query, "by"),
        text=_line(query, "q"),
    )


def _day(query: QueryDict, name: str) -> date | None:
    """A date on which a job can have been created."""
    try:
        day = date.fromisoformat(query.get(name, ""))
    except ValueError:
        return None
    return day if day.year in range(1970, 9000) else None


def _line(query: QueryDict, name: str) -> str:
    text = query.get(name, "").strip()[:_LONGEST_TEXT]
    return text if is_one_line(text) else ""


def page_number(query: QueryDict, name: str = "page") -> int:
    return min(whole_number(query.get(name, "")) or 1, LARGEST_PAGE)


def fetch_page(number: int, size: int, fetch: Callable[[int], PageT]) -> tuple[int, PageT]:
    """The page `number` from `fetch(offset)`, or the last page if there are fewer, with its number."""
    page = fetch((number - 1) * size)
    if page.rows or number == 1:
        return number, page
    last = max(ceil(page.total / size), 1)
    return last, fetch((last - 1) * size)


def outcome_filter(query: QueryDict) -> OutcomeFilter:
    kind, district = query.get("outcome", ""), query.get("district", "").strip()
    try:
        wanted = parsed_district(district) if district else None
    except InvalidRequest:
        wanted = None
    code = query.get("code", "")
    return OutcomeFilter(
        district=wanted,
        kind=OutcomeKind(kind) if kind in set(OutcomeKind) else None,
        codes=frozenset({code} if code else ()),
    )


def shows_all_districts(query: QueryDict) -> bool:
    """Whether the job card lists all districts and not only notable ones."""
    return query.get("districts") == "all"


def start_values(query: QueryDict) -> dict[str, Any]:
    """Initial values of the start form: `?from=2010-07-01&to=2011-06-30&district=20&district=21`."""
    values: dict[str, Any] = {}
    for name, field in (("from", "start_date"), ("to", "end_date")):
        try:
            values[field] = date.fromisoformat(query.get(name, ""))
        except ValueError:
            continue
    if (cadence := query.get("cadence", "")) in set(Cadence):
        values["cadence"] = cadence
    if (job_type := query.get("job", "")) in set(JobType):
        values["job_type"] = job_type
    try:
        values["districts"] = tuple(
            dict.fromkeys(d for text in query.getlist("district") for d in parse_districts(text))
        )
    except ValueError:
        values["districts"] = ()
    if query.get("skip") in {"0", "1"}:
        values["skip_existing"] = query["skip"] == "1"
    return values


def copied_job(query: QueryDict) -> UUID | None:
    """The job whose settings the start form shows: `?like=ID`."""
    try:
        return UUID(query.get("like", ""))
    except ValueError:
        return None


def retry_codes(query: QueryDict) -> list[str]:
    return [code for code in query.getlist("code") if code][:100]


def day(query: QueryDict, name: str = "date") -> date | None:
    try:
        return date.fromisoformat(query.get(name, ""))
    except ValueError:
        return None


def program_year(query: QueryDict) -> ProgramYear | None:
    try:
        return ProgramYear.parse(query.get("year", ""))
    except ValueError:
        return None
