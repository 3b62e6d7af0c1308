"""A dashboard for fault injection: a real HTTP server, with or without TLS, whose responses tests can replace."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from sample_dashboard.server import Answer, answer
from sample_dashboard.world import SampleWorld

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""A self-signed certificate of 127.0.0.1, with its key."""

Respond = Callable[[str], Answer]
"""Maps a path with its query to a response."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    path: str
    headers: Mapping[str, str]
    at: float


def sample_dashboard(world: SampleWorld) -> Respond:
    """Return the responses of the sample dashboard."""

    def respond(path: str) -> Answer:
        url = urlsplit(path)
        return answer(world, url.path, {name: values[0] for name, values in parse_qs(url.query, True).items()})

    return respond


class FaultServer:
    """A server that runs within a `with` block. `respond` can be replaced at any time."""

    def __init__(self, respond: Respond, *, tls: bool = False) -> None:
        self.respond = respond
        self.received: list[ReceivedRequest] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.received.append(ReceivedRequest(self.path, dict(self.headers), time.time()))
                response = server.respond(self.path)
                self.send_response_only(response.status)
                for name, value in {"Content-Type": response.content_type, **response.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            do_POST = do_GET  # noqa: N815 - the name that the base class calls

            def log_message(self, *_: object) -> None:
                """Do not log requests."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Ignore clients that close the connection or reject the certificate, which some tests provoke."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def paths(self, ending: str = "") -> list[str]:
        """Return the requested paths without their queries."""
        paths = [urlsplit(one.path).path for one in self.received]
        return [path for path in paths if path.endswith(ending)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
