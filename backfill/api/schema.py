"""Decorators that describe each operation in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from backfill.api import examples, request_serializers, target_request
from backfill.api.query_parameters import (
    AuditQuery,
    CalendarQuery,
    CancelQuery,
    CoverageQuery,
    ItemListQuery,
    JobListQuery,
    PageQuery,
)
from backfill.api.schema_parts import (
    APPLIED,
    BODY,
    ERROR_TEXTS,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    INCOMPLETE,
    JOB_ID,
    KEY,
    LOCATION,
    NEXT_PAGE,
    PREFER,
    PROGRESS,
    REPLAYED,
    RETRY_AFTER,
    SERVER,
    UNCHANGED,
    Decorator,
    operation,
)
from backfill.serializers.audit import AuditPageSerializer
from backfill.serializers.calendar import CalendarProgressResponseSerializer
from backfill.serializers.coverage import CoverageResponseSerializer
from backfill.serializers.errors import ErrorSerializer
from backfill.serializers.items import ItemPageSerializer
from backfill.serializers.jobs import CancelledJobSerializer, JobPageSerializer, JobSerializer
from backfill.serializers.previews import PreviewResponseSerializer
from backfill.serializers.probes import HealthSerializer, ReadinessSerializer
from backfill.serializers.rate_limits import RateLimitsResponseSerializer
from backfill.serializers.targets import CoverageTargetResponseSerializer, TargetPreviewResponseSerializer

_STARTED = {
    201: OpenApiResponse(JobSerializer, "The new job."),
    200: OpenApiResponse(JobSerializer, "The job that an earlier request with this Idempotency-Key created."),
}

start_job = operation(
    "Backfill",
    "startJob",
    "Start a job",
    _STARTED,
    errors=(*BODY, 409, 502),
    error_texts=INCOMPLETE
    | {409: "JOB_ALREADY_RUNNING (details name the job), PLAN_CHANGED or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.JobBody,
    parameters=[KEY, LOCATION, REPLAYED],
    examples=[*examples.REQUESTS, examples.BUSY, examples.PLAN_CHANGED, examples.INVALID],
)
preview_job = operation(
    "Backfill",
    "previewJob",
    "Preview a job",
    {200: PreviewResponseSerializer, 202: PROGRESS},
    errors=(*BODY, 502),
    error_texts=INCOMPLETE
    | {
        403: "PERMISSION_DENIED: the message names the permission. If calendar pages are missing, a preview reads the "
        "dashboard, which requires backfill.add_backfilljob. Or CSRF_FAILED"
    },
    request=request_serializers.JobBody,
    parameters=[PREFER, APPLIED, RETRY_AFTER],
    examples=[*examples.REQUESTS, examples.PREVIEWED, examples.INVALID],
)
list_jobs = operation(
    "Backfill",
    "listJobs",
    "List jobs, newest first",
    {200: JobPageSerializer},
    errors=(400,),
    parameters=[JobListQuery, NEXT_PAGE],
)
get_job = operation(
    "Backfill",
    "getJob",
    "Get a job and its progress",
    {200: JobSerializer, 304: UNCHANGED},
    errors=(400, 404),
    description="Poll this address every one or two seconds with If-None-Match.",
    parameters=[JOB_ID, IF_NONE_MATCH, ETAG],
)
cancel_job = operation(
    "Backfill",
    "cancelJob",
    "Cancel a job",
    {
        200: OpenApiResponse(
            CancelledJobSerializer, "The job; its status is cancelling while running items finish, otherwise cancelled."
        )
    },
    errors=(*BODY, 404, 409),
    description='The body may be `{"note": "…"}`, which OpenAPI cannot describe for DELETE.',
    parameters=[JOB_ID, CancelQuery],
)
change_job = operation(
    "Backfill",
    "lowerJobLimits",
    "Lower the rate limits of an active job, or add a note to any job",
    {200: JobSerializer},
    errors=(*BODY, 404, 409),
    request=request_serializers.JobChangeBody,
    parameters=[JOB_ID],
    examples=examples.JOB_CHANGES,
)
pause_job = operation(
    "Backfill",
    "pauseJob",
    "Pause a job",
    {200: JobSerializer},
    errors=(*BODY, 404, 409),
    request=request_serializers.NoteBody,
    parameters=[JOB_ID],
)
resume_job, try_now = (
    operation(
        "Backfill",
        operation_id,
        summary,
        {200: JobSerializer},
        errors=(*BODY, 404, 409),
        request=None,
        parameters=[JOB_ID],
    )
    for operation_id, summary in (
        ("resumeJob", "Resume a paused job"),
        ("tryNow", "Send the next request of a waiting job now"),
    )
)
list_items = operation(
    "Backfill",
    "listItems",
    "List the settled items of a job",
    {(200, "application/json"): ItemPageSerializer, (200, "text/csv"): OpenApiTypes.STR},
    errors=(400, 404),
    description="With `Accept: text/csv`, all matching items as CSV in UTF-8, without paging and `order`.",
    parameters=[JOB_ID, ItemListQuery, NEXT_PAGE],
)
retry_job = operation(
    "Backfill",
    "retryJob",
    "Start a job of the failed items",
    _STARTED,
    errors=(*BODY, 404, 409, 502),
    error_texts=INCOMPLETE
    | {409: "NOTHING_TO_RETRY, JOB_ALREADY_RUNNING, INVALID_JOB_STATE or IDEMPOTENCY_KEY_REUSED"},
    request=request_serializers.RetryBody,
    parameters=[JOB_ID, KEY, LOCATION, REPLAYED],
    examples=[
        OpenApiExample(
            "One error code and one district", {"codes": ["SERVER_ERROR"], "districts": ["91"]}, request_only=True
        )
    ],
)

_AUDIT_ORDER = "Newest first. Entries are kept for BACKFILL_AUDIT_DAYS, even if their job was deleted."
list_audit = operation(
    "Audit",
    "listAudit",
    "List the audit log",
    {200: AuditPageSerializer},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[AuditQuery, NEXT_PAGE],
)
list_job_audit = operation(
    "Audit",
    "listJobAudit",
    "List the audit log of a job",
    {200: AuditPageSerializer},
    errors=(400, 404),
    description=_AUDIT_ORDER,
    parameters=[JOB_ID, PageQuery, NEXT_PAGE],
)

get_rate_limits = operation(
    "Rate limits",
    "getRateLimits",
    "Get the rate limits of the next job",
    {200: RateLimitsResponseSerializer},
    errors=(400,),
)


def change_rate_limits(name: str) -> Decorator[Any]:
    return operation(
        "Rate limits",
        name,
        "Change rate limits of the next job",
        {200: RateLimitsResponseSerializer},
        errors=BODY,
        request=request_serializers.RateLimitsBody,
        examples=[OpenApiExample("Lower limits", {"maxRequestsPerMinute": 30, "minDelayMs": 1000}, request_only=True)],
    )


get_coverage = operation(
    "Coverage",
    "getCoverage",
    "Get the coverage by day, or by month with the gaps",
    {200: CoverageResponseSerializer},
    errors=(400,),
    parameters=[CoverageQuery],
)

read_calendar = operation(
    "Coverage",
    "readCalendar",
    "Read the calendar of months that are unknown",
    {
        200: OpenApiResponse(CalendarProgressResponseSerializer, "Every month of the range is known."),
        202: PROGRESS,
    },
    errors=(*BODY, 502),
    error_texts=INCOMPLETE,
    request=None,
    parameters=[CalendarQuery, PREFER, APPLIED, RETRY_AFTER],
)

get_target = operation(
    "Coverage target",
    "getTarget",
    "Get the coverage target and its status",
    {200: CoverageTargetResponseSerializer},
    errors=(400,),
    description="The status is the result of the last check; this request reads no snapshots.",
    parameters=[ETAG],
)
set_target = operation(
    "Coverage target",
    "setTarget",
    "Replace the coverage target",
    {200: CoverageTargetResponseSerializer},
    errors=(*BODY, 412, 428),
    request=target_request.CoverageTargetBody,
    parameters=[IF_MATCH, ETAG],
    examples=examples.TARGETS,
)
check_target = operation(
    "Coverage target",
    "checkTarget",
    "Check the coverage target now and collect what is missing",
    {202: OpenApiResponse(CoverageTargetResponseSerializer, "The check takes place when no job is active.")},
    errors=BODY,
    request=None,
)
preview_target = operation(
    "Coverage target",
    "previewTarget",
    "Preview the first check of a coverage target",
    {200: TargetPreviewResponseSerializer, 202: PROGRESS},
    errors=(*BODY, 502),
    error_texts=INCOMPLETE,
    request=target_request.CoverageTargetBody,
    parameters=[PREFER, APPLIED, RETRY_AFTER],
    examples=examples.TARGETS,
)

health = extend_schema(
    operation_id="isAlive",
    tags=["Probes"],
    summary="Check that the process responds",
    responses={200: HealthSerializer, **SERVER},
)
readiness = extend_schema(
    operation_id="isReady",
    tags=["Probes"],
    summary="Check that the job store can be read and written",
    responses={
        200: ReadinessSerializer,
        503: OpenApiResponse(ErrorSerializer, ERROR_TEXTS[503]),
        **SERVER,
    },
)
metrics = extend_schema(
    operation_id="getMetrics",
    tags=["Probes"],
    summary="Get metrics for Prometheus, the same from every process",
    responses={
        (200, "text/plain"): OpenApiTypes.STR,
        503: OpenApiResponse(ErrorSerializer, ERROR_TEXTS[503]),
        **SERVER,
    },
)
hidden = extend_schema(exclude=True)
