"""A receiver of webhooks: a real HTTP server that records deliveries and responds with a given status."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backfill.webhooks import key_of, signature

SECRET = "a shared secret of service and receiver"


@dataclass(frozen=True)
class Delivery:
    message_id: str
    timestamp: int
    signature: str
    body: bytes

    @property
    def is_genuine(self) -> bool:
        expected = signature(key_of(SECRET), self.message_id, self.timestamp, self.body)
        return self.signature == expected and abs(time.time() - self.timestamp) < 300

    @property
    def shape(self) -> dict[str, Any]:
        shape: dict[str, Any] = json.loads(self.body)
        return shape


class Receiver:
    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        """All deliveries, including those with an error response."""
        self.status = 204
        self.hangs = threading.Event()
        """While it is set, requests are read and not answered."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._receive(self)

            def log_message(self, *_: object) -> None:
                """Do not log requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/backfill"

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.deliveries.append(
            Delivery(
                handler.headers["webhook-id"],
                int(handler.headers["webhook-timestamp"]),
                handler.headers["webhook-signature"],
                body,
            )
        )
        while self.hangs.is_set():
            time.sleep(0.02)
        handler.send_response(self.status)
        if 300 <= self.status < 400:
            handler.send_header("Location", self.url)
        handler.end_headers()

    @contextmanager
    def serving(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.hangs.clear()
            self._server.shutdown()
            self._server.server_close()
            thread.join()
