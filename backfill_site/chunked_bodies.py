"""Request bodies in chunks (`Transfer-Encoding: chunked`), as some proxies send them.

Django reads as many bytes as Content-Length says, and an empty body without it. So the body is read here, up to one
byte more than the service accepts, and its length is stated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from django.conf import settings

Receive = Callable[[], Any]


class _Unreadable:
    """A body that could not be read; Django answers 400 when it reads it."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def read(self, *_: object) -> bytes:
        raise self._error

    readline = read


def with_content_length(environ: dict[str, Any]) -> dict[str, Any]:
    """Read a body in chunks, if the WSGI server reports where it ends, and return an environment with its length.

    The server keeps the original environment, from which it may read the rest of a body that is too large.
    """
    if "HTTP_TRANSFER_ENCODING" not in environ or not environ.get("wsgi.input_terminated"):
        return environ
    changed = {name: value for name, value in environ.items() if name != "HTTP_TRANSFER_ENCODING"}
    try:
        body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        return {**changed, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    except OSError as exc:
        return {**changed, "wsgi.input": _Unreadable(exc), "CONTENT_LENGTH": "1"}


async def received_with_content_length(scope: dict[str, Any], receive: Receive) -> tuple[dict[str, Any], Receive]:
    """Read a body in chunks and state its length. ASGI servers always report where a body ends."""
    headers: list[tuple[bytes, bytes]] = scope.get("headers", [])
    if all(name != b"transfer-encoding" for name, _ in headers):
        return scope, receive
    body = b""
    event: Mapping[str, Any] = {"more_body": True}
    while event.get("more_body") and len(body) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        event = await receive()
        if event["type"] != "http.request":  # the client is gone
            break
        body += event.get("body", b"")
    kept = [(name, value) for name, value in headers if name not in {b"transfer-encoding", b"content-length"}]
    events = [event if event["type"] != "http.request" else {"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return events.pop() if events else await receive()

    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}, replay
