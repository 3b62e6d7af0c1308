"""The door for WSGI servers: `gunicorn backfill_site.wsgi`."""

import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")


class Utf8Request(WSGIRequest):
    """A request whose charset is UTF-8, whatever its header says.

    Django would look the name up among Python's codecs before any of our code runs, and fail on one that is no text
    encoding (`charset=zlib`).
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


application = get_wsgi_application()
application.request_class = Utf8Request
