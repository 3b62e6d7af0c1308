"""Requests of the dashboard client, and the errors into which it translates invalid responses."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.client import IncompleteRead
from typing import Any

import pytest
import requests
import responses
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from backfill import __version__
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest
from backfill.domain import Edition, ProgramYear, ReportName
from backfill.errors import (
    ConnectionFailed,
    DashboardError,
    HtmlPage,
    NotCsv,
    NotSent,
    Overloaded,
    ServerError,
    Throttled,
    TimedOut,
    TooLarge,
    TransientDashboardError,
    Truncated,
    UnexpectedStatus,
    WrongAsOf,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BASE = "https://dashboard.example"
REQUEST = ReportRequest(
    report=ReportName.CLUBS,
    district="91",
    edition=Edition(
        month_end=date(2023, 1, 31), as_of=date(2023, 2, 8), is_final=True, is_archived=True, asks_blank=False
    ),
)
REPORT_STRING = "clubperformance~91~1/31/2023~2/8/2023~2022-2023"
COLUMNS = NEEDED_COLUMNS[ReportName.CLUBS]
CSV = (
    "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in [COLUMNS, ["91", *COLUMNS[1:]]])
    + "\r\nMonth of Jan, As of 02/08/2023\r\n"
).encode()
CALENDAR = (
    "<html><body>"
    + "".join(
        f'<select id="cpContent_TopControls1_{name}">'
        f'<option selected="selected" value="{value}">{value}</option></select>'
        for name, value in (
            ("ddlDistricts", "91"),
            ("ddlProgramYear", "2022-2023"),
            ("ddlMonth", "1"),
            ("ddlAsOf", "2/8/2023"),
        )
    )
    + "</body></html>"
)


@contextmanager
def client_of(base_url: str = BASE, **options: Any) -> Iterator[DashboardClient]:
    with closing(DashboardClient(base_url, now=lambda: NOW, **options)) as client:
        yield client


def error_of_response(**answer: Any) -> DashboardError:
    """Returns the error that the client raises for a response to a report request."""
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", **answer)
        with pytest.raises(DashboardError) as raised:
            client.report(REQUEST)
    return raised.value


# Requests and valid responses.


def test_a_fetched_report_contains_the_exact_bytes_of_the_response() -> None:
    """R2.2"""
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=CSV)
        report = client.report(REQUEST)
        sent = mock.calls[0].request
    assert (report.content, report.rows, report.size) == (CSV, 1, len(CSV))
    assert sent.url == f"{BASE}/2022-2023/export.aspx?type=CSV&report={REPORT_STRING}"


def test_a_calendar_page_is_fetched_and_parsed() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/2022-2023/Club.aspx", body=CALENDAR)
        page = client.calendar_page(date(2023, 1, 31), district="01", is_archived=True)
        assert mock.calls[0].request.url == f"{BASE}/2022-2023/Club.aspx?id=01&month=1"
    assert (page.program_year, page.as_of_days) == (ProgramYear(2022), (date(2023, 2, 8),))


def test_the_home_page_is_fetched_and_its_districts_are_parsed() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/", body='<a href="District.aspx?id=201&amp;hideclub=1">District 201</a>')
        assert client.home_page() == ("201",)


def test_an_error_page_instead_of_the_home_page_is_refused() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/", status=302, headers={"Location": "/error.aspx"})
        with pytest.raises(HtmlPage, match="error page instead of the home page /"):
            client.home_page()


def test_an_error_page_instead_of_a_calendar_page_is_refused_and_its_path_is_named() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/Club.aspx", body="<html>An error has occured please report this</html>")
        with pytest.raises(HtmlPage, match=r"the calendar page /Club\.aspx\?id=01&month=1 is not a calendar page"):
            client.calendar_page(date(2027, 1, 31), district="01", is_archived=False)


@pytest.mark.parametrize("base_url", [f"{BASE}/", f" {BASE} ", BASE])
def test_the_base_address_may_end_with_a_slash(base_url: str) -> None:
    with responses.RequestsMock() as mock, client_of(base_url) as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=CSV)
        assert client.report(REQUEST).rows == 1


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ("", f"unified-backfill-service/{__version__}"),
        ("ops@example.org", f"unified-backfill-service/{__version__} (+ops@example.org)"),
        ("ops@example.org\r\nX-Evil: 1 \u2603", f"unified-backfill-service/{__version__} (+ops@example.org X-Evil: 1)"),
    ],
)
def test_the_user_agent_names_the_service_and_the_contact(contact: str, expected: str) -> None:
    with responses.RequestsMock() as mock, client_of(contact=contact) as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=CSV)
        client.report(REQUEST)
        assert mock.calls[0].request.headers["User-Agent"] == expected


def test_cookies_are_neither_stored_nor_sent() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=CSV, headers={"Set-Cookie": "session=1; Path=/"})
        client.report(REQUEST)
        client.report(REQUEST)
        assert "Cookie" not in mock.calls[1].request.headers


def test_a_gzip_response_is_decompressed() -> None:
    with responses.RequestsMock() as mock, client_of() as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=gzip.compress(CSV), headers={"Content-Encoding": "gzip"})
        assert client.report(REQUEST).content == CSV


def test_all_members_of_a_gzip_response_are_decompressed() -> None:
    third = len(CSV) // 3
    members = [gzip.compress(part) for part in (CSV[:third], b"", CSV[third : 2 * third], CSV[2 * third :])]
    for packed in (b"".join(members), b"".join(members) + bytes(8)):
        with responses.RequestsMock() as mock, client_of() as client:
            mock.get(f"{BASE}/2022-2023/export.aspx", body=packed, headers={"Content-Encoding": "gzip"})
            assert client.report(REQUEST).content == CSV


def test_gzip_with_an_incomplete_last_member_is_truncated() -> None:
    packed = gzip.compress(CSV) + gzip.compress(CSV)[:-9]
    assert type(error_of_response(body=packed, headers={"Content-Encoding": "gzip"})) is Truncated


# Invalid bodies.


def test_the_error_of_a_refused_report_contains_its_beginning() -> None:
    refused = error_of_response(body=CSV.replace(b"02/08/2023", b"02/09/2023"))
    assert isinstance(refused, WrongAsOf)
    assert refused.excerpt.startswith('"District",')
    assert refused.excerpt.endswith("Month of Jan, As of 02/09/2023\n")
    assert error_of_response(body=b"\r\n<html>" + b"x" * 5000).excerpt.startswith("\n<html>xxx")
    assert error_of_response(status=500).excerpt == ""


def test_gzip_members_whose_total_size_exceeds_the_limit_are_refused() -> None:
    with responses.RequestsMock() as mock, client_of(max_bytes=100_000) as client:
        packed = gzip.compress(bytes(60_000)) * 2
        mock.get(f"{BASE}/2022-2023/export.aspx", body=packed, headers={"Content-Encoding": "gzip"})
        with pytest.raises(TooLarge):
            client.report(REQUEST)


def test_a_body_that_is_not_the_requested_report_is_refused() -> None:
    assert isinstance(error_of_response(body=b"slow down"), NotCsv)
    assert isinstance(error_of_response(body=b"\r\n<html></html>"), HtmlPage)
    assert isinstance(error_of_response(body=CSV.replace(b"02/08/2023", b"02/09/2023")), WrongAsOf)
    assert isinstance(error_of_response(body=CSV[:-40]), Truncated)
    assert isinstance(error_of_response(body=b""), Truncated)


def test_a_body_larger_than_the_limit_is_refused() -> None:
    with responses.RequestsMock() as mock, client_of(max_bytes=len(CSV)) as client:
        mock.get(f"{BASE}/2022-2023/export.aspx", body=CSV)
        assert client.report(REQUEST).rows == 1
        mock.replace("GET", f"{BASE}/2022-2023/export.aspx", body=CSV + b" ")
        with pytest.raises(TooLarge, match=REPORT_STRING):
            client.report(REQUEST)


def test_gzip_that_decompresses_to_more_than_the_limit_is_refused() -> None:
    with responses.RequestsMock() as mock, client_of(max_bytes=100_000) as client:
        mock.get(
            f"{BASE}/2022-2023/export.aspx", body=gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}
        )
        with pytest.raises(TooLarge):
            client.report(REQUEST)


def test_invalid_gzip_is_refused() -> None:
    packed = gzip.compress(CSV)
    assert isinstance(error_of_response(body=packed[:-10], headers={"Content-Encoding": "gzip"}), Truncated)
    broken = error_of_response(body=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (type(broken), broken.is_retryable) == (TransientDashboardError, True)


def test_an_unrequested_content_encoding_is_named_in_the_error() -> None:
    error = error_of_response(body=CSV, headers={"Content-Encoding": "br"})
    assert (type(error), '"br"' in error.message) == (TransientDashboardError, True)


# Statuses.


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_status_is_a_retryable_error(status: int) -> None:
    error = error_of_response(status=status, body="URL Rewrite Module Error.")
    assert (type(error), error.is_retryable) == (Overloaded if status == 503 else ServerError, True)
    assert error.code == "SERVER_ERROR"
    assert error.message.startswith(f'The dashboard answered "{status} ')
    assert error.message.endswith(f'" to {REPORT_STRING}.')


@pytest.mark.parametrize("status", [204, 206, 304, 400, 403, 404, 410])
def test_an_unexpected_status_is_refused(status: int) -> None:
    error = error_of_response(status=status)
    assert (type(error), error.is_retryable, error.status) == (UnexpectedStatus, True, status)
    assert f'"{status} ' in error.message
    assert "BACKFILL_DASHBOARD_URL" in error.message


@pytest.mark.parametrize("status", [408, 421, 425])
def test_a_status_that_concerns_the_connection_is_transient(status: int) -> None:
    error = error_of_response(status=status)
    assert (type(error), error.is_retryable, error.status) == (TransientDashboardError, True, status)


@pytest.mark.parametrize("location", ["/error.aspx", "/Error.aspx?aspxerrorpath=/x", f"{BASE}/error.aspx"])
def test_a_redirect_to_the_error_page_is_a_retryable_html_page_error(location: str) -> None:
    error = error_of_response(status=302, headers={"Location": location})
    assert (type(error), error.is_retryable) == (HtmlPage, True)
    assert REPORT_STRING in error.message


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "http://[broken", "/login.aspx"])
def test_any_other_redirect_is_not_followed_and_its_location_is_named(location: str) -> None:
    error = error_of_response(status=301, headers={"Location": location})
    assert type(error) is UnexpectedStatus
    assert location in error.message
    assert "BACKFILL_DASHBOARD_URL" in error.message


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [
        (429, "120", timedelta(seconds=120)),
        (503, "120", timedelta(seconds=120)),
        (429, " 1.5 ", timedelta(seconds=1.5)),
        (429, "0", None),
        (429, "-7", None),
        (429, "9" * 400, timedelta(days=1)),
        (429, "Sun, 01 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        (429, "Sun, 01 Nov 2026 12:00:30 -0000", timedelta(seconds=30)),
        (429, "Sat, 31 Oct 2026 12:00:00 GMT", None),
        (429, "Sun, 01 Nov 9999 12:00:00 GMT", timedelta(days=1)),
        (429, "nan", None),
        (429, "soon", None),
        (503, "", None),
        (429, None, None),
    ],
)
def test_a_throttling_response_states_when_to_retry(
    status: int, retry_after: str | None, wait: timedelta | None
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    error = error_of_response(status=status, headers=headers)
    assert isinstance(error, Throttled)
    assert error.retry_at == (None if wait is None else NOW + wait)
    assert REPORT_STRING in error.message


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=40))
@example("Sun, 99999999999999999999 Nov 2026 12:00:30 GMT")
@example("Sun, 01 Nov 99999999999999999999 12:00:30 GMT")
@example("Sun, 01 Nov 2026 12:00:30 +99999999999")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("-inf")
def test_an_arbitrary_retry_after_header_never_breaks_the_client(retry_after: str) -> None:
    error = error_of_response(status=429, headers={"Retry-After": retry_after})
    assert isinstance(error, Throttled)
    assert error.retry_at is None or NOW <= error.retry_at <= NOW + timedelta(days=1)


@pytest.mark.parametrize("clock_of_server", [NOW + timedelta(hours=3), NOW - timedelta(days=2)])
def test_a_retry_after_date_is_relative_to_the_date_header_of_the_response(clock_of_server: datetime) -> None:
    headers = {
        "Date": format_datetime(clock_of_server, usegmt=True),
        "Retry-After": format_datetime(clock_of_server + timedelta(seconds=90), usegmt=True),
    }
    error = error_of_response(status=429, headers=headers)
    assert isinstance(error, Throttled)
    assert error.retry_at == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_a_retry_after_date_is_relative_to_now_without_a_valid_date_header(date: str) -> None:
    headers = {"Date": date, "Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}
    error = error_of_response(status=429, headers=headers)
    assert isinstance(error, Throttled)
    assert error.retry_at == NOW + timedelta(seconds=90)


# Addresses, proxies and connections.


@pytest.mark.parametrize(
    "base_url",
    [
        "dashboard.example",
        "ftp://dashboard.example",
        "http://",
        "http://[::1",
        "http://*.example",
        "",
        f"http://{'a' * 70}.example",
        "http://dashboard.example:999999",
        "http://127.0.0.1:port",
    ],
)
def test_the_error_of_an_invalid_address_names_the_setting(base_url: str) -> None:
    with client_of(base_url) as client, pytest.raises(DashboardError, match="BACKFILL_DASHBOARD_URL") as raised:
        client.report(REQUEST)
    assert not raised.value.is_retryable
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize(
    ("exception", "expected", "is_retryable"),
    [
        (requests.ConnectTimeout(), TimedOut, True),
        (requests.ReadTimeout(), TimedOut, True),
        (requests.ConnectionError(ProtocolError("Connection broken", IncompleteRead(b"", 10))), Truncated, True),
        (requests.exceptions.ChunkedEncodingError(IncompleteRead(b"", 10)), Truncated, True),
        (requests.exceptions.SSLError("certificate verify failed"), ConnectionFailed, True),
        (requests.exceptions.ProxyError(), ConnectionFailed, True),
        (requests.exceptions.InvalidHeader("two lengths"), ConnectionFailed, True),
        (requests.exceptions.UnrewindableBodyError(), NotSent, False),
    ],
)
def test_every_error_of_the_http_library_is_translated(
    exception: requests.RequestException, expected: type[DashboardError], is_retryable: bool
) -> None:
    error = error_of_response(body=exception)
    assert (type(error), error.is_retryable, error.__cause__) == (expected, is_retryable, exception)
    assert REPORT_STRING in error.message
    assert "BACKFILL_DASHBOARD_URL" not in error.message


def test_a_closed_port_is_a_failed_connection() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with client_of(f"http://127.0.0.1:{port}") as client, pytest.raises(ConnectionFailed) as raised:
            client.report(REQUEST)
    assert "Connection refused" in raised.value.message
    assert REPORT_STRING in raised.value.message
    assert raised.value.__cause__ is not None


def test_a_proxy_of_the_environment_is_never_used_for_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with listening(send(CSV)) as server, client_of(server.url) as client:
        assert client.report(REQUEST).rows == 1


def test_a_proxy_of_the_environment_is_used_for_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with listening(send(CSV)) as proxy, client_of("http://dashboard.invalid") as client:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert client.report(REQUEST).rows == 1
    assert proxy.requests[0].startswith("GET http://dashboard.invalid/2022-2023/export.aspx?type=CSV&report=")


# Real sockets: faults during a response.

Answer = Callable[[socket.socket], None]


@dataclass
class RawServer:
    """Responds to every request with `answer`; a connection serves requests until either side closes it."""

    listener: socket.socket
    answer: Answer
    is_stopping: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self, pool: ThreadPoolExecutor) -> None:
        while not self.is_stopping.is_set():
            with suppress(TimeoutError):
                connection, _ = self.listener.accept()
                self.connections += 1
                pool.submit(self.serve, connection)

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(0.05)
            received = b""
            while not self.is_stopping.is_set():
                with suppress(TimeoutError):
                    received += (more := connection.recv(65536))
                    if not more:
                        return
                if received.endswith(b"\r\n\r\n"):
                    self.requests.append(received.decode("latin-1"))
                    received = b""
                    self.answer(connection)


@contextmanager
def listening(answer: Answer) -> Iterator[RawServer]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ThreadPoolExecutor(40) as pool:
        listener.settimeout(0.05)
        server = RawServer(listener, answer)
        pool.submit(server.accept, pool)
        try:
            yield server
        finally:
            server.is_stopping.set()


def head(length: int, *extra: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {length}", *extra, "", ""]).encode()


def send(body: bytes, *, length: int | None = None) -> Answer:
    return lambda connection: connection.sendall(head(len(body) if length is None else length) + body)


def then_close(answer: Answer) -> Answer:
    def run(connection: socket.socket) -> None:
        answer(connection)
        connection.close()

    return run


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang(_: socket.socket) -> None:
    """Sends nothing and keeps the connection open."""


def failure_of(answer: Answer, **options: Any) -> DashboardError:
    with listening(answer) as server, client_of(server.url, **options) as client:
        with pytest.raises(DashboardError) as raised:
            client.report(REQUEST)
        assert len(server.requests) == 1, "one call is one request"
    return raised.value


def test_the_tildes_and_slashes_of_a_report_string_are_not_percent_encoded() -> None:
    with listening(send(CSV)) as server, client_of(server.url) as client:
        client.report(REQUEST)
    assert server.requests[0].startswith(f"GET /2022-2023/export.aspx?type=CSV&report={REPORT_STRING} HTTP/1.1\r\n")


def test_consecutive_requests_share_a_connection() -> None:
    with listening(send(CSV)) as server, client_of(server.url) as client:
        for _ in range(5):
            client.report(REQUEST)
    assert (len(server.requests), server.connections) == (5, 1)


def test_many_threads_can_share_a_client() -> None:
    with listening(send(CSV)) as server, client_of(server.url) as client, ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: client.report(REQUEST), range(64)))
    assert {report.content for report in reports} == {CSV}
    assert len(server.requests) == 64
    assert server.connections <= 8


def test_a_body_shorter_than_announced_is_truncated() -> None:
    """This includes a body that ends with a footer, since its Content-Length announces more bytes."""
    error = failure_of(then_close(send(CSV, length=len(CSV) + 10)))
    assert (type(error), error.is_retryable) == (Truncated, True)
    assert REPORT_STRING in error.message


def test_a_chunked_body_is_read_and_without_its_last_chunk_it_is_truncated() -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(CSV):x}\r\n".encode() + CSV + b"\r\n"
    with (
        listening(lambda connection: connection.sendall(start + b"0\r\n\r\n")) as server,
        client_of(server.url) as client,
    ):
        assert client.report(REQUEST).content == CSV
    assert type(failure_of(then_close(lambda connection: connection.sendall(start)))) is Truncated


def test_a_body_without_a_content_length_ends_with_the_connection() -> None:
    with (
        listening(then_close(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + CSV))) as server,
        client_of(server.url) as client,
    ):
        assert client.report(REQUEST).content == CSV


def test_a_reset_before_the_response_is_a_failed_connection() -> None:
    error = failure_of(reset)
    assert (type(error), error.is_retryable) == (ConnectionFailed, True)
    assert error.__cause__ is not None


def test_a_reset_during_the_body_is_a_failed_connection() -> None:
    arrived = threading.Event()

    def answer(connection: socket.socket) -> None:
        send(CSV, length=100_000)(connection)
        arrived.wait(5)
        reset(connection)

    with listening(answer) as server, client_of(server.url) as client:
        # The first bytes must be read before the reset, which would discard them.
        timer = threading.Timer(0.1, arrived.set)
        timer.start()
        with pytest.raises(ConnectionFailed, match="Connection reset"):
            client.report(REQUEST)
        timer.join()


def test_a_response_that_is_not_http_is_a_failed_connection() -> None:
    assert (
        type(failure_of(then_close(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")))) is ConnectionFailed
    )


def test_a_server_that_sends_nothing_times_out() -> None:
    error = failure_of(hang, read_timeout=0.1)
    assert (type(error), error.is_retryable) == (TimedOut, True)
    assert REPORT_STRING in error.message


def test_a_server_that_stops_during_the_body_times_out() -> None:
    assert type(failure_of(send(CSV, length=len(CSV) + 1), read_timeout=0.1)) is TimedOut


def test_a_body_that_arrives_too_slowly_times_out() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(head(100_000))
        for _ in range(400):
            connection.sendall(b"x")
            time.sleep(0.02)

    began = time.monotonic()
    error = failure_of(trickle, read_timeout=5, deadline=0.3)
    assert type(error) is TimedOut
    assert "too slowly" in error.message
    assert time.monotonic() - began < 5


def test_a_huge_body_is_refused_before_and_during_reading() -> None:
    announced = failure_of(send(b"", length=10**12), max_bytes=1000)
    assert type(announced) is TooLarge

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    assert type(failure_of(endless, max_bytes=1_000_000)) is TooLarge


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("302 Found\r\nLocation: /error.aspx", HtmlPage),
        ("404 Not Found", UnexpectedStatus),
        ("500 Internal Server Error", ServerError),
    ],
)
def test_the_body_of_an_error_status_is_not_read(status: str, expected: type[DashboardError]) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 1000000000\r\n\r\n".encode()
    assert type(failure_of(lambda connection: connection.sendall(answer), read_timeout=5)) is expected


def test_a_client_can_be_used_after_a_failure() -> None:
    answers = [then_close(send(CSV, length=len(CSV) + 10)), reset, send(CSV)]

    def next_answer(connection: socket.socket) -> None:
        answers.pop(0)(connection)

    with listening(next_answer) as server, client_of(server.url) as client:
        for expected in (Truncated, ConnectionFailed):
            with pytest.raises(expected):
                client.report(REQUEST)
        assert client.report(REQUEST).rows == 1


def test_the_district_and_edition_are_part_of_the_request() -> None:
    other = replace(REQUEST, district="F", edition=replace(REQUEST.edition, is_archived=False))
    with listening(send(CSV)) as server, client_of(server.url) as client, pytest.raises(DashboardError):
        client.report(other)
    assert server.requests[0].startswith("GET /export.aspx?type=CSV&report=clubperformance~F~")
