"""The query parameters of each address: serializers that parse, and that drf-spectacular reads."""
# ruff: noqa: N815 - field names are the names of the parameters

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request

from backfill.api.fields import (
    StrictSerializer,
    parsed,
    printable,
)
from backfill.api.parameter_fields import (
    CodeListParameter,
    CursorParameter,
    DateParameter,
    DistrictParameter,
    EnumListParameter,
    EnumParameter,
    InstantParameter,
    IntegerParameter,
    JobIdParameter,
    LineParameter,
    NoteParameter,
    ProgramYearParameter,
)
from backfill.domain import (
    JobOutcome,
    JobType,
    OutcomeKind,
    Status,
)
from backfill.errors import InvalidDateRange, InvalidRequest
from backfill.service.pagination import Pagination

LARGEST_PAGE = 100
DEFAULT_PAGE = 20
LARGEST_OFFSET = 10_000_000


class Resolution(StrEnum):
    """Resolution of the coverage."""

    DAY = "day"
    MONTH = "month"


# The parameters of each address. The sources are the names of the fields of the filter that the service takes.


class PageQuery(StrictSerializer):
    limit = IntegerParameter(1, LARGEST_PAGE, default=DEFAULT_PAGE)
    offset = IntegerParameter(0, LARGEST_OFFSET, default=0)
    cursor = CursorParameter(
        help_text="`nextCursor` of the previous page, instead of `offset`: rows that are stored or removed meanwhile "
        "do not shift the pages. The other parameters must be those of the previous page, except `limit`."
    )


class JobListQuery(PageQuery):
    status = EnumListParameter(Status, source="statuses")
    jobType = EnumListParameter(JobType, source="job_types")
    outcome = EnumListParameter(JobOutcome, source="outcomes")
    createdBy = LineParameter(150, source="created_by", help_text="The name of the operator.")
    q = LineParameter(200, source="text", help_text="The beginning of the job id, or a part of a note.")
    createdFrom = InstantParameter(source="created_from", help_text="A date or a time; UTC unless it has an offset.")
    createdTo = InstantParameter(
        source="created_to", is_end=True, help_text="A date, which is included, or a time, which is excluded."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        first, end = attrs.get("created_from"), attrs.get("created_to")
        if first is not None and end is not None and first >= end:
            raise InvalidRequest({"createdFrom": ["createdFrom must be before the end of createdTo."]})
        return attrs


class CancelQuery(StrictSerializer):
    note = NoteParameter(help_text="One line about why, at most 500 characters; instead of a body with `note`.")


class ItemOrder(StrEnum):
    """Order of the items of a job."""

    OLDEST = "oldest"
    NEWEST = "newest"


class ItemListQuery(PageQuery):
    district = DistrictParameter()
    outcome = EnumParameter(OutcomeKind, source="kind")
    code = CodeListParameter(source="codes")
    order = EnumParameter(ItemOrder, default=str(ItemOrder.OLDEST), help_text="Which items come first.")


class AuditQuery(PageQuery):
    jobId = JobIdParameter(source="job_id", help_text="Only the entries of this job.")


class DateRangeQuery(StrictSerializer):
    """`from` and `to`, which are included."""

    from_help: ClassVar[str] = ""
    to_help: ClassVar[str] = ""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Adds the fields here, because `from` is a keyword of Python."""
        return {
            **super().get_fields(),
            "from": DateParameter(source="first", help_text=self.from_help),
            "to": DateParameter(source="last", help_text=self.to_help),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        first, last = attrs.get("first"), attrs.get("last")
        if first is not None and last is not None and first > last:
            raise InvalidDateRange({"from": [f"from ({first}) must not be after to ({last})."]})
        return attrs


class SnapshotListQuery(DateRangeQuery, PageQuery):
    district = DistrictParameter()


class CoverageQuery(DateRangeQuery):
    from_help = "Default by day: one year before `to`. Default by month: the first month that has stored data."
    to_help = "Default: yesterday. By day: at most 1,100 days after `from`."
    resolution = EnumParameter(Resolution, default=str(Resolution.DAY))


class CalendarQuery(DateRangeQuery):
    from_help = "Default: the first month that has stored data."
    to_help = "Default: the last month that has stored data."


class ChangesQuery(StrictSerializer):
    """Two stored dates of a district. The service checks their order."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            "from": DateParameter(source="first", required=True, help_text="The earlier stored date."),
            "to": DateParameter(source="last", required=True, help_text="The later stored date."),
            "district": DistrictParameter(may_be_summary=False, required=True),
        }


class SeriesQuery(StrictSerializer):
    programYear = ProgramYearParameter(
        source="program_year", help_text="Such as 2022-2023. Default: the newest program year."
    )


# Parsing.


def parsed_query(request: Request, kind: type[StrictSerializer] = StrictSerializer) -> dict[str, Any]:
    """The parameters by their sources.

    Raises InvalidRequest with the names of the parameters that are wrong, unknown or repeated.
    """
    if kind is StrictSerializer and not request.query_params:
        return {}
    known = list(kind().fields)
    wrong: dict[str, list[str]] = {}
    for name, texts in request.query_params.lists():
        label = printable(name)
        if name not in known:
            wrong[label] = [f"{label} is not a parameter of this address; it takes {', '.join(known) or 'none'}."]
        elif len(texts) > 1:
            wrong[label] = [f"{label} is given more than once; write several values as a list with commas."]
    if wrong:
        raise InvalidRequest(dict(list(wrong.items())[:20]))
    return parsed(kind, request.query_params.dict())


def parsed_page_query(
    request: Request, kind: type[PageQuery] | type[SnapshotListQuery] = PageQuery
) -> tuple[Pagination, dict[str, Any]]:
    """The parameters of the page, and the others by their sources."""
    given = parsed_query(request, kind)
    pagination = Pagination(limit=given.pop("limit"), offset=given.pop("offset"), cursor=given.pop("cursor", ""))
    return pagination, given
