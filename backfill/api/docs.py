"""The OpenAPI document, the page that shows it, and the responses to unknown and removed addresses."""
# ruff: noqa: ARG002 - Django and DRF pass the request and the arguments of the path

from __future__ import annotations

from typing import Any, NoReturn

from django.http import Http404, HttpRequest
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from backfill.api import schema
from backfill.api.base import OpenView
from backfill.api.exceptions import EndpointRemoved


class OpenApi(OpenView):
    """The OpenAPI document, as JSON, or as YAML if the Accept header names it."""

    content_negotiation_class: type[BaseContentNegotiation] = DefaultContentNegotiation
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

    @schema.hidden
    def get(self, request: Request) -> Response:
        return Response(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


class Docs(SpectacularSwaggerView):
    """Swagger UI; this service serves all of its files."""

    authentication_classes = []
    http_method_names = ["get", "head"]
    url_name = "openapi"


class UnknownEndpoint(OpenView):
    """Answers every method with the same error."""

    schema = None

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise Http404


class RemovedEndpoint(UnknownEndpoint):
    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        address = reverse("backfill")
        raise EndpointRemoved(
            f"This address was removed. The backfill API is at {address}; see /api/docs.", details={"path": address}
        )
