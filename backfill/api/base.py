"""Base classes of the API views."""
# ruff: noqa: ARG002 - DRF passes arguments that are not used

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, ClassVar

from django.http import HttpRequest
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from backfill import bootstrap
from backfill.api.exceptions import MalformedJson
from backfill.api.fields import printable
from backfill.api.permissions import VIEW, HasBackfillPermission
from backfill.domain import Actor, Channel
from backfill.serializers.base import PageSerializer
from backfill.service.commands import BackfillService
from backfill.service.pagination import ListPage

PRIVATE = "private, no-cache"
"""Only the client itself may store the response, and it must revalidate it with the ETag."""

NO_STORE = {"Cache-Control": "no-store"}


class StrictJson(JSONParser):
    """Parses JSON in UTF-8, regardless of the charset in the header, and rejects extensions such as NaN."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            text = stream.read().decode("utf-8")
            return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError) as exc:
            reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)[:200]
            raise MalformedJson(f"The body is not JSON in UTF-8: {reason}. Correct it and send it again.") from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class CsvRenderer(BaseRenderer):
    """Makes `Accept: text/csv` acceptable; the view streams the rows itself."""

    media_type = "text/csv"
    format = "csv"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Other parsers take the first of two equal names; a proxy could check another value than this service uses."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise MalformedJson(f"The body has the field {printable(name)!r} twice. Send each field once.")
        values[name] = value
    return values


class AnyAccept(BaseContentNegotiation):
    """Ignores the Accept header, for addresses with a single media type."""

    def select_renderer(  # type: ignore[override]
        self,
        request: Request,
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], str(renderers[0].media_type)


class ApiView(APIView):
    """A view of one address. `permissions` maps HTTP methods to permissions; the default is VIEW."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    parser_classes = [StrictJson]
    permission_classes = [HasBackfillPermission]
    permissions: ClassVar[Mapping[str, str]] = {}

    def permission_for(self) -> str:
        return self.permissions.get((self.request.method or "").lower(), VIEW)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        request.encoding = "utf-8"  # the charset of the header could name any codec
        return super().initialize_request(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if getattr(response, "exception", False):  # errors are JSON, whatever the client accepts
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), str(JSONRenderer.media_type)
        response = super().finalize_response(request, response, *args, **kwargs)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = PRIVATE
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response

    @property
    def actor(self) -> Actor:
        """The user as the actor of an audit entry."""
        return Actor(self.request.user.get_username(), Channel.API)

    @property
    def service(self) -> BackfillService:
        return bootstrap.backfill_service()


class ApiViewSet(ViewSetMixin, ApiView):
    """Views of several addresses. `permissions` maps actions to permissions; the default is VIEW."""

    def permission_for(self) -> str:
        return self.permissions.get(self.action or "", VIEW)


class OpenView(ApiView):
    """A public view. It does not look up the user, so that it works while the database is unavailable."""

    authentication_classes = []
    permission_classes = []
    content_negotiation_class: type[BaseContentNegotiation] = AnyAccept


def page_response(request: Request, kind: type[PageSerializer], page: ListPage[Any]) -> Response:
    """A page of a list; `Link` names the next one by its path, as `Location` does elsewhere."""
    response = Response(kind.render(page))
    if page.next_cursor is not None:
        address = remove_query_param(request.get_full_path(), "offset")
        response["Link"] = f'<{replace_query_param(address, "cursor", page.next_cursor)}>; rel="next"'
    return response


def is_known(request: Request, etag: str) -> bool:
    """Whether the If-None-Match header contains this ETag."""
    header = request.headers.get("If-None-Match", "")
    known = {tag.removeprefix("W/") for tag in parse_etags(header)}
    return "*" in known or etag in known


def unchanged(etag: str) -> Response:
    return Response(status=304, headers={"ETag": etag})
