"""Addresses that are no part of the service's work: probes, the OpenAPI document, what is gone, what never was."""
# ruff: noqa: ARG002 - the framework passes what it passes

from __future__ import annotations

from typing import Any, NoReturn

from django.http import HttpRequest
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import OpenView
from backfill.api.exception_handler import not_found
from backfill.api.exceptions import EndpointRemoved
from backfill.serializers import values

_OK = {"status": "ok"}
_FRESH = {"Cache-Control": "no-store"}


class Health(OpenView):
    @schema.health
    def get(self, request: Request) -> Response:
        return Response(_OK, headers=_FRESH)


class Readiness(OpenView):
    @schema.readiness
    def get(self, request: Request) -> Response:
        self.service.ping()
        seen_at = self.service.worker_seen_at()
        message = self.service.missing_worker(seen_at)
        return Response({**_OK, "workerSeenAt": values.instant(seen_at), "message": message}, headers=_FRESH)


class AnyMethod(OpenView):
    """The same answer to every method there is."""

    schema = None

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        self.refuse(request)

    def refuse(self, request: HttpRequest) -> NoReturn:
        raise not_found(request.path)


class RemovedEndpoint(AnyMethod):
    def refuse(self, request: HttpRequest) -> NoReturn:
        address = reverse("backfill")
        raise EndpointRemoved(
            f"This address is gone. Backfill is at {address} now; /api/docs shows how it is used.",
            details={"path": address},
        )


class OpenApi(OpenView):
    """The OpenAPI document, as JSON or as YAML where that is asked for."""

    content_negotiation_class: type[BaseContentNegotiation] = DefaultContentNegotiation
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

    @schema.hidden
    def get(self, request: Request) -> Response:
        return Response(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


class Docs(SpectacularSwaggerView):
    """The document as a page, all of it served from here."""

    authentication_classes = []
    http_method_names = ["get", "head"]
    url_name = "openapi"
