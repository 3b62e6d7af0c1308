"""The sample world as an HTTP server with the paths of dashboards.toastmasters.org.

Additional paths: `POST /__control` (faults), `POST /__today` (the date that the dashboard assumes), `GET /__log` and
`POST /__reset`.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from sample_dashboard.control import Control, Fault, FaultKind
from sample_dashboard.pages import ERROR_PAGE
from sample_dashboard.program_year import ProgramYear
from sample_dashboard.world import SampleWorld
from sample_dashboard.wrong_reports import WRONG_REPORTS

_LINGER = struct.pack("ii", 1, 0)  # makes close() send a reset
_CSV = "text/csv; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = _HTML
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(world: SampleWorld, path: str, query: Mapping[str, str]) -> Answer:
    """Return the response to a GET without faults."""
    *folders, page = [part for part in path.split("/") if part] or [""]
    archive: ProgramYear | None = None
    if folders:
        archive = _year_of(folders)
        if archive == world.live_year:
            return Answer(500, b"URL Rewrite Module Error.", "text/html")
        if archive not in world.years:
            return Answer(302, b"", headers={"Location": "/error.aspx"})
    match page.lower():
        case "" | "default.aspx" if archive is None:
            return Answer(200, world.home_page())
        case "club.aspx":
            return _calendar_page(world, archive or world.live_year, query)
        case "export.aspx" if query.get("type") == "CSV":
            report = query.get("report", "")
            body = world.report(report, archive)
            name = f'attachment; filename="{report.split("~", 1)[0]}.csv"'
            found = Answer(200, body or b"", _CSV, {"Content-Disposition": name})
            return found if body is not None else Answer(200, ERROR_PAGE)
        case other:
            return Answer(200 if other == "error.aspx" else 404, ERROR_PAGE)


def _calendar_page(world: SampleWorld, year: ProgramYear, query: Mapping[str, str]) -> Answer:
    district = query.get("id", "")
    if not world.has_calendar_page(year, district):
        return Answer(302, b"", headers={"Location": "/error.aspx"})
    return Answer(200, world.calendar_page(year, district, _month(query)))


def _year_of(folders: list[str]) -> ProgramYear | None:
    try:
        return ProgramYear.parse("/".join(folders))
    except ValueError:
        return None


def _month(query: Mapping[str, str]) -> int | None:
    text = query.get("month", "")
    return int(text) if text.isdecimal() and 1 <= int(text) <= 12 else None


def _with_fault(good: Answer, fault: Fault | None) -> Answer:
    """Apply a fault. Faults of the connection do not change the response."""
    match fault.kind if fault else None:
        case FaultKind.TOO_MANY | FaultKind.UNAVAILABLE if fault:
            after = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            return Answer(int(fault.kind), b"Slow down.", "text/plain", after)
        case FaultKind.BROKEN:
            return Answer(500, b"Server Error in '/' Application.", "text/html")
        case FaultKind.HTML:
            return Answer(200, ERROR_PAGE)
        case FaultKind() as kind if kind in WRONG_REPORTS and good.content_type == _CSV:
            return replace(good, body=WRONG_REPORTS[kind](good.body))
        case _:
            return good


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1024 * 1024  # nothing is sent before the flush
    server_version = "SampleDashboard"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Do nothing: the log is at /__log."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        control = self.server.control
        if url.path == "/__log":
            return self._send_json(200, control.log())
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        report = query.get("report", "")
        entry = control.begin(url.path, url.query, report, self.headers.get("User-Agent", ""))
        status: int | str = "failed"
        fault = control.take_fault(f"{url.path} {report}")
        entry.fault = fault.kind if fault else None
        try:
            status = self._answer(url.path, query, fault)
        finally:
            # Before the response is sent: the client may then immediately send a request or read the log.
            control.end(entry, status)
        try:
            self.wfile.flush()
        except ConnectionError:
            entry.status = "client gone"
            self.close_connection = True
        return None

    def _answer(self, path: str, query: Mapping[str, str], fault: Fault | None) -> int | str:
        kind = fault.kind if fault else None
        pause = self.server.latency
        if fault and kind in {FaultKind.HANG, FaultKind.LATENCY}:
            pause += fault.seconds
        if pause:
            self.server.is_stopping.wait(pause)
        if kind is FaultKind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            self.close_connection = True
            return "reset"
        response = _with_fault(answer(self.server.world, path, query), fault)
        if kind is FaultKind.TRUNCATE:
            self._send(response, response.body[: len(response.body) // 2])
            self.close_connection = True
            return "truncated"
        self._send(response, response.body)
        return response.status

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/__reset":
            self.server.control.reset()
        elif self.path == "/__control":
            try:
                faults = [Fault.read(value) for value in json.loads(body)["faults"]]
            except (ValueError, KeyError, TypeError) as exc:
                return self._send_json(400, {"ok": False, "message": f'Send {{"faults": [...]}}. {exc}'})
            self.server.control.set_faults(faults)
        elif self.path == "/__today":
            try:
                self.server.world = replace(self.server.world, today=date.fromisoformat(json.loads(body)["today"]))
            except (ValueError, KeyError, TypeError) as exc:
                return self._send_json(400, {"ok": False, "message": f'Send {{"today": "YYYY-MM-DD"}}. {exc}'})
        else:
            return self._send(Answer(404, ERROR_PAGE), ERROR_PAGE)
        return self._send_json(200, {"ok": True})

    def _send_json(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self._send(Answer(status, body, "application/json"), body)

    def _send(self, response: Answer, body: bytes) -> None:
        """Write the headers of the response and `body`; the next flush sends them."""
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], world: SampleWorld, latency: float) -> None:
        self.world = world
        self.latency = latency
        self.control = Control()
        self.is_stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the reverse DNS lookup of the base class, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def shutdown_request(self, request: Any) -> None:
        """Close without a shutdown if the connection is to be reset."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_LINGER)) == _LINGER:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report all errors except disconnects of clients."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class SampleServer:
    """A sample dashboard that serves in its own thread, within a `with` block or from `start` to `stop`.

    Port 0 selects a free port. `latency` (seconds) delays each response. Raises OSError if the port is unavailable.
    """

    def __init__(self, world: SampleWorld, port: int = 0, latency: float = 0.0, host: str = "127.0.0.1") -> None:
        self._listener = _Listener((host, port), world, latency)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.05,), name="sample-dashboard", daemon=True
        )
        self.host = host
        self.port = self._listener.server_port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def world(self) -> SampleWorld:
        """The world that is served, with the date of the last `POST /__today`."""
        return self._listener.world

    @property
    def control(self) -> Control:
        """The faults and the log behind `/__control`, `/__log` and `/__reset`."""
        return self._listener.control

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, end delayed responses, and disconnect all clients."""
        self._listener.is_stopping.set()
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()
        for connection in self._listener.connections.copy():
            with suppress(OSError):  # the client may have disconnected
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
