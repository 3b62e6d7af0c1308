"""The Firestore client: it is created on first use, and missing credentials are reported in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.auth.exceptions import DefaultCredentialsError

from backfill.errors import StorageUnavailable
from backfill.storage.firestore import client, monthly_index


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


def test_a_process_has_one_client_and_an_emulator_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    connection = client.Connection()
    assert connection.client is connection.client


def test_a_process_with_another_storage_never_imports_the_client() -> None:
    """The import takes a second and 78 MB."""
    script = (
        "import sys, django; django.setup(); from backfill.bootstrap import backfill_service; backfill_service();"
        "assert not [name for name in sys.modules if name.startswith(('google.cloud', 'grpc'))]"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).resolve().parents[2], env=environment, check=True)


def test_the_sum_of_the_stamps_of_a_million_documents_fits_into_a_firestore_integer() -> None:
    assert 1 <= monthly_index.new_stamp() < monthly_index._STAMPS
    assert monthly_index._STAMPS * 1_000_000 < 2**63
