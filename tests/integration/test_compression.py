"""Responses are compressed; their ETags and `Vary` stay correct."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import brotli
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from backfill.domain import Actor, Channel, JobRequest, JobType
from backfill.service.commands import BackfillService

pytestmark = pytest.mark.django_db

GZIP = {"Accept-Encoding": "gzip, deflate"}
NOW = "/admin/backfill/now/"


@pytest.fixture
def operator(served: BackfillService) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    day = datetime(2024, 1, 31, tzinfo=UTC).date()
    request = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=day, end_date=day)
    served.start(request, by=Actor("alice", Channel.CLI))
    return client


@pytest.mark.parametrize(
    "path", ["/admin/backfill/", NOW, "/api/admin/backfill/jobs", "/static/adminui/start.js", "/static/adminui/job.css"]
)
def test_pages_scripts_styles_and_json_are_compressed_for_clients_that_accept_it(operator: Client, path: str) -> None:
    plain, packed = operator.get(path), operator.get(path, headers=GZIP)
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    body, compressed = plain.getvalue(), packed.getvalue()
    assert len(compressed) < 0.6 * len(body)
    assert len(gzip.decompress(compressed)) == pytest.approx(len(body), abs=10)  # identifiers differ
    plain.close()
    packed.close()


@pytest.mark.parametrize("path", [NOW, "/static/adminui/start.js"])
def test_a_compressed_response_has_a_weak_etag_that_is_known_again(operator: Client, path: str) -> None:
    response = operator.get(path, headers=GZIP)
    response.close()
    etag = response["ETag"]
    assert etag.startswith('W/"')
    again = operator.get(path, headers={**GZIP, "If-None-Match": etag})
    assert (again.status_code, again.getvalue()) == (304, b"")
    assert again["ETag"] == etag
    assert "Accept-Encoding" in again["Vary"]


def test_an_unchanged_poll_has_no_headers_but_those_of_the_cache(operator: Client) -> None:
    etag = operator.get(NOW)["ETag"]
    assert etag.startswith('"')
    unchanged = operator.get(NOW, headers={"If-None-Match": etag})
    assert unchanged.status_code == 304
    assert set(unchanged.headers) == {"ETag", "Cache-Control", "Vary"}
    assert unchanged["ETag"] == etag


def test_the_api_knows_the_weak_etag_of_a_compressed_job(operator: Client) -> None:
    token = {"Authorization": f"Token {Token.objects.create(user=User.objects.get(username='alice')).key}"}
    job = operator.get("/api/admin/backfill/jobs", headers=token).json()["jobs"][0]["jobId"]
    response = operator.get(f"/api/admin/backfill/{job}", headers={**GZIP, **token})
    assert response["ETag"].startswith('W/"')
    known = operator.get(f"/api/admin/backfill/{job}", headers={**GZIP, **token, "If-None-Match": response["ETag"]})
    assert known.status_code == 304


def test_browsers_get_static_files_with_brotli(operator: Client) -> None:
    path = "/static/adminui/start.js"
    plain, packed = operator.get(path), operator.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert packed["Content-Encoding"] == "br"
    assert brotli.decompress(packed.getvalue()) == plain.getvalue()
    assert packed["ETag"] == plain["ETag"]
    plain.close()
