"""Renders every exception as an error response and logs the unexpected ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from rest_framework.response import Response

from backfill.api.exceptions import ApiError, error_spec
from backfill.errors import CalendarIncomplete, StorageUnavailable
from backfill.serializers.errors import ErrorSerializer

RETRY_AFTER = 5
"""Seconds that a client waits before it repeats a request that failed because the storage is unavailable."""

_log = logging.getLogger("backfill")


def handle_exception(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF calls this function for every exception that a view raises."""
    request = context.get("request")
    path = getattr(request, "path", "")
    error = error_spec(exc).error_for(exc, path)
    body = ErrorSerializer.render(error)
    _log_error(error, exc, f"{getattr(request, 'method', '')} {path}", body["metadata"]["operationId"])
    return Response(body, status=error.status, headers=_headers(exc, error))


def _headers(exc: Exception, error: ApiError) -> dict[str, str]:
    headers = {}
    if scheme := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = str(scheme)
    if error.code == StorageUnavailable.code:
        headers["Retry-After"] = str(RETRY_AFTER)
    elif isinstance(exc, CalendarIncomplete):
        headers["Retry-After"] = str(exc.retry_after)
    elif wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _log_error(error: ApiError, exc: Exception, request: str, operation: str) -> None:
    """Logs one line for a server error, with a traceback for a fault of this service."""
    if error.status >= 500 and not isinstance(exc, CalendarIncomplete):  # the client repeats its request
        is_fault = error.status == 500
        cause = "" if is_fault or str(exc) == error.message else f" [{exc}]"
        _log.error(
            "%s failed with %s (operation %s): %s%s",
            request,
            error.code,
            operation,
            error.message,
            cause,
            exc_info=exc if is_fault else None,
        )
