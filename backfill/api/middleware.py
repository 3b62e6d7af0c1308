"""Errors that never reach a view, such as a wrong Host header, in the shape of all others."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from backfill.api import exceptions
from backfill.serializers.errors import ErrorSerializer

_PATHS_OF_PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics")
_HEADERS_KEPT = ("Allow", "Retry-After")


class JsonErrors:
    """Outermost: no program is ever answered with the web page of an error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        is_page = response.status_code >= 400 and response.get("Content-Type", "") != "application/json"
        if not is_page or not request.path_info.startswith(_PATHS_OF_PROGRAMS):
            return response
        shape = ErrorSerializer.render(_refusal_of(response.status_code))
        kept = {name: response[name] for name in _HEADERS_KEPT if name in response}
        return JsonResponse(shape, status=response.status_code, headers=kept)


def _refusal_of(status: int) -> exceptions.Refusal:
    """What is told where only the status is known."""
    match status:
        case 403:
            return exceptions.PermissionMissing("This is refused; sign in as someone who may do it.")
        case 404:
            return exceptions.NotFound("There is nothing at this address; /api/docs lists every one.")
        case 405:
            return exceptions.MethodNotAllowed("The Allow header names the methods that this address takes.")
        case 406:
            return exceptions.NotAcceptable("This address does not answer in the form that the Accept header asks for.")
    if status >= 500:
        return exceptions.InternalError(
            "Something went wrong here, not with the request; whoever runs the service finds it in the log."
        )
    return exceptions.Refusal(
        "The request is malformed, or its Host header names no host of this service (see DJANGO_ALLOWED_HOSTS)."
    )
