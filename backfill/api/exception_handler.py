"""From whatever was raised to one shape of answer, with a sentence that says what to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DataError
from django.db import Error as DatabaseTrouble
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from rest_framework import exceptions as drf_exceptions
from rest_framework.response import Response

from backfill.api import exceptions
from backfill.errors import (
    AnalyticsNotFound,
    BackfillError,
    CorruptRecord,
    DashboardError,
    IdempotencyKeyReused,
    InvalidJobState,
    InvalidRequest,
    JobConflict,
    JobNotFound,
    LeaseLost,
    NothingToRetry,
    PlanChanged,
    SnapshotNotFound,
    Stopped,
    StorageUnavailable,
)
from backfill.serializers.errors import ErrorSerializer

STATUSES: Mapping[type[BackfillError], int] = {
    InvalidRequest: 400,
    JobNotFound: 404,
    SnapshotNotFound: 404,
    AnalyticsNotFound: 404,
    JobConflict: 409,
    PlanChanged: 409,
    InvalidJobState: 409,
    NothingToRetry: 409,
    IdempotencyKeyReused: 409,
    LeaseLost: 409,
    CorruptRecord: 500,
    DashboardError: 502,
    StorageUnavailable: 503,
    Stopped: 503,
}
"""Of an error the status of its answer; a kind that is not named has that of the kind it belongs to."""

RETRY_AFTER = 5
"""Seconds after which it is worth asking a store again that did not answer."""

_log = logging.getLogger("backfill")


def handle_exception(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to a request whose view raised; DRF calls it for every exception."""
    request = context.get("request")
    path = getattr(request, "path", "")
    error = as_backfill_error(exc, path)
    status = status_of(error)
    shape = ErrorSerializer.render(error)
    _report(error, exc, status, f"{getattr(request, 'method', '')} {path}", shape["metadata"]["operationId"])
    return Response(shape, status=status, headers=_headers(exc, error))


def as_backfill_error(exc: Exception, path: str) -> BackfillError:
    """What an operator is build of any exception; nothing of one that was not expected."""
    if isinstance(exc, BackfillError):
        return exc
    for kind, build in _FRAMEWORK_ERRORS:
        if isinstance(exc, kind):
            return build(str(getattr(exc, "detail", exc)), path)
    return exceptions.InternalError(
        "Something went wrong here, not with the request. Ask whoever runs the service to "
        "look for this operationId in the log."
    )


def status_of(error: BackfillError) -> int:
    if isinstance(error, exceptions.Refusal):
        return error.status
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def not_found(path: str) -> exceptions.NotFound:
    return exceptions.NotFound(
        f"There is nothing at {path[:200]}. /api/docs lists every address; none ends with a slash."
    )


def _permission_denied(said: str, _: str) -> BackfillError:
    if said.startswith("CSRF"):
        return exceptions.CsrfFailed(
            f"{said} Send the csrftoken cookie's value as X-CSRFToken, or sign in by token, which needs none."
        )
    return exceptions.PermissionMissing(said or "You may not do this; ask an administrator.")


_FRAMEWORK_ERRORS: tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], Callable[[str, str], BackfillError]], ...
] = (
    (
        drf_exceptions.AuthenticationFailed,
        lambda said, _: exceptions.NotAuthenticated(
            f"{said} Send a valid one as 'Authorization: Token KEY'; manage.py drf_create_token NAME makes it."
        ),
    ),
    (
        drf_exceptions.NotAuthenticated,
        lambda *_: exceptions.NotAuthenticated(
            "Sign in first: send 'Authorization: Token KEY', or sign in to the admin."
        ),
    ),
    ((drf_exceptions.PermissionDenied, PermissionDenied), _permission_denied),
    ((drf_exceptions.NotFound, Http404), lambda _, path: not_found(path)),
    (
        drf_exceptions.MethodNotAllowed,
        lambda said, _: exceptions.MethodNotAllowed(
            f"{said} The Allow header names the methods that this address takes; see /api/docs."
        ),
    ),
    (
        drf_exceptions.NotAcceptable,
        lambda *_: exceptions.NotAcceptable(
            "This address answers JSON only; send 'Accept: application/json', or none."
        ),
    ),
    (
        drf_exceptions.UnsupportedMediaType,
        lambda *_: exceptions.UnsupportedMediaType("Send the body as JSON, with 'Content-Type: application/json'."),
    ),
    (
        drf_exceptions.ParseError,
        lambda said, _: exceptions.MalformedJson(f"The body cannot be read: {said} Correct it and send it again."),
    ),
    (
        drf_exceptions.Throttled,
        lambda *_: exceptions.TooManyRequests("Too many requests came; wait as long as Retry-After says."),
    ),
    (
        RequestDataTooBig,
        lambda *_: exceptions.PayloadTooLarge("The body is larger than this service takes; name fewer things at once."),
    ),
    (
        (SuspiciousOperation, BadRequest, MultiPartParserError, UnreadablePostError),
        lambda *_: exceptions.Refusal("The request is malformed; /api/docs shows how it is written."),
    ),
    (DataError, lambda *_: exceptions.Refusal("The request holds what no database takes as text, such as a NUL.")),
    (
        DatabaseTrouble,
        lambda *_: StorageUnavailable("The database of accounts and sessions does not answer. Try again in a moment."),
    ),
)
"""What is build of an exception of either framework, from what it says and the path; the first that fits."""


def _headers(exc: Exception, error: BackfillError) -> dict[str, str]:
    headers = {}
    if scheme := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = str(scheme)
    if isinstance(error, StorageUnavailable):
        headers["Retry-After"] = str(RETRY_AFTER)
    elif wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _report(error: BackfillError, exc: Exception, status: int, where: str, operation: str) -> None:
    """One line for what is out of order, with a traceback where it is a fault of this program."""
    if status == 500:
        _log.error("%s failed with %s (operation %s): %s", where, error.code, operation, error.message, exc_info=exc)
    elif status > 500:
        cause = "" if exc is error else f" [{exc}]"
        _log.error("%s failed with %s (operation %s): %s%s", where, error.code, operation, error.message, cause)
