"""The Firestore client of a process. It is created at first use, and again after a fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import grpc
from google.auth.credentials import TokenState
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport import requests
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from backfill.errors import StorageUnavailable

_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Reconnect within a second after an outage; gRPC waits up to two minutes by default.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]


_TOKEN_TIMEOUT = 5.0
"""Seconds until the token server is given up. Google's default is two minutes."""

_ADVICE = (
    "Check that the service account exists, that its key is not revoked or expired (GOOGLE_APPLICATION_CREDENTIALS), "
    "and that the clock is right. The credentials are read again at each attempt; no restart is needed."
)


class _TokenRequest(requests.Request):
    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        return super().__call__(url, method, body, headers, timeout or _TOKEN_TIMEOUT, **kwargs)  # type: ignore[no-untyped-call]


class Client(firestore.Client):
    """Google's client with a custom channel, because its constructor accepts neither options nor interceptors."""

    def __init__(self, *, database: str, interceptors: Sequence[Any] = ()) -> None:
        super().__init__(database=database)
        if self._emulator_host is None:
            channel = FirestoreGrpcTransport.create_channel(
                self._target, credentials=self._credentials, options=_OPTIONS
            )
        else:
            channel = grpc.insecure_channel(self._emulator_host, options=_OPTIONS)
        transport = FirestoreGrpcTransport(host=self._target, channel=grpc.intercept_channel(channel, *interceptors))
        self.api = FirestoreClient(transport=transport)

    def authenticate(self) -> None:
        """Fetch an access token unless there is a valid one. Raises GoogleAuthError.

        gRPC fetches tokens itself, but reports an error of it as one of the connection, and only after the call has
        been retried for its whole time limit.
        """
        if self._emulator_host is None and self._credentials.token_state is not TokenState.FRESH:
            self._credentials.before_request(_TokenRequest(), "POST", f"https://{self._target}/", {})

    @property
    def _firestore_api(self) -> FirestoreClient:
        return self.api

    @property
    def root(self) -> str:
        """The prefix of all document names."""
        return f"{self._database_string}/documents"


_refused_at = 0.0
"""When Firestore refused a token that had not expired, by the monotonic clock: older clients are created again."""


def credentials_message(exc: Exception) -> str:
    """Return what an operator reads about an error of the credentials."""
    reason = str(exc.args[0] if exc.args else exc).rstrip(".") or type(exc).__name__
    if isinstance(exc, TransportError):
        return f"The server that issues access tokens for the Google credentials does not answer: {reason}."
    return f"Google refuses the credentials: {reason}. {_ADVICE}"


def token_refused() -> None:
    """Have all connections of this process read the credentials again: Firestore refused a token."""
    global _refused_at  # noqa: PLW0603 - errors are translated without access to the connection
    _refused_at = time.monotonic()


class Connection:
    """One client per process. A child process creates its own, because gRPC connections do not survive a fork.

    After an error of the credentials a new client is created, which reads them again: a key may have been replaced.
    """

    def __init__(self, *, database: str = "(default)", interceptors: Sequence[Any] = ()) -> None:
        self._database, self._interceptors = database, interceptors
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._inherited_clients: list[Client | None] = []
        self._connected_at = self._failed_at = 0.0
        self._failure = ""
        os.register_at_fork(after_in_child=self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._inherited_clients.append(self._client)  # keep a reference: closing it here could hang
        self._client = None

    @property
    def client(self) -> Client:
        """The client of this process, with a valid access token.

        Raises StorageUnavailable if the project is missing, or the credentials are missing or refused.
        """
        began = time.monotonic()
        with self._lock:
            if self._failure and self._failed_at >= began:
                raise StorageUnavailable(self._failure)  # of a thread that this one has waited for
            if self._client is None or self._connected_at < _refused_at:
                self._connected_at = began
                self._client = self._connect()
            try:
                self._client.authenticate()
            except GoogleAuthError as exc:
                self._client = None
                self._failed_at, self._failure = time.monotonic(), credentials_message(exc)
                raise StorageUnavailable(self._failure) from exc
            self._failure = ""
            return self._client

    def _connect(self) -> Client:
        try:
            return Client(database=self._database, interceptors=self._interceptors)
        except DefaultCredentialsError as exc:
            raise StorageUnavailable(
                "No Google credentials were found. Run as a service account, set GOOGLE_APPLICATION_CREDENTIALS to a "
                "key file, or run `gcloud auth application-default login`. To use an emulator, set "
                f"FIRESTORE_EMULATOR_HOST. ({exc})"
            ) from exc
        except OSError as exc:
            if exc.filename:
                raise StorageUnavailable(f"The Google credentials cannot be read: {exc}.") from exc
            raise StorageUnavailable(
                "No Google Cloud project is set. Set GOOGLE_CLOUD_PROJECT to the project that contains the Firestore "
                "database."
            ) from exc
