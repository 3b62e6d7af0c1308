"""The Firestore client of a process. It is created at first use, and again after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import grpc
from google.auth.exceptions import DefaultCredentialsError
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

    @property
    def _firestore_api(self) -> FirestoreClient:
        return self.api

    @property
    def root(self) -> str:
        """The prefix of all document names."""
        return f"{self._database_string}/documents"


class Connection:
    """One client per process. A child process creates its own, because gRPC connections do not survive a fork."""

    def __init__(self, *, database: str = "(default)", interceptors: Sequence[Any] = ()) -> None:
        self._database, self._interceptors = database, interceptors
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._inherited_clients: list[Client | None] = []
        os.register_at_fork(after_in_child=self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._inherited_clients.append(self._client)  # keep a reference: closing it here could hang
        self._client = None

    @property
    def client(self) -> Client:
        """The client of this process. Raises StorageUnavailable if credentials or the project are missing."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Client:
        try:
            return Client(database=self._database, interceptors=self._interceptors)
        except DefaultCredentialsError as exc:
            raise StorageUnavailable(
                "No Google credentials were found. Run as a service account, set GOOGLE_APPLICATION_CREDENTIALS to a "
                "key file, or run `gcloud auth application-default login`. To use an emulator, set "
                "FIRESTORE_EMULATOR_HOST."
            ) from exc
        except OSError as exc:
            raise StorageUnavailable(
                "No Google Cloud project is set. Set GOOGLE_CLOUD_PROJECT to the project that contains the Firestore "
                "database."
            ) from exc
