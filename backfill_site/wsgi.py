"""The application for WSGI servers: `gunicorn backfill_site.wsgi`."""

import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from backfill.apps import declare_serving


class Utf8Request(WSGIRequest):
    """A request that is read as UTF-8, regardless of the charset in its header.

    Django looks up the charset in Python's codecs before a view runs, and fails if it is not a text encoding
    (`charset=zlib`).
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
declare_serving()
application = get_wsgi_application()
application.request_class = Utf8Request
