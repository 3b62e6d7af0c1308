"""What every view of this door shares."""
# ruff: noqa: ARG002 - the framework passes what it passes

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, ClassVar

from django.http import HttpRequest
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from backfill import bootstrap
from backfill.api.exceptions import LengthRequired, MalformedJson
from backfill.api.permissions import VIEW, HasBackfillPermission
from backfill.domain import Actor, Channel
from backfill.service.commands import BackfillService

PRIVATE = "private, no-cache"
"""May be kept by the one who asked, and must be asked for again with its ETag."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class StrictJson(JSONParser):
    """JSON in UTF-8, whatever charset the header names; nothing that JSON does not know, such as NaN."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return json.loads(stream.read().decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)[:200]
            raise MalformedJson(f"The body is no JSON in UTF-8: {reason}. Correct it and send it again.") from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class AnyAccept(BaseContentNegotiation):
    """For addresses that have one form only: what Accept says changes nothing."""

    def select_renderer(  # type: ignore[override]
        self,
        request: Request,
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], str(renderers[0].media_type)


class ApiView(APIView):
    """A view of one address. `permissions` says by method what it takes."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    parser_classes = [StrictJson]
    permission_classes = [HasBackfillPermission]
    permissions: ClassVar[Mapping[str, str]] = {}

    def permission_for(self) -> str:
        return self.permissions.get((self.request.method or "").lower(), VIEW)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        request.encoding = "utf-8"  # of JSON and addresses alike; a charset of the header could name any codec
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in _WITH_BODY and "Transfer-Encoding" in request.headers:
            raise LengthRequired("The body came in chunks. Send it in one piece, with its Content-Length.")

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if not answer.has_header("Cache-Control"):
            answer["Cache-Control"] = PRIVATE
        patch_vary_headers(answer, ["Authorization", "Cookie"])
        return answer

    @property
    def actor(self) -> Actor:
        """Who asks, for the verbs that change something."""
        return Actor(self.request.user.get_username(), Channel.API)

    @property
    def service(self) -> BackfillService:
        return bootstrap.backfill_service()


class ApiViewSet(ViewSetMixin, ApiView):
    """Views of several addresses. `permissions` says by action what it takes."""

    def permission_for(self) -> str:
        return self.permissions.get(self.action or "", VIEW)


class OpenView(ApiView):
    """For anybody; who asks is not looked up, so that it answers while the store does not."""

    authentication_classes = []
    permission_classes = []
    content_negotiation_class: type[BaseContentNegotiation] = AnyAccept


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has what bears this tag."""
    header = request.headers.get("If-None-Match", "")
    known = {tag.removeprefix("W/") for tag in parse_etags(header)}
    return "*" in known or etag in known


def unchanged(etag: str) -> Response:
    return Response(status=304, headers={"ETag": etag})
