"""The OpenAPI document, the page that shows it, and the responses to unknown and removed addresses."""
# ruff: noqa: ARG002 - Django and DRF pass the request and the arguments of the path

from __future__ import annotations

from functools import cache
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from backfill.api import schema
from backfill.api.base import OpenView
from backfill.api.exceptions import EndpointRemoved
from backfill.serializers.jobs import API
from backfill.serializers.paths import public_path


class DocumentationView(APIView):
    """A view that is public, or requires a sign-in if BACKFILL_DOCS says so."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        kinds: list[type[BaseAuthentication]] = api_settings.DEFAULT_AUTHENTICATION_CLASSES  # type: ignore[assignment]
        return [kind() for kind in kinds] if _requires_sign_in() else []

    def get_permissions(self) -> list[BasePermission]:
        return [IsAuthenticated()] if _requires_sign_in() else []


def _requires_sign_in() -> bool:
    return bool(settings.BACKFILL_DOCS == "sign-in")


class OpenApi(DocumentationView, OpenView):
    """The OpenAPI document, as JSON, or as YAML if the Accept header names it."""

    content_negotiation_class: type[BaseContentNegotiation] = DefaultContentNegotiation
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

    @schema.hidden
    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        return HttpResponse(_rendered(str(renderer.format)), content_type=str(renderer.media_type))


@cache
def _rendered(name: str) -> str | bytes:
    """The document as `yaml`, or as JSON. It is the same for every request, and takes 0.3 s to make."""
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    renderer = OpenApiYamlRenderer() if name == OpenApiYamlRenderer.format else OpenApiJsonRenderer()
    rendered: str | bytes = renderer.render(document, renderer_context={})
    return rendered


class Docs(DocumentationView, SpectacularSwaggerSplitView):
    """Swagger UI; this service serves all of its files. The page has no inline code, as the security policy requires.

    With the query `?script=` the address returns the script that configures the page.
    """

    http_method_names = ["get", "head"]
    template_name = "api/docs.html"
    url_name = "openapi"

    def handle_exception(self, exc: Exception) -> HttpResponseBase:  # type: ignore[override]
        """Send a browser that is not signed in to the sign-in page."""
        if isinstance(exc, NotAuthenticated | AuthenticationFailed):
            return redirect_to_login(self.request.get_full_path(), reverse("admin:login"))
        return super().handle_exception(exc)


class UnknownEndpoint(OpenView):
    """Answers every method with the same error."""

    schema = None

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise Http404


class RemovedEndpoint(UnknownEndpoint):
    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise EndpointRemoved(
            f"This address was removed. The backfill API is at {public_path(API)}; see {public_path('/api/docs')}.",
            details={"path": API},
        )
