"""Compresses responses, and keeps their headers short where they matter."""

from __future__ import annotations

import gzip
from collections.abc import MutableMapping
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseFileResponse

_OF_NOT_MODIFIED = frozenset({"cache-control", "date", "etag", "vary"})
"""RFC 9110, 15.4.5; `Expires` repeats `Cache-Control`. A browser keeps the other headers of the stored response."""

_NOT_OF_FILES = ("Cross-Origin-Opener-Policy", "Last-Modified", "Referrer-Policy")
"""Headers that only documents need, or that the ETag replaces."""

_TEXTS = ("text/", "image/svg")


class Compression(GZipMiddleware):
    """Compresses with gzip. ETags of compressed responses are weak, and `Vary` names `Accept-Encoding`.

    An attacker who can inject text into a page and measures its size cannot guess its CSRF token (BREACH): Django masks
    the token differently in each response, and the file name in the gzip header has a random length. Static files have
    no secret; each process compresses each of them once.
    """

    _files: dict[tuple[str, str], bytes] = {}
    """Compressed static files by path and ETag."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        accepts_gzip = bool(re_accepts_gzip.search(request.headers.get("Accept-Encoding", "")))
        if response.status_code == 304:
            return _not_modified(response, accepts_gzip=accepts_gzip)
        if isinstance(response, WhiteNoiseFileResponse):
            return self._file(request, response, accepts_gzip=accepts_gzip)
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed

    def _file(self, request: HttpRequest, response: WhiteNoiseFileResponse, *, accepts_gzip: bool) -> HttpResponseBase:
        unchanged: HttpResponseBase = response
        for name in _NOT_OF_FILES:
            del response[name]
        is_text = response.get("Content-Type", "").startswith(_TEXTS) and not response.has_header("Content-Encoding")
        if request.method != "GET" or response.status_code != 200 or not is_text:
            return unchanged
        patch_vary_headers(response, ["Accept-Encoding"])
        if not accepts_gzip:
            return unchanged
        key = request.path_info, response["ETag"]
        if key not in self._files:
            self._files[key] = gzip.compress(response.getvalue(), mtime=0)
        response.close()
        packed = HttpResponse(self._files[key], headers={**response.headers, "Content-Encoding": "gzip"})
        packed["Content-Length"] = str(len(self._files[key]))
        return packed


def _not_modified(response: HttpResponseBase, *, accepts_gzip: bool) -> HttpResponseBase:
    for name in [name for name in response.headers if name.lower() not in _OF_NOT_MODIFIED]:
        del response[name]
    patch_vary_headers(response, ["Accept-Encoding"])
    if accepts_gzip and response.get("ETag", "").startswith('"'):
        response["ETag"] = f"W/{response['ETag']}"
    return response


def weaken_etag(headers: MutableMapping[str, str], path: str, _url: str) -> None:
    """Give a static file a weak ETag, the same with and without compression. WhiteNoise compares it exactly."""
    found = Path(path).stat()
    headers["ETag"] = f'W/"{int(found.st_mtime):x}-{found.st_size:x}"'
