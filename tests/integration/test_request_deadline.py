"""A request ends at its deadline or when it is aborted, whatever the dashboard sends."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from backfill.dashboard.client import DashboardClient
from backfill.errors import (
    BackfillError,
    ConnectionFailed,
    DashboardError,
    Stopped,
    TimedOut,
)
from tests.fault_server import CERTIFICATE

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
PAGE = b'<a href="District.aspx?id=61">District 61</a>'
GOOD = OK + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE

Send = Callable[[socket.socket], None]


@contextmanager
def serving(send: Send, *, tls: bool = False) -> Iterator[str]:
    """Call `send` once for each request of each connection; yield the address."""

    def serve(connection: socket.socket) -> None:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            connection = context.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            while connection.recv(65536):
                send(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"


def repeats(first: bytes, data: bytes, pause: float = 0.02) -> Send:
    def send(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(data)
            time.sleep(pause)

    return send


def in_turn(answers: list[Send]) -> Send:
    def send(connection: socket.socket) -> None:
        answers.pop(0)(connection)

    return send


def client_of(url: str) -> closing[DashboardClient]:
    return closing(DashboardClient(url, read_timeout=20, deadline=0.5))


def failure_of(client: DashboardClient) -> BackfillError:
    with pytest.raises(BackfillError) as caught:
        client.home_page()
    return caught.value


SLOW = {
    "no response": repeats(b"", b""),
    "status line": repeats(b"HTTP/1.1 200 ", b"O"),
    "header": repeats(OK + b"X: ", b"a"),
    "body": repeats(OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "body without length": repeats(OK + b"\r\n", b"x"),
    "chunks": repeats(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "chunk size": repeats(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailer": repeats(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"T"),
}


@pytest.mark.parametrize("send", SLOW.values(), ids=SLOW.keys())
def test_a_slow_response_times_out_at_the_deadline(send: Send) -> None:
    with serving(send) as url, client_of(url) as client:
        began = time.monotonic()
        error = failure_of(client)
        assert 0.4 < time.monotonic() - began < 5
    assert type(error) is TimedOut
    assert "incomplete after 0.5 s" in error.message


def test_a_slow_response_over_tls_times_out_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with serving(SLOW["header"], tls=True) as url, client_of(url) as client:
        assert "incomplete after 0.5 s" in failure_of(client).message


def test_a_tls_handshake_without_an_answer_times_out_at_the_deadline() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with closing(DashboardClient(url, connect_timeout=20, deadline=0.5)) as client:
            began = time.monotonic()
            assert type(failure_of(client)) is TimedOut
            assert time.monotonic() - began < 5


def test_the_deadline_applies_to_a_reused_connection() -> None:
    answers: list[Send] = [lambda connection: connection.sendall(GOOD), SLOW["header"]]
    with serving(in_turn(answers)) as url, client_of(url) as client:
        assert client.home_page() == ("61",)
        assert type(failure_of(client)) is TimedOut


def test_a_request_succeeds_after_one_that_timed_out() -> None:
    answers: list[Send] = [SLOW["body"], lambda connection: connection.sendall(GOOD)]
    with serving(in_turn(answers)) as url, client_of(url) as client:
        assert type(failure_of(client)) is TimedOut
        assert client.home_page() == ("61",)


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
def test_a_few_interim_responses_are_skipped(interim: bytes) -> None:
    answer = b"HTTP/1.1 %s\r\nLink: x\r\n\r\n" % interim * 3 + GOOD
    with serving(lambda connection: connection.sendall(answer)) as url, closing(DashboardClient(url)) as client:
        assert client.home_page() == ("61",)


@pytest.mark.parametrize(
    ("first", "data"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"T: x\r\n" * 100),
    ],
    ids=["interim responses", "trailers"],
)
def test_endless_interim_responses_and_trailers_fail_before_the_deadline(first: bytes, data: bytes) -> None:
    with serving(repeats(first, data)) as url, closing(DashboardClient(url, deadline=60)) as client:
        began = time.monotonic()
        assert type(failure_of(client)) is ConnectionFailed
        assert time.monotonic() - began < 10


def aborted(client: DashboardClient, abort: DashboardClient) -> list[BackfillError]:
    """Send a request with `client`, call `abort` of the other one while it runs, and return the errors."""
    errors: list[BackfillError] = []
    thread = threading.Thread(target=lambda: errors.append(failure_of(client)), daemon=True)
    thread.start()
    time.sleep(0.3)
    abort.abort()
    thread.join(1.5)
    return errors


def test_abort_ends_the_requests_in_flight() -> None:
    with serving(SLOW["header"]) as url, closing(DashboardClient(url, read_timeout=20)) as client:
        (error,) = aborted(client, client)
    assert isinstance(error, Stopped)
    assert not isinstance(error, DashboardError)


@contextmanager
def never_connecting() -> Iterator[str]:
    """Yield the address of a server whose queue of connections is full, so that the next connect waits."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def assert_it_ends_before_it_is_connected(url: str) -> None:
    with closing(DashboardClient(url, connect_timeout=8, deadline=0.5)) as client:
        began = time.monotonic()
        assert type(failure_of(client)) is TimedOut
        assert time.monotonic() - began < 3
    with closing(DashboardClient(url, connect_timeout=8)) as client:
        assert [type(error) for error in aborted(client, client)] == [Stopped]


def test_a_connect_ends_at_the_deadline_and_when_it_is_aborted() -> None:
    with never_connecting() as url:
        assert_it_ends_before_it_is_connected(url)


def test_a_name_resolution_ends_at_the_deadline_and_when_it_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(8))
    assert_it_ends_before_it_is_connected("http://dashboard.example")


def test_a_connection_that_opens_after_the_deadline_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    opened: list[bytes] = []

    def slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.8)
        return resolve(*args, **options)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(5)
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with closing(DashboardClient(url, deadline=0.3)) as client:
            assert type(failure_of(client)) is TimedOut
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            opened.append(connection.recv(100))
    assert opened == [b""]  # the end of the connection


def test_two_content_lengths_that_contradict_each_other_are_a_broken_connection() -> None:
    answer = OK + b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE
    with serving(lambda connection: connection.sendall(answer)) as url, closing(DashboardClient(url)) as client:
        error = failure_of(client)
    assert (type(error), "with invalid headers" in error.message) == (ConnectionFailed, True)


def test_abort_of_a_scope_ends_its_own_requests_only() -> None:
    with serving(SLOW["header"]) as url, closing(DashboardClient(url, read_timeout=20, deadline=3)) as client:
        assert aborted(client, client.scope()) == []
        scope = client.scope()
        assert [type(error) for error in aborted(scope, scope)] == [Stopped]


@pytest.mark.parametrize(
    "url", ["http://me:se/cret@host.example", "me:secret@host", "http://me:secret@host:99999", "http://me:s@cret@[::1"]
)
def test_errors_do_not_contain_the_password_of_the_address(url: str) -> None:
    with closing(DashboardClient(url)) as client:
        message = failure_of(client).message
    assert "cret" not in message
    assert "BACKFILL_DASHBOARD_URL" in message
