"""Deadlines of complete requests, and interruption of requests in flight from another thread.

The timeouts of requests bound single reads: a source that sends a byte now and then keeps a request alive. Here another
thread shuts down the socket of a request, which ends the TLS handshake or read that the request waits in. A name
resolution or a connect is left to its own thread, which discards the connection.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection

_MAX_INTERIM_RESPONSES = 10

_current = threading.local()


class Interruption(Enum):
    DEADLINE = "deadline"
    ABORT = "abort"


class RunningRequest:
    """A request in flight. `interrupt` may be called from any thread."""

    def __init__(self) -> None:
        self.interruption: Interruption | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._wake = threading.Event()
        """Set when the connection is open, or when the request is interrupted before that."""

    def connect(self, open_connection: Callable[[], Any]) -> Any:
        """Return the opened connection. Raises the errors of `open_connection`, and OSError if it is interrupted.

        Opening a connection resolves a name, which nothing can interrupt, and may try several addresses.
        """
        opening = _Opening(open_connection, self._wake)
        self._wake.clear()
        opening.start()
        while self.interruption is None and not opening.is_done:
            self._wake.wait()
            self._wake.clear()
        connection = opening.result()
        self.attach(connection)
        return connection

    def attach(self, connection: Any) -> None:
        # A duplicate stays valid when TLS takes over the descriptor of the socket.
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._sockets.append(duplicate)
            if self.interruption is not None:
                _shut_down(duplicate)

    def interrupt(self, interruption: Interruption) -> None:
        with self._lock:
            if self.interruption is None:
                self.interruption = interruption
                for duplicate in self._sockets:
                    _shut_down(duplicate)
        self._wake.set()

    def close(self) -> None:
        with self._lock:
            for duplicate in self._sockets:
                duplicate.close()
            self._sockets.clear()


class _Opening(threading.Thread):
    """Opens a connection, and closes it again if no one waits for it any more."""

    def __init__(self, open_connection: Callable[[], Any], wake: threading.Event) -> None:
        super().__init__(name="backfill-connect", daemon=True)
        self._open, self._wake, self._lock = open_connection, wake, threading.Lock()
        self._connection: Any = None
        self._error: BaseException | None = None
        self._is_abandoned = self.is_done = False

    def run(self) -> None:
        try:
            self._connection = self._open()
        except BaseException as exc:  # noqa: BLE001 - `result` raises it
            self._error = exc
        with self._lock:
            self.is_done = True
            if self._is_abandoned and self._connection is not None:
                self._connection.close()
        self._wake.set()

    def result(self) -> Any:
        """Return the connection, or raise the error, or abandon the thread if it is not done."""
        with self._lock:
            self._is_abandoned = not self.is_done
        if self._is_abandoned:
            raise OSError("The request was interrupted before it was connected.")
        if self._error is not None:
            raise self._error
        return self._connection


class _Deadlines:
    """Interrupts requests at their deadlines.

    One thread watches all of them, because a thread for each request took a sixth of its time. It ends when no request
    is in flight at the deadline that it waits for.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: dict[RunningRequest, float] = {}
        """When each request must have ended, by the monotonic clock."""
        self._wakes_at = 0.0
        self._thread: threading.Thread | None = None

    def add(self, request: RunningRequest, seconds: float) -> None:
        ends = time.monotonic() + seconds
        with self._changed:
            self._ends[request] = ends
            if self._thread is None or not self._thread.is_alive():  # a forked process has no threads
                self._wakes_at = ends
                self._thread = threading.Thread(target=self._watch, name="backfill-deadlines", daemon=True)
                self._thread.start()
            elif ends < self._wakes_at:
                self._changed.notify()

    def remove(self, request: RunningRequest) -> None:
        with self._changed:
            self._ends.pop(request, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if not self._ends:
                    self._thread = None
                    return
                self._wakes_at = min(self._ends.values())
                self._changed.wait(max(self._wakes_at - time.monotonic(), 0))
                now = time.monotonic()
                overdue = [request for request, ends in self._ends.items() if ends <= now]
                for request in overdue:
                    del self._ends[request]
            for request in overdue:
                request.interrupt(Interruption.DEADLINE)


_deadlines = _Deadlines()


class RunningRequests:
    """The requests in flight that are aborted together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[RunningRequest] = set()

    @contextmanager
    def request(self, deadline: float) -> Iterator[RunningRequest]:
        """Track the connection of the request that the block sends, and interrupt it after `deadline` seconds."""
        running = RunningRequest()
        with self._lock:
            self._running.add(running)
        _current.request = running
        try:
            _deadlines.add(running, deadline)
            yield running
        finally:
            _deadlines.remove(running)
            _current.request = None
            with self._lock:
                self._running.discard(running)
            running.close()

    def abort(self) -> None:
        with self._lock:
            running = list(self._running)
        for request in running:
            request.interrupt(Interruption.ABORT)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # the peer has closed the connection
        connection.shutdown(socket.SHUT_RDWR)


def _running_request() -> RunningRequest | None:
    """The request that this thread sends."""
    return getattr(_current, "request", None)


class _BoundedResponse(http.client.HTTPResponse):
    """Skips interim responses such as 103 Early Hints, and limits their number and that of trailers."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM_RESPONSES + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"more than {_MAX_INTERIM_RESPONSES} interim responses")

    def _read_and_discard_trailer(self) -> None:
        http.client.parse_headers(self.fp)  # raises HTTPException for more than 100 lines


class _TrackedConnection(HTTPConnection):
    response_class = _BoundedResponse

    def _new_conn(self) -> socket.socket:
        running = _running_request()
        connection: socket.socket = super()._new_conn() if running is None else running.connect(super()._new_conn)
        return connection

    def request(self, *args: Any, **kwargs: Any) -> None:
        running = _running_request()
        if running is not None and self.sock is not None:  # a connection of the pool
            running.attach(self.sock)
        super().request(*args, **kwargs)


def _tracked(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    connection = type(f"Tracked{pool.ConnectionCls.__name__}", (_TrackedConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def _track(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {scheme: _tracked(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


class TrackingAdapter(HTTPAdapter):
    """An adapter whose connections belong to the RunningRequest of their thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        is_new = proxy not in self.proxy_manager
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _track(manager)
        return manager
