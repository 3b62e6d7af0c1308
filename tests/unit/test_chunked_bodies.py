"""Bodies in chunks are read within the size limit, and get a length."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import pytest
from pytest_django import Settings

from backfill_site.chunked_bodies import received_with_content_length, with_content_length

LIMIT = 10


@pytest.fixture(autouse=True)
def _limit(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT


def environ_of(body: bytes, **more: object) -> dict[str, Any]:
    return {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(body), "wsgi.input_terminated": True, **more}


@pytest.mark.parametrize(("sent", "read"), [(b"", b""), (b"x" * LIMIT, b"x" * LIMIT), (b"x" * 99, b"x" * (LIMIT + 1))])
def test_a_terminated_stream_is_read_up_to_one_byte_more_than_the_limit(sent: bytes, read: bytes) -> None:
    original = environ_of(sent)
    environ = with_content_length(original)
    assert (environ["wsgi.input"].read(), environ["CONTENT_LENGTH"]) == (read, str(len(read)))
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert original["wsgi.input"].read() == sent[len(read) :], "The server can read the rest."


@pytest.mark.parametrize("missing", ["HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"])
def test_other_bodies_are_not_read(missing: str) -> None:
    environ = environ_of(b"body")
    del environ[missing]
    assert with_content_length(environ) is environ
    assert environ["wsgi.input"].read() == b"body"


def received(*events: dict[str, Any], headers: Any = ((b"transfer-encoding", b"chunked"),)) -> tuple[Any, list[Any]]:
    """Return the headers that Django sees, and the events that it receives."""
    left = [{"type": "http.request", **event} for event in events]

    async def receive() -> Any:
        return left.pop(0)

    async def run() -> tuple[Any, list[Any]]:
        scope, replay = await received_with_content_length({"type": "http", "headers": list(headers)}, receive)
        seen = [await replay()]
        while left:
            seen.append(await replay())
        return dict(scope["headers"]), seen

    return asyncio.run(run())


def test_an_asgi_body_in_chunks_becomes_one_event_with_its_length() -> None:
    headers, seen = received(
        {"body": b"ab", "more_body": True}, {"body": b"cd", "more_body": False}, {"type": "http.disconnect"}
    )
    assert headers == {b"content-length": b"4"}
    body = {"type": "http.request", "body": b"abcd", "more_body": False}
    assert seen == [body, {"type": "http.disconnect"}]


def test_an_asgi_body_above_the_limit_is_not_read_to_its_end() -> None:
    headers, seen = received(*[{"body": b"x" * 8, "more_body": True}] * 5)
    assert headers == {b"content-length": b"16"}
    assert seen[0]["body"] == b"x" * 16
    assert len(seen) == 4


def test_an_asgi_client_that_leaves_before_the_end_is_reported_as_gone() -> None:
    _, seen = received({"body": b"x", "more_body": True}, {"type": "http.disconnect"})
    assert seen == [{"type": "http.disconnect"}]


def test_an_asgi_body_with_a_length_is_passed_on_unread() -> None:
    event = {"body": b"ab", "more_body": False}
    headers, seen = received(event, headers=[(b"content-length", b"2")])
    assert (headers, seen) == ({b"content-length": b"2"}, [{"type": "http.request", **event}])
