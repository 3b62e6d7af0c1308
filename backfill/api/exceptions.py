"""Errors of the HTTP interface: which exception is answered with which code, status and message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import BadRequest, DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.db import Error as DatabaseError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from rest_framework import exceptions as drf

from backfill import errors
from backfill.errors import BackfillError
from backfill.serializers.paths import public_path
from backfill.service.monitoring import database_message


class MalformedJson(BackfillError):
    """The body is not JSON in UTF-8."""

    code = "MALFORMED_JSON"


class EndpointRemoved(BackfillError):
    """The path belonged to an earlier version of the API."""

    code = "ENDPOINT_REMOVED"


class PreconditionRequired(BackfillError):
    """The request changes a resource without naming the version that it changes."""

    code = "PRECONDITION_REQUIRED"


class LengthRequired(BackfillError):
    """The body is sent in chunks, and the server does not report where it ends: it would be read as empty."""

    code = "LENGTH_REQUIRED"


class CsrfFailed(drf.PermissionDenied):
    """A session request without a valid CSRF token; DRF raises PermissionDenied for it."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """The values of an error response."""

    code: str
    status: int
    message: str
    is_retryable: bool
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """The response to an exception type. A BackfillError has its own code, which a subclass may override."""

    code: str
    status: int
    message: str = "{detail}"
    """Template for the exception's own message, `detail`, and the paths of the request, `path`, and the documentation,
    `docs`."""
    is_retryable: bool = False

    def error_for(self, exc: Exception | None = None, path: str = "") -> ApiError:
        if isinstance(exc, BackfillError):
            return ApiError(exc.code, self.status, exc.message, exc.is_retryable, exc.details)
        detail = database_message(exc) if isinstance(exc, DatabaseError) else str(getattr(exc, "detail", exc or ""))
        text = self.message.format(detail=detail, path=path[:200], docs=public_path("/api/docs"))
        return ApiError(self.code, self.status, BackfillError(text).message, self.is_retryable)


_MALFORMED = ErrorSpec("BAD_REQUEST", 400, "The request is malformed. See {docs} for the format.")

ERRORS: Mapping[type[Exception], ErrorSpec] = {
    # Errors of the service.
    errors.InvalidRequest: ErrorSpec(errors.InvalidRequest.code, 400),
    errors.JobNotFound: ErrorSpec(errors.JobNotFound.code, 404),
    errors.SnapshotNotFound: ErrorSpec(errors.SnapshotNotFound.code, 404),
    errors.AnalyticsNotFound: ErrorSpec(errors.AnalyticsNotFound.code, 404),
    errors.JobConflict: ErrorSpec(errors.JobConflict.code, 409),
    errors.TargetChanged: ErrorSpec(errors.TargetChanged.code, 412),
    errors.PlanChanged: ErrorSpec(errors.PlanChanged.code, 409),
    errors.InvalidJobState: ErrorSpec(errors.InvalidJobState.code, 409),
    errors.NothingToRetry: ErrorSpec(errors.NothingToRetry.code, 409),
    errors.IdempotencyKeyReused: ErrorSpec(errors.IdempotencyKeyReused.code, 409),
    errors.CalendarReadDenied: ErrorSpec(errors.CalendarReadDenied.code, 403),
    errors.CalendarIncomplete: ErrorSpec(errors.CalendarIncomplete.code, 503),
    errors.LeaseLost: ErrorSpec(errors.LeaseLost.code, 409),
    errors.CorruptRecord: ErrorSpec(errors.CorruptRecord.code, 500),
    errors.DashboardError: ErrorSpec(errors.DashboardError.code, 502),
    errors.StorageUnavailable: ErrorSpec(errors.StorageUnavailable.code, 503),
    errors.Stopped: ErrorSpec(errors.Stopped.code, 503),
    errors.BackfillError: ErrorSpec(errors.BackfillError.code, 500),
    # Errors of this package.
    MalformedJson: ErrorSpec(MalformedJson.code, 400),
    EndpointRemoved: ErrorSpec(EndpointRemoved.code, 410),
    PreconditionRequired: ErrorSpec(PreconditionRequired.code, 428),
    LengthRequired: ErrorSpec(LengthRequired.code, 411),
    # Errors of Django and DRF.
    BadRequest: _MALFORMED,
    MultiPartParserError: _MALFORMED,
    SuspiciousOperation: _MALFORMED,
    UnreadablePostError: _MALFORMED,
    DisallowedHost: ErrorSpec(
        "BAD_REQUEST",
        400,
        "The request is malformed, or its Host header is not a host of this service (see DJANGO_ALLOWED_HOSTS).",
    ),
    DataError: ErrorSpec(
        "BAD_REQUEST", 400, "The request contains text that the database cannot store, such as a NUL character."
    ),
    drf.ParseError: ErrorSpec("MALFORMED_JSON", 400, "The body cannot be read: {detail} Correct it and send it again."),
    drf.NotAuthenticated: ErrorSpec(
        "NOT_AUTHENTICATED", 401, "Sign in first: send 'Authorization: Token KEY', or sign in to the admin."
    ),
    drf.AuthenticationFailed: ErrorSpec(
        "NOT_AUTHENTICATED",
        401,
        "{detail} Send a valid token as 'Authorization: Token KEY'; manage.py drf_create_token NAME creates one.",
    ),
    drf.PermissionDenied: ErrorSpec("PERMISSION_DENIED", 403),
    PermissionDenied: ErrorSpec(
        "PERMISSION_DENIED", 403, "You do not have the permission for this request. Ask an administrator for it."
    ),
    CsrfFailed: ErrorSpec(
        "CSRF_FAILED",
        403,
        "{detail} Send the value of the csrftoken cookie as X-CSRFToken, or authenticate with a token instead.",
    ),
    Http404: ErrorSpec(
        "NOT_FOUND", 404, "There is nothing at {path}. {docs} lists all addresses; none ends with a slash."
    ),
    drf.NotFound: ErrorSpec(
        "NOT_FOUND", 404, "There is nothing at {path}. {docs} lists all addresses; none ends with a slash."
    ),
    drf.MethodNotAllowed: ErrorSpec(
        "METHOD_NOT_ALLOWED", 405, "{detail} The Allow header lists the methods of this address; see {docs}."
    ),
    drf.NotAcceptable: ErrorSpec(
        "NOT_ACCEPTABLE",
        406,
        "This address does not support the media type of the Accept header; send 'Accept: application/json', or none.",
    ),
    RequestDataTooBig: ErrorSpec(
        "PAYLOAD_TOO_LARGE", 413, "The body is larger than this service accepts. Send fewer values at once."
    ),
    drf.UnsupportedMediaType: ErrorSpec(
        "UNSUPPORTED_MEDIA_TYPE", 415, "Send the body as JSON, with 'Content-Type: application/json'."
    ),
    drf.Throttled: ErrorSpec(
        "TOO_MANY_REQUESTS", 429, "Too many requests. Wait for the time in Retry-After.", is_retryable=True
    ),
    Exception: ErrorSpec(
        "INTERNAL_ERROR",
        500,
        "The service failed; the request was not the cause. Ask the operator to look for this operationId in the log.",
    ),
    DatabaseError: ErrorSpec(errors.StorageUnavailable.code, 503, is_retryable=True),
}
"""Each entry also applies to the subclasses without an entry of their own."""


def error_spec(exc: Exception) -> ErrorSpec:
    kinds = type(exc).__mro__
    if isinstance(exc, drf.PermissionDenied) and str(exc.detail).startswith("CSRF"):
        kinds = CsrfFailed.__mro__
    return next(ERRORS[kind] for kind in kinds if kind in ERRORS)
