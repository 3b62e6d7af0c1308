"""Decorators that describe each operation in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from backfill.api import examples, request_serializers
from backfill.api.fields import DISTRICT_OR_SUMMARY_PATTERN, DISTRICT_PATTERN
from backfill.api.query_parameters import (
    AuditQuery,
    CalendarQuery,
    CancelQuery,
    CoverageQuery,
    ItemListQuery,
    JobListQuery,
    PageQuery,
    SeriesQuery,
    SnapshotListQuery,
)
from backfill.domain import ReportName
from backfill.serializers.audit import AuditPageSerializer
from backfill.serializers.calendar import CalendarProgressResponseSerializer
from backfill.serializers.coverage import CoverageResponseSerializer
from backfill.serializers.errors import ErrorSerializer
from backfill.serializers.items import ItemPageSerializer
from backfill.serializers.jobs import CancelledJobSerializer, JobPageSerializer, JobSerializer
from backfill.serializers.previews import PreviewResponseSerializer
from backfill.serializers.probes import HealthSerializer, ReadinessSerializer
from backfill.serializers.rate_limits import RateLimitsResponseSerializer
from backfill.serializers.results import DistrictResultSerializer, SeriesSerializer, WorldResultSerializer
from backfill.serializers.snapshots import SnapshotPageSerializer, SnapshotSerializer

F = TypeVar("F")
Decorator = Callable[[F], F]

_ERROR_TEXTS = {
    400: "VALIDATION_ERROR, INVALID_JOB_TYPE, INVALID_DATE_RANGE or MALFORMED_JSON; details name the fields",
    401: "NOT_AUTHENTICATED",
    403: "PERMISSION_DENIED (the message names the permission) or CSRF_FAILED",
    404: "JOB_NOT_FOUND",
    409: "INVALID_JOB_STATE",
    411: "LENGTH_REQUIRED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS: too many unknown tokens from this address; try again after Retry-After seconds",
    502: "DASHBOARD_UNAVAILABLE; nothing was created",
    503: "STORAGE_UNAVAILABLE; try again after Retry-After seconds",
}
_INCOMPLETE = {
    503: "CALENDAR_INCOMPLETE after 50 s: calendar pages are missing (details say how many), and nothing was created; "
    "repeat the request after Retry-After seconds, and it continues. Or STORAGE_UNAVAILABLE"
}
_BODY = (400, 411, 413, 415)
_SERVER = {
    (414, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The address is longer than the web server accepts"),
    (431, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The headers are larger than the web server accepts"),
}
"""Responses of gunicorn or nginx, which the service does not see."""
_ALWAYS = (401, 403, 429, 503)

_JOB_ID = OpenApiParameter("job_id", OpenApiTypes.UUID, OpenApiParameter.PATH)  # CAMELIZE_NAMES renders it as jobId
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~¡-¬®-ÿ]([ -~¡-¬®-ÿ]*[!-~¡-¬®-ÿ])?$"},
    OpenApiParameter.HEADER,
    description="1 to 255 printable characters. The same key and body within 24 hours return the same job (200).",
)
_LOCATION = OpenApiParameter(
    "Location", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 201], description="The path of the job."
)
_REPLAYED = OpenApiParameter(
    "Idempotency-Replayed", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200], description="true"
)
_ETAG = OpenApiParameter("ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200])
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of an earlier response. The response is 304 without a body if nothing has changed.",
)
_PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="With respond-async (RFC 7240) the response comes after at most 5 seconds: 202 with the progress if "
    "pages of the dashboard's calendar are missing. Repeat the request after Retry-After seconds; it continues.",
)
_APPLIED = OpenApiParameter(
    "Preference-Applied", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[202], description="respond-async"
)
_RETRY_AFTER = OpenApiParameter(
    "Retry-After", OpenApiTypes.INT, OpenApiParameter.HEADER, response=[202, 503], description="Seconds."
)
_PROGRESS = OpenApiResponse(
    CalendarProgressResponseSerializer, "Pages of the dashboard's calendar are still missing; repeat the request."
)
_SNAPSHOT = [
    OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH),
    OpenApiParameter(
        "district",
        {"type": "string", "pattern": DISTRICT_OR_SUMMARY_PATTERN},
        OpenApiParameter.PATH,
        description="91, F, or all for the district summary.",
    ),
]


def _operation(
    tag: str,
    name: str,
    summary: str,
    successes: dict[Any, Any],
    *,
    errors: tuple[int, ...],
    error_texts: dict[int, str] | None = None,
    **more: Any,
) -> Decorator[Any]:
    """Describes an operation with its successful responses, the given errors, and the errors of every operation."""
    texts = _ERROR_TEXTS | (error_texts or {})
    described = {status: OpenApiResponse(ErrorSerializer, texts[status]) for status in sorted({*errors, *_ALWAYS})}
    responses = successes | described | _SERVER
    return extend_schema(operation_id=name, tags=[tag], summary=summary, responses=responses, **more)


_UNCHANGED = OpenApiResponse(None, "Nothing has changed since the response with this ETag.")
_STARTED = {
    201: OpenApiResponse(JobSerializer, "The new job."),
    200: OpenApiResponse(JobSerializer, "The job that an earlier request with this Idempotency-Key created."),
}

start_job = _operation(
    "Backfill",
    "startJob",
    "Start a job",
    _STARTED,
    errors=(*_BODY, 409, 502),
    error_texts=_INCOMPLETE
    | {409: "JOB_ALREADY_RUNNING (details name the job), PLAN_CHANGED or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.JobBody,
    parameters=[_KEY, _LOCATION, _REPLAYED],
    examples=[*examples.REQUESTS, examples.BUSY, examples.PLAN_CHANGED, examples.INVALID],
)
preview_job = _operation(
    "Backfill",
    "previewJob",
    "Preview a job",
    {200: PreviewResponseSerializer, 202: _PROGRESS},
    errors=(*_BODY, 502),
    error_texts=_INCOMPLETE
    | {
        403: "PERMISSION_DENIED: the message names the permission. If calendar pages are missing, a preview reads the "
        "dashboard, which requires backfill.add_backfilljob. Or CSRF_FAILED"
    },
    request=request_serializers.JobBody,
    parameters=[_PREFER, _APPLIED, _RETRY_AFTER],
    examples=[*examples.REQUESTS, examples.PREVIEWED, examples.INVALID],
)
list_jobs = _operation(
    "Backfill",
    "listJobs",
    "List jobs, newest first",
    {200: JobPageSerializer},
    errors=(400,),
    parameters=[JobListQuery],
)
get_job = _operation(
    "Backfill",
    "getJob",
    "Get a job and its progress",
    {200: JobSerializer, 304: _UNCHANGED},
    errors=(400, 404),
    description="Poll this address every one or two seconds with If-None-Match.",
    parameters=[_JOB_ID, _IF_NONE_MATCH, _ETAG],
)
cancel_job = _operation(
    "Backfill",
    "cancelJob",
    "Cancel a job",
    {
        200: OpenApiResponse(
            CancelledJobSerializer, "The job; its status is cancelling while running items finish, otherwise cancelled."
        )
    },
    errors=(*_BODY, 404, 409),
    description='The body may be `{"note": "…"}`, which OpenAPI cannot describe for DELETE.',
    parameters=[_JOB_ID, CancelQuery],
)
change_job = _operation(
    "Backfill",
    "changeJob",
    "Lower the rate limits of an active job, or add a note to any job",
    {200: JobSerializer},
    errors=(*_BODY, 404, 409),
    request=request_serializers.JobChangeBody,
    parameters=[_JOB_ID],
    examples=examples.JOB_CHANGES,
)
pause_job = _operation(
    "Backfill",
    "pauseJob",
    "Pause a job",
    {200: JobSerializer},
    errors=(*_BODY, 404, 409),
    request=request_serializers.NoteBody,
    parameters=[_JOB_ID],
)
resume_job, try_now = (
    _operation(
        "Backfill",
        operation_id,
        summary,
        {200: JobSerializer},
        errors=(*_BODY, 404, 409),
        request=None,
        parameters=[_JOB_ID],
    )
    for operation_id, summary in (
        ("resumeJob", "Resume a paused job"),
        ("tryNow", "Send the next request of a waiting job now"),
    )
)
list_items = _operation(
    "Backfill",
    "listItems",
    "List the settled items of a job",
    {(200, "application/json"): ItemPageSerializer, (200, "text/csv"): OpenApiTypes.STR},
    errors=(400, 404),
    description="With `Accept: text/csv`, all matching items as CSV in UTF-8, without paging and `order`.",
    parameters=[_JOB_ID, ItemListQuery],
)
retry_job = _operation(
    "Backfill",
    "retryJob",
    "Start a job of the failed items",
    _STARTED,
    errors=(*_BODY, 404, 409, 502),
    error_texts=_INCOMPLETE
    | {409: "NOTHING_TO_RETRY, JOB_ALREADY_RUNNING, INVALID_JOB_STATE or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.RetryBody,
    parameters=[_JOB_ID, _KEY, _LOCATION, _REPLAYED],
    examples=[
        OpenApiExample(
            "One error code and one district", {"codes": ["SERVER_ERROR"], "districts": ["91"]}, request_only=True
        )
    ],
)

_AUDIT_ORDER = "Newest first. Entries are kept for BACKFILL_AUDIT_DAYS, even if their job was deleted."
list_audit = _operation(
    "Audit",
    "listAudit",
    "List the audit log",
    {200: AuditPageSerializer},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[AuditQuery],
)
list_job_audit = _operation(
    "Audit",
    "listJobAudit",
    "List the audit log of a job",
    {200: AuditPageSerializer},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[_JOB_ID, PageQuery],
)

get_rate_limits = _operation(
    "Rate limits",
    "getRateLimits",
    "Get the rate limits of the next job",
    {200: RateLimitsResponseSerializer},
    errors=(400,),
)


def change_rate_limits(name: str) -> Decorator[Any]:
    return _operation(
        "Rate limits",
        name,
        "Change rate limits of the next job",
        {200: RateLimitsResponseSerializer},
        errors=_BODY,
        request=request_serializers.RateLimitsBody,
        examples=[OpenApiExample("Lower limits", {"maxRequestsPerMinute": 30, "minDelayMs": 1000}, request_only=True)],
    )


_NO_SNAPSHOT = {404: "SNAPSHOT_NOT_FOUND"}
list_snapshots = _operation(
    "Snapshots",
    "listSnapshots",
    "List snapshots by date and district",
    {200: SnapshotPageSerializer},
    errors=(400,),
    parameters=[SnapshotListQuery],
)
get_snapshot = _operation(
    "Snapshots",
    "getSnapshot",
    "Get a snapshot with its rows",
    {200: SnapshotSerializer, 304: _UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_SNAPSHOT,
    parameters=[*_SNAPSHOT, _IF_NONE_MATCH, _ETAG],
)
get_report = _operation(
    "Snapshots",
    "getReport",
    "Get a report as the exact bytes that were fetched",
    {(200, "text/csv"): OpenApiTypes.STR, 304: _UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_SNAPSHOT,
    parameters=[
        *_SNAPSHOT,
        OpenApiParameter("report", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(ReportName)),
        _IF_NONE_MATCH,
        _ETAG,
    ],
)

_NO_RESULT = {404: "ANALYTICS_NOT_FOUND; the message names the job that computes them"}
_RESULT_DATE = OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH)
_RESULT_DISTRICT = OpenApiParameter(
    "district",
    {"type": "string", "pattern": DISTRICT_PATTERN},
    OpenApiParameter.PATH,
    description="Such as 91 or F.",
)
get_result = _operation(
    "Analytics",
    "getResult",
    "Get the analytics of a district and a date",
    {200: DistrictResultSerializer, 304: _UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[_RESULT_DATE, _RESULT_DISTRICT, _IF_NONE_MATCH, _ETAG],
)
get_world_result = _operation(
    "Analytics",
    "getWorldResult",
    "Get the ranking of all districts of a date",
    {200: WorldResultSerializer, 304: _UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[_RESULT_DATE, _IF_NONE_MATCH, _ETAG],
)
get_series = _operation(
    "Analytics",
    "getSeries",
    "Get the trend of a district over a program year",
    {200: SeriesSerializer, 304: _UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[
        _RESULT_DISTRICT,
        SeriesQuery,
        _IF_NONE_MATCH,
        _ETAG,
    ],
)
get_coverage = _operation(
    "Coverage",
    "getCoverage",
    "Get the coverage by day, or by month with the gaps",
    {200: CoverageResponseSerializer},
    errors=(400,),
    parameters=[CoverageQuery],
)

read_calendar = _operation(
    "Coverage",
    "readCalendar",
    "Read the calendar of months that are unknown",
    {
        200: OpenApiResponse(CalendarProgressResponseSerializer, "Every month of the range is known."),
        202: _PROGRESS,
    },
    errors=(*_BODY, 502),
    error_texts=_INCOMPLETE,
    request=None,
    parameters=[CalendarQuery, _PREFER, _APPLIED, _RETRY_AFTER],
)

_WRONG_HOST = OpenApiResponse(ErrorSerializer, "The Host header is not a host of this service")
health = extend_schema(
    operation_id="isAlive",
    tags=["Probes"],
    summary="Check that the process responds",
    responses={200: HealthSerializer, 400: _WRONG_HOST, **_SERVER},
)
readiness = extend_schema(
    operation_id="isReady",
    tags=["Probes"],
    summary="Check that the job store can be read and written",
    responses={
        200: ReadinessSerializer,
        400: _WRONG_HOST,
        503: OpenApiResponse(ErrorSerializer, _ERROR_TEXTS[503]),
        **_SERVER,
    },
)
metrics = extend_schema(
    operation_id="getMetrics",
    tags=["Probes"],
    summary="Get metrics for Prometheus, the same from every process",
    responses={
        (200, "text/plain"): OpenApiTypes.STR,
        400: _WRONG_HOST,
        503: OpenApiResponse(ErrorSerializer, _ERROR_TEXTS[503]),
        **_SERVER,
    },
)
hidden = extend_schema(exclude=True)
