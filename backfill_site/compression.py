"""Compresses responses, and keeps those without a body short."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers

_OF_NOT_MODIFIED = frozenset({"cache-control", "date", "etag", "vary"})
"""RFC 9110, 15.4.5; `Expires` repeats `Cache-Control`. A browser keeps the other headers of the stored response."""


class Compression(GZipMiddleware):
    """Compresses with gzip. ETags of compressed responses are weak, and `Vary` names `Accept-Encoding`.

    An attacker who can inject text into a page and measures its size cannot guess its CSRF token (BREACH): Django masks
    the token differently in each response, and the file name in the gzip header has a random length.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code != 304:
            return super().process_response(request, response)
        for name in [name for name in response.headers if name.lower() not in _OF_NOT_MODIFIED]:
            del response[name]
        patch_vary_headers(response, ["Accept-Encoding"])
        is_compressed = re_accepts_gzip.search(request.headers.get("Accept-Encoding", ""))
        if is_compressed and response.get("ETag", "").startswith('"'):
            response["ETag"] = f"W/{response['ETag']}"
        return response


def weaken_etag(headers: MutableMapping[str, str], path: str, _url: str) -> None:
    """Give a static file a weak ETag: WhiteNoise compares it exactly, and compression weakens a strong one."""
    found = Path(path).stat()
    headers["ETag"] = f'W/"{int(found.st_mtime):x}-{found.st_size:x}"'
