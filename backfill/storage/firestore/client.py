"""The client of a process: made when it is first needed, and anew after a fork."""

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
    # After an outage the service is found again within a second; gRPC alone would wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]


class Client(firestore.Client):
    """Google's client over a channel of our own making, since it takes neither options nor interceptors."""

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
        """What names of documents begin with."""
        return f"{self._database_string}/documents"


class Connection:
    """One client a process. gRPC does not survive a fork, so that a child makes its own."""

    def __init__(self, *, database: str = "(default)", interceptors: Sequence[Any] = ()) -> None:
        self._database, self._interceptors = database, interceptors
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._of_parents: list[Client | None] = []
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._of_parents.append(self._client)  # kept, since to close it here could hang
        self._client = None

    @property
    def client(self) -> Client:
        """StorageUnavailable where credentials or the project are missing."""
        with self._lock:
            if self._client is None:
                self._client = self._connected()
            return self._client

    def _connected(self) -> Client:
        try:
            return Client(database=self._database, interceptors=self._interceptors)
        except DefaultCredentialsError as exc:
            raise StorageUnavailable(
                "No Google credentials were found. Run as a service account, set GOOGLE_APPLICATION_CREDENTIALS to a "
                "key file, or run `gcloud auth application-default login`; FIRESTORE_EMULATOR_HOST names an emulator."
            ) from exc
        except OSError as exc:
            raise StorageUnavailable(
                "No Google Cloud project is named. Set GOOGLE_CLOUD_PROJECT to the one whose Firestore is meant."
            ) from exc
