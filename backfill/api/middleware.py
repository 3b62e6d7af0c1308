"""Middleware: security headers, JSON for errors outside the API views, and validation of the Host header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.security import SecurityMiddleware
from rest_framework.exceptions import MethodNotAllowed, NotAcceptable

from backfill.api.exceptions import ERRORS, ErrorSpec, LengthRequired
from backfill.serializers.errors import ErrorSerializer

PROBES = ("/healthz", "/readyz", "/metrics")
_JSON_PATHS = ("/api/", *PROBES)
_KEPT_HEADERS = ("Allow", "Retry-After")
_EXCEPTIONS: dict[int, type[Exception]] = {
    403: PermissionDenied,
    404: Http404,
    405: MethodNotAllowed,
    406: NotAcceptable,
}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CHUNKED = LengthRequired(
    "The body was sent in chunks, and the web server does not report where such a body ends. Send it with a "
    "Content-Length header. Operators: gunicorn accepts chunks, and nginx does not forward them."
)
_SERVER_ERROR = ErrorSpec(
    "INTERNAL_ERROR", 500, "The service failed; the request was not the cause. The log contains the details."
)


class SecurityHeaders:
    """The outermost middleware: adds the security headers that a response does not have yet.

    The middleware that usually sets them does not see a response that is made outside of it, for example to a wrong
    Host header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        kinds: tuple[Any, ...] = (XFrameOptionsMiddleware, CSPMiddleware, SecurityMiddleware)
        self._middleware = [kind(get_response) for kind in kinds]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code == 304:
            return response  # the client has the headers of the stored response
        for middleware in self._middleware:
            response = middleware.process_response(request, response)
        return response


class JsonErrors:
    """Programs never receive an HTML error page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        status = response.status_code
        is_page = status >= 400 and response.get("Content-Type", "") != "application/json"
        if not is_page or not request.path_info.startswith(_JSON_PATHS):
            return response
        spec = _SERVER_ERROR if status >= 500 else ERRORS[_EXCEPTIONS.get(status, DisallowedHost)]
        body = ErrorSerializer.render(spec.error_for(path=request.path))
        headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
        return JsonResponse(body, status=status, headers=headers)


class HostValidation(CommonMiddleware):
    """Django's CommonMiddleware, which validates the Host header, but not for the probes.

    Orchestrators and load balancers send the address of the process as the host. The responses of the probes do not
    depend on it.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in PROBES else super().process_request(request)


class BodyLength:
    """Refuses a body in chunks that the entry point of the server could not read; it would be treated as empty."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in _WITH_BODY or "Transfer-Encoding" not in request.headers:
            return self._get_response(request)
        error = ERRORS[LengthRequired].error_for(_CHUNKED)
        if request.path_info.startswith(_JSON_PATHS):
            return JsonResponse(ErrorSerializer.render(error), status=error.status)
        return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
