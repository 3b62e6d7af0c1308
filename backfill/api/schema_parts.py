"""Parameters and responses that operations of the OpenAPI document share, and the decorator that describes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from backfill.api.fields import DISTRICT_OR_SUMMARY_PATTERN
from backfill.serializers.calendar import CalendarProgressResponseSerializer
from backfill.serializers.errors import ErrorSerializer

F = TypeVar("F")
Decorator = Callable[[F], F]

ERROR_TEXTS = {
    400: "VALIDATION_ERROR, INVALID_JOB_TYPE, INVALID_DATE_RANGE or MALFORMED_JSON; details name the fields",
    401: "NOT_AUTHENTICATED",
    403: "PERMISSION_DENIED (the message names the permission) or CSRF_FAILED",
    404: "JOB_NOT_FOUND",
    409: "INVALID_JOB_STATE",
    411: "LENGTH_REQUIRED",
    412: "TARGET_CHANGED: another operator changed it; read it again and repeat the change",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    428: "PRECONDITION_REQUIRED: the If-Match header is missing",
    429: "TOO_MANY_REQUESTS: too many unknown tokens from this address; try again after Retry-After seconds",
    502: "DASHBOARD_UNAVAILABLE; nothing was created",
    503: "STORAGE_UNAVAILABLE; try again after Retry-After seconds",
}
INCOMPLETE = {
    503: "CALENDAR_INCOMPLETE after 50 s: calendar pages are missing (details say how many), and nothing was created; "
    "repeat the request after Retry-After seconds, and it continues. Or STORAGE_UNAVAILABLE"
}
BODY = (400, 411, 413, 415)
SERVER = {
    (414, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The address is longer than the web server accepts"),
    (431, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The headers are larger than the web server accepts"),
}
"""Responses of gunicorn or nginx, which the service does not see."""
ALWAYS = (401, 403, 429, 503)

JOB_ID = OpenApiParameter("job_id", OpenApiTypes.UUID, OpenApiParameter.PATH)  # CAMELIZE_NAMES renders it as jobId
KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~¡-¬®-ÿ]([ -~¡-¬®-ÿ]*[!-~¡-¬®-ÿ])?$"},
    OpenApiParameter.HEADER,
    description="1 to 255 printable characters. The same key and body within 24 hours return the same job (200).",
)
LOCATION = OpenApiParameter(
    "Location", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 201], description="The path of the job."
)
REPLAYED = OpenApiParameter(
    "Idempotency-Replayed", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200], description="true"
)
NEXT_PAGE = OpenApiParameter(
    "Link",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200],
    description='The path of the next page: `<…?cursor=…>; rel="next"`. Absent on the last page.',
)
ETAG = OpenApiParameter("ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200])
UNCHANGED = OpenApiResponse(None, "Nothing has changed since the response with this ETag.")
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of an earlier response. The response is 304 without a body if nothing has changed.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag of the response to GET, or * to replace any version. Without it the response is 428.",
)
PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="With respond-async (RFC 7240) the response comes after at most 5 seconds: 202 with the progress if "
    "pages of the dashboard's calendar are missing. Repeat the request after Retry-After seconds; it continues.",
)
APPLIED = OpenApiParameter(
    "Preference-Applied", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[202], description="respond-async"
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After", OpenApiTypes.INT, OpenApiParameter.HEADER, response=[202, 503], description="Seconds."
)
PROGRESS = OpenApiResponse(
    CalendarProgressResponseSerializer, "Pages of the dashboard's calendar are still missing; repeat the request."
)
SNAPSHOT = [
    OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH),
    OpenApiParameter(
        "district",
        {"type": "string", "pattern": DISTRICT_OR_SUMMARY_PATTERN},
        OpenApiParameter.PATH,
        description="91, F, or all for the district summary.",
    ),
]


def operation(
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
    texts = ERROR_TEXTS | (error_texts or {})
    described = {status: OpenApiResponse(ErrorSerializer, texts[status]) for status in sorted({*errors, *ALWAYS})}
    responses = successes | described | SERVER
    return extend_schema(operation_id=name, tags=[tag], summary=summary, responses=responses, **more)
