"""Compresses responses, and keeps their headers short where they matter."""

from __future__ import annotations

import gzip
import re
from collections.abc import MutableMapping
from pathlib import Path

import brotli
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseFileResponse

_OF_NOT_MODIFIED = frozenset({"cache-control", "date", "etag", "vary"})
"""RFC 9110, 15.4.5; `Expires` repeats `Cache-Control`. A browser keeps the other headers of the stored response."""

_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""The content policy of styles and scripts, which need no other."""

_STYLES_AND_SCRIPTS = ("text/css", "text/javascript")
_TEXTS = ("text/", "image/svg")
_ACCEPTS_BROTLI = re.compile(r"\bbr\b")
_LARGE = 200_000
"""Bytes from which brotli would take seconds at its highest quality."""


class Compression(GZipMiddleware):
    """Compresses with gzip, and static files also with brotli.

    ETags of compressed responses are weak, and `Vary` names `Accept-Encoding`.

    An attacker who can inject text into a page and measures its size cannot guess its CSRF token (BREACH): Django masks
    the token differently in each response, and the file name in the gzip header has a random length. Static files have
    no secret; each process compresses each of them once.
    """

    _files: dict[tuple[str, str, str], bytes] = {}
    """Compressed static files by path, ETag and encoding."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        accepted = request.headers.get("Accept-Encoding", "")
        if response.status_code == 304:
            return _not_modified(response, accepts_gzip=bool(re_accepts_gzip.search(accepted)))
        if isinstance(response, WhiteNoiseFileResponse):
            return self._file(request, response, accepted)
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed

    def _file(self, request: HttpRequest, response: WhiteNoiseFileResponse, accepted: str) -> HttpResponseBase:
        unchanged: HttpResponseBase = response
        kind = response.get("Content-Type", "")
        if kind.startswith(_STYLES_AND_SCRIPTS):
            del response["Last-Modified"]  # the ETag replaces it
            response["Content-Security-Policy"] = _FILE_POLICY
        is_text = kind.startswith(_TEXTS) and not response.has_header("Content-Encoding")
        if request.method != "GET" or response.status_code != 200 or not is_text:
            return unchanged
        patch_vary_headers(response, ["Accept-Encoding"])
        encoding = "br" if _ACCEPTS_BROTLI.search(accepted) else "gzip" if re_accepts_gzip.search(accepted) else ""
        if not encoding:
            return unchanged
        key = request.path_info, response["ETag"], encoding
        if key not in self._files:
            self._files[key] = _packed(response.getvalue(), encoding)
        response.close()
        headers = {**response.headers, "Content-Encoding": encoding, "Content-Length": str(len(self._files[key]))}
        return HttpResponse(self._files[key], headers=headers)


def _packed(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(content, mtime=0)
    packed: bytes = brotli.compress(content, quality=11 if len(content) < _LARGE else 5)
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
