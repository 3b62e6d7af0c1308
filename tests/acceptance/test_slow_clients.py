"""Slow clients in front of the shipped configuration of nginx."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.acceptance.harness import Dashboard, Site
from tests.acceptance.nginx import nginx_before

HOST = b"Host: 127.0.0.1\r\n"
SLOWLY = {
    "nothing": b"",
    "half a request line": b"GET /hea",
    "half headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: ",
    "a body that never comes": (
        b"POST /api/admin/backfill HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{"
    ),
    "a sign-in that never comes": (
        b"POST /admin/login/ HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 1000\r\n\r\na"
    ),
    "chunks that never end": (
        b"POST /api/admin/backfill HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    ),
    "nothing after a response": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a large response that it does not read": b"GET /api/schema HTTP/1.1\r\n" + HOST + b"\r\n",
}
"""What a slow client sends before it stops."""


@contextmanager
def slow_clients(port: int, count: int, first: bytes) -> Iterator[None]:
    """Keep that many connections open, each of which has sent the beginning of a request."""
    connections = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(count)]
    try:
        for connection in connections:
            connection.sendall(first)
        yield
    finally:
        for connection in connections:
            connection.close()


def slowest(url: str, times: int) -> float:
    """Return the seconds of the slowest of some honest requests, of which each gets its response."""
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        assert requests.get(url, timeout=10).status_code == 200
        seconds.append(time.monotonic() - began)
    return max(seconds)


@pytest.mark.paced
def test_slow_clients_do_not_delay_honest_requests_behind_nginx(
    sample: Dashboard, new_site: Callable[..., Site], tmp_path: Path
) -> None:
    """Without nginx, as many slow clients as gunicorn has threads stop the service."""
    client = new_site(sample, BACKFILL_WORKER="off", BACKFILL_PROXIES="1").serve("--workers", "2")
    with nginx_before(client, tmp_path) as port:
        address = f"http://127.0.0.1:{port}/healthz"
        found = {}
        for name, first in SLOWLY.items():
            for count in (16, 500):
                with slow_clients(port, count, first):
                    # A second measurement tells a blocked service from a moment in which this machine is busy.
                    found[name, count] = min(slowest(address, 4), slowest(address, 4))
        assert {case: seconds for case, seconds in found.items() if seconds >= 1} == {}

        with ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(lambda _: requests.get(address, timeout=30).status_code, range(500)))
        assert set(statuses) == {200}


def test_the_configuration_of_nginx_passes_on_what_the_service_needs(
    sample: Dashboard, new_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = new_site(sample, BACKFILL_WORKER="off", BACKFILL_PROXIES="1")
    client = site.serve()
    with nginx_before(client, tmp_path) as port:
        base = f"http://127.0.0.1:{port}"
        forged = {"X-Forwarded-For": "203.0.113.66", "Authorization": "Token nonsense"}
        assert requests.get(f"{base}/api/admin/backfill/jobs", headers=forged, timeout=10).status_code == 401
        assert "A token from 127.0.0.1 was refused" in site.logs()
        assert "203.0.113.66" not in site.logs()

        big = requests.post(f"{base}/api/admin/backfill", data=b"{" + b" " * 1_200_000, timeout=10)
        assert (big.status_code, big.headers["Content-Type"]) == (401, "application/json")
        for url in (base, client.url):  # gunicorn itself ignores the header, too
            script = requests.get(f"{url}/api/nothing", headers={"SCRIPT_NAME": "/evil"}, timeout=10)
            assert (script.status_code, "evil" in script.text) == (404, False)
        address = {"Host": "10.42.0.17:8000"}  # of a kubelet
        assert requests.get(f"{base}/readyz", headers=address, timeout=10).status_code == 200
        assert requests.get(f"{base}/api/admin/backfill/jobs", headers=address, timeout=10).status_code == 400
        page = requests.get(f"{base}/admin/", timeout=10)
        assert page.url == f"{base}/admin/login/?next=/admin/"
        assert requests.get(f"{base}/static/admin/css/base.css", timeout=10).status_code == 200


def test_a_refused_body_is_read_to_its_end_so_that_its_sender_gets_the_response(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    """nginx answers 502 if the service closes the connection while nginx still sends the body."""
    client = new_site(sample, BACKFILL_WORKER="off").serve()
    body = b"{" + b" " * 1_500_000
    head = b"POST /api/admin/backfill HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body)
    address, _, port = client.url.removeprefix("http://").partition(":")
    with socket.create_connection((address, int(port)), 10) as connection:
        connection.sendall(head + body[:500_000])
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        connection.sendall(body[500_000:] + b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        following = b""
        while b"HTTP/1.1 200 " not in following:
            received = connection.recv(65536)
            assert received, following
            following += received
