"""Google credentials that stop working while a job runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import Client, Dashboard, Site, eventually
from tests.firestore_emulator import new_project
from tests.google_front import GoogleFront

REVOKED = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.fixture
def google(tmp_path: Path, firestore_port: int) -> Iterator[GoogleFront]:
    front = GoogleFront(tmp_path, firestore_port)
    yield front
    front.close()


def answer(client: Client) -> tuple[int, str]:
    response = client.ask("GET", "/readyz")
    return response.status_code, response.text


def test_refused_credentials_are_named_within_ten_seconds_and_work_again_without_a_restart(
    sample: Dashboard, new_site: Callable[..., Site], google: GoogleFront
) -> None:
    """R10.3: the token server refuses with invalid_grant in the middle of a job, and then no more."""
    site = new_site(sample, **google.env(new_project(), "backfill"))
    client = site.serve()
    client.set_limits(maxRequestsPerMinute=900)
    job = client.start("2024-07-01", "2025-06-30", cadence="month-ends")
    client.wait_for(job["jobId"], lambda job: job["progress"]["processedItems"] >= 6, 30, "items settle")
    assert google.tokens.issued

    google.tokens.refusal = REVOKED
    refused_at = time.monotonic()
    eventually(lambda: answer(client)[0] == 503, 30, "readyz reports the outage")
    _, text = answer(client)
    assert "Google refuses the credentials: invalid_grant: Invalid JWT Signature." in text
    assert "GOOGLE_APPLICATION_CREDENTIALS" in text
    eventually(lambda: "Google refuses the credentials: invalid_grant" in site.logs(), 30, "the runner names the cause")
    assert time.monotonic() - refused_at < 10
    began = time.monotonic()
    assert client.ask("GET", f"/api/admin/backfill/{job['jobId']}").status_code == 503
    assert time.monotonic() - began < 5

    google.key_file.unlink()  # while the operator replaces the key
    eventually(lambda: "No Google credentials were found" in answer(client)[1], 10, "the file is read again")
    google.tokens.refusal = None
    google.write_key_file()
    eventually(lambda: answer(client)[0] == 200, 30, "readyz reports the end of the outage")
    ended = client.ended(job["jobId"], 90)
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert set(Counter(item["itemId"] for item in items).values()) == {1}
    assert len(items) == ended["progress"]["totalItems"]
    assert "Traceback" not in site.logs()
