"""Bodies in chunks, as cloudflared and some ingress controllers send them, under real servers."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.acceptance.harness import Client, Dashboard, Site
from tests.shared import free_port

START = "/api/admin/backfill"
UWSGI = shutil.which("uwsgi", path=str(Path(sys.executable).parent))
BODY = b'{"jobType": "data-collection", "startDate": "2024-03-30", "endDate": "2024-03-31"}'


def chunks(body: bytes) -> Iterator[bytes]:
    """requests sends an iterator in chunks."""
    for at in range(0, len(body), 7):
        yield body[at : at + 7]


def sign_in(client: Client) -> requests.Response:
    # Without a session: uWSGI closes the first connection without saying so, and the second request could fail on it.
    page = f"{client.url}/admin/login/"
    cookies = requests.get(page, timeout=30).cookies
    body = f"username=operator&password=operator&csrfmiddlewaretoken={cookies['csrftoken']}&next=/admin/".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Referer": page}
    return requests.post(page, data=chunks(body), headers=headers, cookies=cookies, allow_redirects=False, timeout=30)


def send(client: Client, body: Iterator[bytes]) -> requests.Response:
    headers = {"Authorization": f"Token {client.token}", "Content-Type": "application/json"}
    return requests.post(f"{client.url}{START}/preview", data=body, headers=headers, timeout=60)


def status_of(client: Client, request: bytes) -> int:
    """Return the status of the response to these bytes, after which the client closes its side."""
    host, port = client.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return int(stream.readline().split()[1])


def test_gunicorn_accepts_bodies_in_chunks_within_the_size_limit(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    client = new_site(sample, BACKFILL_WORKER="off").serve()
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    preview = send(client, chunks(BODY))
    assert (preview.status_code, preview.json()["preview"]["jobType"]) == (200, "data-collection")

    large = send(client, (b" " * 65536 for _ in range(17)))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    head = f"POST {START}/preview HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {client.token}\r\n".encode()
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    for broken in (b"no number\r\n{}\r\n0\r\n\r\n", b"5\r\n{", b"2\r\n{}"):
        assert status_of(client, head + broken) == 400
    assert client.get("/readyz")["status"] == "ok"


def test_a_server_that_does_not_terminate_the_stream_answers_411_with_an_explanation(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    if UWSGI is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("uWSGI is missing; `make setup` installs it.")
    site = new_site(sample, BACKFILL_WORKER="off")
    port = free_port()
    options = ("--module=backfill_site.wsgi", f"--virtualenv={sys.prefix}", "--need-app", "--processes=2")
    process = site.spawn(UWSGI, f"--http-socket=127.0.0.1:{port}", *options)
    client = Client(f"http://127.0.0.1:{port}", site.token, process)
    client.wait_until_up()
    page = sign_in(client)
    api = send(client, chunks(BODY))
    assert (page.status_code, api.status_code) == (411, 411)
    assert api.json()["error"]["code"] == "LENGTH_REQUIRED"
    assert page.text == api.json()["error"]["message"]
    assert "Content-Length" in page.text
