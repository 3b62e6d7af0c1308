"""The application for WSGI servers: `gunicorn backfill_site.wsgi`."""

import os
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponseBase
from django.utils.http import parse_header_parameters

from backfill.apps import declare_serving, stop_start
from backfill_site.chunked_bodies import with_content_length
from backfill_site.script_name import without_script_name


class Utf8Request(WSGIRequest):
    """A request that is read as UTF-8, regardless of the charset in its header.

    Django looks up the charset in Python's codecs before a view runs, and fails if it is not a text encoding
    (`charset=zlib`).
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Application(WSGIHandler):
    request_class = Utf8Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        if script_name := settings.FORCE_SCRIPT_NAME:
            environ["PATH_INFO"] = without_script_name(environ.get("PATH_INFO", ""), script_name)
        return super().__call__(with_content_length(environ), start_response)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
declare_serving()
try:
    django.setup(set_prefix=False)
except ImproperlyConfigured as exc:
    stop_start(exc)
application = Application()
