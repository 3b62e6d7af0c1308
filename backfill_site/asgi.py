"""The application for ASGI servers."""

import os
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.utils.http import parse_header_parameters

from backfill.apps import declare_serving


class Utf8Request(ASGIRequest):
    """A request that is read as UTF-8, regardless of the charset in its header; see wsgi.py."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
declare_serving()
application = get_asgi_application()
application.request_class = Utf8Request
