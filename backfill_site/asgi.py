"""The application for ASGI servers."""

import os
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.utils.http import parse_header_parameters

from backfill.apps import declare_serving, stop_start
from backfill_site.chunked_bodies import received_with_content_length
from backfill_site.script_name import with_script_name


class Utf8Request(ASGIRequest):
    """A request that is read as UTF-8, regardless of the charset in its header; see wsgi.py."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Application(ASGIHandler):
    request_class = Utf8Request

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if script_name := settings.FORCE_SCRIPT_NAME:
            scope = {**scope, "path": with_script_name(scope.get("path", ""), script_name)}
        if scope["type"] == "http":
            scope, receive = await received_with_content_length(scope, receive)
        await super().__call__(scope, receive, send)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
declare_serving()
try:
    django.setup(set_prefix=False)
except ImproperlyConfigured as exc:
    stop_start(exc)
application = Application()
