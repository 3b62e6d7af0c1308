"""The OpenAPI document: what is said of each operation, apart from the code that answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from backfill.api import examples, request_serializers
from backfill.api.fields import DISTRICT_OR_SUMMARY_PATTERN
from backfill.api.query_parameters import LARGEST_OFFSET, LARGEST_PAGE, USUAL_PAGE, Resolution
from backfill.domain import JobType, OutcomeKind, ReportName, Status
from backfill.serializers import documents, results

F = TypeVar("F")
Decorator = Callable[[F], F]

_WHY = {
    400: "VALIDATION_ERROR, INVALID_JOB_TYPE, INVALID_DATE_RANGE or MALFORMED_JSON; details name each field",
    401: "NOT_AUTHENTICATED",
    403: "PERMISSION_DENIED (the message names the permission) or CSRF_FAILED",
    404: "JOB_NOT_FOUND",
    409: "INVALID_JOB_STATE",
    411: "LENGTH_REQUIRED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    502: "DASHBOARD_UNAVAILABLE; nothing was created",
    503: "STORAGE_UNAVAILABLE; try again after Retry-After seconds",
}
_BODY = (400, 411, 413, 415)
_ALWAYS = (401, 403, 503)

_JOB_ID = OpenApiParameter("job_id", OpenApiTypes.UUID, OpenApiParameter.PATH)  # the document writes it as jobId
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~¡-¬®-ÿ]([ -~¡-¬®-ÿ]*[!-~¡-¬®-ÿ])?$"},
    OpenApiParameter.HEADER,
    description="1 to 255 printable characters. The same key and body within 24 hours answer with the same job (200).",
)
_LOCATION = OpenApiParameter(
    "Location", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 201], description="The job's own address."
)
_REPLAYED = OpenApiParameter(
    "Idempotency-Replayed", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200], description="true"
)
_ETAG = OpenApiParameter("ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200])
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="An ETag of before; 304 without a body where nothing has changed.",
)
_PAGING = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": USUAL_PAGE}),
    OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": LARGEST_OFFSET, "default": 0}),
]
_MONTH_AND_DAY = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_INSTANT = {
    "type": "string",
    "anyOf": [
        {"format": "date"},
        {"pattern": f"^[1-9][0-9]{{3}}-{_MONTH_AND_DAY}[T ]{_TIME}(:[0-5][0-9](\\.[0-9]{{1,6}})?)?(Z|[+-]{_TIME})?$"},
    ],
}
_PROGRAM_YEAR = {"type": "string", "pattern": "^[1-9][0-9]{3}-[0-9]{4}$"}
_DISTRICT = OpenApiParameter(
    "district",
    {"type": "string", "pattern": DISTRICT_OR_SUMMARY_PATTERN},
    description="91, F, or all for the district summaries.",
)
_SNAPSHOT = [
    OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH),
    OpenApiParameter(
        "district", OpenApiTypes.STR, OpenApiParameter.PATH, description="91, F, or all for the district summary."
    ),
]


def _list_of(kind: type[StrEnum]) -> dict[str, str]:
    """One or more members of an enumeration, separated by commas."""
    member = f" *({'|'.join(kind)}) *"
    return {"type": "string", "pattern": f"^{member}(,{member})*$"}


def _operation(
    tag: str,
    name: str,
    summary: str,
    answers: dict[Any, Any],
    *,
    errors: tuple[int, ...],
    why: dict[int, str] | None = None,
    **more: Any,
) -> Decorator[Any]:
    """An operation with its answers, the errors that are named, and those that any of them may have."""
    sentences = _WHY | (why or {})
    responses = answers | {
        status: OpenApiResponse(documents.Error, sentences[status]) for status in sorted({*errors, *_ALWAYS})
    }
    return extend_schema(operation_id=name, tags=[tag], summary=summary, responses=responses, **more)


_UNCHANGED = OpenApiResponse(None, "Nothing has changed since that ETag.")
_BEGUN = {
    201: OpenApiResponse(documents.Job, "The new job."),
    200: OpenApiResponse(documents.Job, "The job that this Idempotency-Key created before."),
}

start_job = _operation(
    "Backfill",
    "startJob",
    "Start a job",
    _BEGUN,
    errors=(*_BODY, 409, 502),
    why={409: "JOB_ALREADY_RUNNING (details name the job), PLAN_CHANGED or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.JobBody,
    parameters=[_KEY, _LOCATION, _REPLAYED],
    examples=[*examples.REQUESTS, examples.BUSY, examples.INVALID],
)
preview_job = _operation(
    "Backfill",
    "previewJob",
    "What a start would do",
    {200: documents.PreviewAnswer},
    errors=(*_BODY, 502),
    request=request_serializers.JobBody,
    examples=[*examples.REQUESTS, examples.PREVIEWED, examples.INVALID],
)
list_jobs = _operation(
    "Backfill",
    "listJobs",
    "Jobs, newest first",
    {200: documents.JobPage},
    errors=(400,),
    parameters=[
        *_PAGING,
        OpenApiParameter("status", _list_of(Status), description=f"A list with commas of {', '.join(Status)}."),
        OpenApiParameter("jobType", _list_of(JobType), description=f"A list with commas of {', '.join(JobType)}."),
        OpenApiParameter("createdFrom", _INSTANT, description="A date or a time; UTC where it names none."),
        OpenApiParameter(
            "createdTo",
            _INSTANT,
            description="A date, that day included, or a time before which the jobs were created.",
        ),
    ],
)
get_job = _operation(
    "Backfill",
    "getJob",
    "One job and its progress",
    {200: documents.Job, 304: _UNCHANGED},
    errors=(400, 404),
    description="Poll it every second or two with If-None-Match.",
    parameters=[_JOB_ID, _IF_NONE_MATCH, _ETAG],
)
cancel_job = _operation(
    "Backfill",
    "cancelJob",
    "Cancel a job",
    {200: OpenApiResponse(documents.CancelledJob, "cancelling while items in flight finish, or cancelled.")},
    errors=(400, 404, 409),
    parameters=[_JOB_ID],
)
change_job = _operation(
    "Backfill",
    "lowerJobLimits",
    "Lower the limits of an active job",
    {200: documents.Job},
    errors=(*_BODY, 404, 409),
    request=request_serializers.JobChangeBody,
    parameters=[_JOB_ID],
    examples=[OpenApiExample("Gentler", {"rateLimits": {"maxRequestsPerMinute": 20}}, request_only=True)],
)
pause_job = _operation(
    "Backfill",
    "pauseJob",
    "Pause a job",
    {200: documents.Job},
    errors=(*_BODY, 404, 409),
    request=None,
    parameters=[_JOB_ID],
)
resume_job = _operation(
    "Backfill",
    "resumeJob",
    "Resume a paused job",
    {200: documents.Job},
    errors=(*_BODY, 404, 409),
    request=None,
    parameters=[_JOB_ID],
)
list_items = _operation(
    "Backfill",
    "listItems",
    "How each item of a job was settled",
    {200: documents.ItemPage},
    errors=(400, 404),
    parameters=[_JOB_ID, *_PAGING, _DISTRICT, OpenApiParameter("outcome", OpenApiTypes.STR, enum=list(OutcomeKind))],
)
retry_job = _operation(
    "Backfill",
    "retryJob",
    "A new job of the failed items",
    _BEGUN,
    errors=(*_BODY, 404, 409, 502),
    why={409: "NOTHING_TO_RETRY, JOB_ALREADY_RUNNING, INVALID_JOB_STATE or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.RetryBody,
    parameters=[_JOB_ID, _KEY, _LOCATION, _REPLAYED],
    examples=[
        OpenApiExample("One kind of failure", {"codes": ["SERVER_ERROR"], "districts": ["91"]}, request_only=True)
    ],
)

_AUDIT_ORDER = "Newest first. Entries are kept for BACKFILL_AUDIT_DAYS, also those of jobs that were removed."
list_audit = _operation(
    "Audit",
    "listAudit",
    "Who did what",
    {200: documents.AuditPage},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[*_PAGING, OpenApiParameter("jobId", OpenApiTypes.UUID, description="Of one job only.")],
)
list_job_audit = _operation(
    "Audit",
    "listJobAudit",
    "Who did what to a job",
    {200: documents.AuditPage},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[_JOB_ID, *_PAGING],
)

get_rate_limits = _operation(
    "Rate limits", "getRateLimits", "The limits of the next job", {200: documents.RateLimitAnswer}, errors=(400,)
)


def change_rate_limits(name: str) -> Decorator[Any]:
    return _operation(
        "Rate limits",
        name,
        "Change any of the limits of the next job",
        {200: documents.RateLimitAnswer},
        errors=_BODY,
        request=request_serializers.RateLimitsBody,
        examples=[OpenApiExample("Gentler", {"maxRequestsPerMinute": 30, "minDelayMs": 1000}, request_only=True)],
    )


_NO_SNAPSHOT = {404: "SNAPSHOT_NOT_FOUND"}
list_snapshots = _operation(
    "Snapshots",
    "listSnapshots",
    "What is stored, by date and district",
    {200: documents.SnapshotPage},
    errors=(400,),
    parameters=[
        *_PAGING,
        _DISTRICT,
        OpenApiParameter("from", OpenApiTypes.DATE),
        OpenApiParameter("to", OpenApiTypes.DATE),
    ],
)
get_snapshot = _operation(
    "Snapshots",
    "getSnapshot",
    "One snapshot with its rows",
    {200: documents.Snapshot, 304: _UNCHANGED},
    errors=(400, 404),
    why=_NO_SNAPSHOT,
    parameters=[*_SNAPSHOT, _IF_NONE_MATCH, _ETAG],
)
get_report = _operation(
    "Snapshots",
    "getReport",
    "The exact bytes of a report as they were fetched",
    {(200, "text/csv"): OpenApiTypes.STR, 304: _UNCHANGED},
    errors=(400, 404),
    why=_NO_SNAPSHOT,
    parameters=[
        *_SNAPSHOT,
        OpenApiParameter("report", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(ReportName)),
        _IF_NONE_MATCH,
        _ETAG,
    ],
)

_NO_RESULT = {404: "ANALYTICS_NOT_FOUND; the message says which job makes them"}
_RESULT_DATE = OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH)
_RESULT_DISTRICT = OpenApiParameter("district", OpenApiTypes.STR, OpenApiParameter.PATH, description="91, or F.")
get_result = _operation(
    "Analytics",
    "getResult",
    "What was computed for a district and a date",
    {200: results.DistrictResult, 304: _UNCHANGED},
    errors=(400, 404),
    why=_NO_RESULT,
    parameters=[_RESULT_DATE, _RESULT_DISTRICT, _IF_NONE_MATCH, _ETAG],
)
get_world_result = _operation(
    "Analytics",
    "getWorldResult",
    "Every district of a date, ranked",
    {200: results.WorldResult, 304: _UNCHANGED},
    errors=(400, 404),
    why=_NO_RESULT,
    parameters=[_RESULT_DATE, _IF_NONE_MATCH, _ETAG],
)
get_series = _operation(
    "Analytics",
    "getSeries",
    "The trend of a district over a program year",
    {200: results.SeriesAnswer, 304: _UNCHANGED},
    errors=(400, 404),
    why=_NO_RESULT,
    parameters=[
        _RESULT_DISTRICT,
        OpenApiParameter("programYear", _PROGRAM_YEAR, description="Like 2022-2023; none for the newest."),
        _IF_NONE_MATCH,
        _ETAG,
    ],
)
get_coverage = _operation(
    "Coverage",
    "getCoverage",
    "What is stored of each date and district, or of each month with the gaps",
    {200: results.CoverageAnswer},
    errors=(400,),
    parameters=[
        OpenApiParameter(
            "from",
            OpenApiTypes.DATE,
            description="Where none is given, of days the year up to to, of months as far back as anything is stored.",
        ),
        OpenApiParameter(
            "to", OpenApiTypes.DATE, description="Of days, at most 1,100 after from; yesterday where none is given."
        ),
        OpenApiParameter("resolution", OpenApiTypes.STR, enum=list(Resolution), description="day where none is given."),
    ],
)

_WRONG_HOST = OpenApiResponse(documents.Error, "The Host header names no host of this service")
health = extend_schema(
    operation_id="isAlive",
    tags=["Probes"],
    summary="Whether this process answers",
    responses={200: documents.Health, 400: _WRONG_HOST},
)
readiness = extend_schema(
    operation_id="isReady",
    tags=["Probes"],
    summary="Whether the job store can be read and written",
    responses={
        200: documents.Ready,
        400: _WRONG_HOST,
        503: OpenApiResponse(documents.Error, _WHY[503]),
    },
)
metrics = extend_schema(
    operation_id="getMetrics",
    tags=["Probes"],
    summary="Figures for Prometheus, the same from every process",
    responses={
        (200, "text/plain"): OpenApiTypes.STR,
        400: _WRONG_HOST,
        503: OpenApiResponse(documents.Error, _WHY[503]),
    },
)
hidden = extend_schema(exclude=True)
