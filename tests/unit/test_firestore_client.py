"""The Firestore client: it is created on first use, and missing credentials are reported in one sentence."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, TransportError

from backfill.errors import StorageUnavailable
from backfill.storage.firestore import client, monthly_index
from backfill.storage.firestore.database import translating_errors
from tests.google_front import GoogleFront


@pytest.fixture(autouse=True)
def no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulates a machine without a project and credentials, and without requests to a metadata server."""
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_the_error_for_missing_credentials_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(StorageUnavailable, match="No Google credentials were found") as raised:
        _ = client.Connection().client
    assert "gcloud auth application-default login" in raised.value.message
    assert isinstance(raised.value.__cause__, DefaultCredentialsError)


def test_a_missing_key_file_is_reported_as_missing_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(StorageUnavailable, match="GOOGLE_APPLICATION_CREDENTIALS"):
        _ = client.Connection().client


def test_a_key_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
    with pytest.raises(StorageUnavailable, match=f"The Google credentials cannot be read: .*{tmp_path}"):
        _ = client.Connection().client


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GoogleFront]:
    """A token server, and a key of a service account that uses it."""
    front = GoogleFront(tmp_path, emulator_port=9)
    for name, value in front.env("a-project", "backfill").items():
        monkeypatch.setenv(name, value)
    yield front
    front.close()


def test_refused_credentials_are_read_again_at_the_next_call(google: GoogleFront) -> None:
    connection = client.Connection()
    google.tokens.refusal = {"error": "invalid_grant", "error_description": "Account has been deleted"}
    with pytest.raises(StorageUnavailable, match="Google refuses the credentials: invalid_grant: Account has been del"):
        _ = connection.client
    google.key_file.rename(google.folder / "away")
    with pytest.raises(StorageUnavailable, match="No Google credentials were found"):
        _ = connection.client
    (google.folder / "away").rename(google.key_file)
    google.tokens.refusal = None
    assert connection.client is connection.client
    assert google.tokens.issued == 1


def test_threads_wait_for_a_silent_token_server_together(google: GoogleFront, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the last of eight threads would wait eight times as long as the first."""
    attempts: list[float] = []

    def silent(*_: object, **__: object) -> None:
        attempts.append(time.monotonic())
        everyone.wait(30)
        raise TransportError("timed out")  # type: ignore[no-untyped-call]

    everyone = threading.Event()
    monkeypatch.setattr(client._TokenRequest, "__call__", silent)
    connection = client.Connection()

    def call() -> str:
        with pytest.raises(StorageUnavailable) as raised:
            _ = connection.client
        return raised.value.message

    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(call) for _ in range(8)]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (attempts and all(each.running() for each in calls)):
            time.sleep(0.01)
        everyone.set()
        messages = {each.result() for each in calls}
    assert messages == {"The server that issues access tokens for the Google credentials does not answer: timed out."}
    assert len(attempts) < 8


def test_a_token_server_that_does_not_answer_is_given_up(google: GoogleFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_TOKEN_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        document = json.loads(google.key_file.read_text())
        document["token_uri"] = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        google.key_file.write_text(json.dumps(document))
        with pytest.raises(StorageUnavailable, match="for the Google credentials does not answer"):
            _ = client.Connection().client


def test_a_token_that_firestore_refuses_is_replaced(google: GoogleFront) -> None:
    connection = client.Connection()
    before = connection.client
    with (
        pytest.raises(StorageUnavailable, match="Google refuses the credentials: Request had invalid authentication"),
        translating_errors(),
    ):
        raise exceptions.Unauthenticated("Request had invalid authentication credentials.")  # type: ignore[no-untyped-call]
    assert connection.client is not before
    assert google.tokens.issued == 2


def test_a_missing_role_is_named() -> None:
    with (
        pytest.raises(StorageUnavailable, match=r"Give the service account the role roles/datastore\.user"),
        translating_errors(),
    ):
        raise exceptions.PermissionDenied("Missing or insufficient permissions.")  # type: ignore[no-untyped-call]


def test_a_process_has_one_client_and_an_emulator_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    connection = client.Connection()
    assert connection.client is connection.client


def test_the_sum_of_the_stamps_of_a_million_documents_fits_into_a_firestore_integer() -> None:
    assert 1 <= monthly_index.new_stamp() < monthly_index._STAMPS
    assert monthly_index._STAMPS * 1_000_000 < 2**63
