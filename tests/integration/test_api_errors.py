"""Permissions, and the common form of all errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import DataError, OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from rest_framework.exceptions import Throttled

from accounts.authentication import TokenAuthentication
from backfill.api.exception_handler import handle_exception
from backfill.api.middleware import JsonErrors
from backfill.errors import BackfillError, CorruptRecord, HtmlPage, LeaseLost, Stopped, StorageUnavailable
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import run_to_the_end
from tests.integration.test_api_jobs import BODY, START, error_of, start_job

ID = "0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11"
JOB = f"{START}/{ID}"
LIMITS = f"{START}/config/rate-limit"

OPERATIONS = [
    ("post", START, "add_backfilljob"),
    ("post", f"{START}/preview", "view_backfilljob"),
    ("get", f"{START}/jobs", "view_backfilljob"),
    ("get", JOB, "view_backfilljob"),
    ("head", JOB, "view_backfilljob"),
    ("delete", JOB, "change_backfilljob"),
    ("patch", JOB, "change_backfilljob"),
    ("post", f"{JOB}/pause", "change_backfilljob"),
    ("post", f"{JOB}/resume", "change_backfilljob"),
    ("get", f"{JOB}/items", "view_backfilljob"),
    ("post", f"{JOB}/retry", "change_backfilljob"),
    ("get", LIMITS, "view_backfilljob"),
    ("put", LIMITS, "change_ratelimitconfig"),
    ("patch", LIMITS, "change_ratelimitconfig"),
    ("get", "/api/snapshots", "view_backfilljob"),
    ("get", "/api/snapshots/2024-01-31/91", "view_backfilljob"),
    ("get", "/api/snapshots/2024-01-31/91/clubperformance.csv", "view_backfilljob"),
]
PERMISSIONS = ["view_backfilljob", "add_backfilljob", "change_backfilljob", "change_ratelimitconfig"]

ClientFor = Callable[..., CheckedClient]


# Permissions.


@pytest.mark.parametrize(("method", "path", "needed"), OPERATIONS)
def test_every_operation_requires_authentication(
    served: BackfillService,
    method: str,
    path: str,
    needed: str,
) -> None:
    response = getattr(CheckedClient(), method)(path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
    if method != "head":
        error_of(response, 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(("method", "path", "needed"), OPERATIONS)
def test_each_operation_requires_exactly_its_own_permission(
    client_for: ClientFor,
    method: str,
    path: str,
    needed: str,
) -> None:
    others = client_for(*(name for name in PERMISSIONS if name != needed))
    denied = getattr(others, method)(path)
    assert denied.status_code == 403
    if method != "head":
        assert f"backfill.{needed}" in error_of(denied, 403, "PERMISSION_DENIED")["message"]
    assert getattr(client_for(needed), method)(path).status_code in {200, 400, 404}


def test_an_invalid_token_is_refused_with_advice(served: BackfillService) -> None:
    for token in ("Token nonsense", "Token", "Token a b", "Token \xff"):
        error = error_of(
            CheckedClient().get(f"{START}/jobs", headers={"Authorization": token}), 401, "NOT_AUTHENTICATED"
        )
        assert "drf_create_token" in error["message"]


def test_a_change_with_a_session_requires_a_csrf_token(served: BackfillService) -> None:
    client = CheckedClient(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("bob"))
    assert client.get(f"{START}/jobs").status_code == 200
    error = error_of(client.post(START, BODY, format="json"), 403, "CSRF_FAILED")
    assert "X-CSRFToken" in error["message"]
    client.cookies["csrftoken"] = "a" * 32
    assert client.post(START, BODY, format="json", headers={"X-CSRFToken": "a" * 32}).json()["createdBy"] == "bob"


@pytest.mark.parametrize(
    "body", [b"--x\r\n\r\n", b"", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--"]
)
def test_a_malformed_form_with_a_session_is_refused(served: BackfillService, body: bytes) -> None:
    client = CheckedClient(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("bob"))
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded"):
        assert client.post(START, body, content_type=kind).status_code in {400, 403}


# Paths and methods.


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/districts/backfill",
        "/api/districts/backfill/",
        "/api/districts/backfill/7/x",
        "/api/districts/backfill/initiate",
    ],
)
def test_the_removed_endpoints_return_410_and_name_the_new_endpoint(method: str, path: str) -> None:
    """R9.6, R8.1"""
    response = getattr(CheckedClient(), method)(path)
    assert response.status_code == 410
    if method != "head":
        error = error_of(response, 410, "ENDPOINT_REMOVED")
        assert START in error["message"]
        assert error["details"] == {"path": START}


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/nothing",
        "/api/admin/backfill/",
        "/api/admin/backfill/jobs/",
        "/api/snapshots/",
        f"{JOB}/",
        f"{JOB}/pause/",
        "/api/districts/backfills",
        "/api/a%0Ab",
        "/api/%00",
        "/api/x/../schema",
        "/api//schema",
    ],
)
def test_an_unknown_path_is_not_found_and_not_redirected(method: str, path: str) -> None:
    error_of(getattr(CheckedClient(), method)(path, headers={"Accept": "text/html"}), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("get", START, "POST"),
        ("put", START, "POST"),
        ("get", f"{START}/preview", "POST"),
        ("post", f"{START}/jobs", "GET, HEAD"),
        ("put", JOB, "GET, PATCH, DELETE, HEAD"),
        ("get", f"{JOB}/pause", "POST"),
        ("post", LIMITS, "GET, PUT, PATCH"),
        ("options", LIMITS, "GET, PUT, PATCH"),
        ("post", "/api/snapshots", "GET"),
        ("delete", "/api/snapshots/2024-01-31/91/clubperformance.csv", "GET"),
        ("post", "/api/schema", "GET"),
        ("trace", f"{START}/jobs", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_support_is_refused(
    api: CheckedClient,
    method: str,
    path: str,
    allowed: str,
) -> None:
    response = getattr(api, method)(path)
    error_of(response, 405, "METHOD_NOT_ALLOWED")
    assert set(allowed.split(", ")) <= set(response["Allow"].split(", "))
    assert "OPTIONS" not in response["Allow"]


def test_an_unsupported_accept_header_is_refused(api: CheckedClient) -> None:
    error_of(api.get(f"{START}/jobs", headers={"Accept": "text/html"}), 406, "NOT_ACCEPTABLE")
    assert api.get(f"{START}/jobs", headers={"Accept": "text/html,*/*;q=0.8"}).status_code == 200


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'jobType': 1}",
        b"[1,",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"\x00",
        b" ",
        b'{"jobType": "\xe4"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("path", [START, f"{START}/preview"])
def test_malformed_json_is_refused(api: CheckedClient, path: str, body: bytes) -> None:
    error = error_of(api.post(path, body, content_type="application/json"), 400, "MALFORMED_JSON")
    assert "UTF-8" in error["message"]


@pytest.mark.parametrize("body", ["[]", "null", "5", '"text"', "true", "[{}]"])
def test_a_body_that_is_not_an_object_is_refused(api: CheckedClient, body: str) -> None:
    error = error_of(api.post(START, body, content_type="application/json"), 400, "VALIDATION_ERROR")
    assert "its fields can be jobType, startDate" in error["message"]
    error = error_of(api.put(LIMITS, body, content_type="application/json"), 400, "VALIDATION_ERROR")
    assert "its fields can be maxRequestsPerMinute, " in error["message"]


@pytest.mark.parametrize("charset", ["utf-16", "idna", "nonsense", "utf-8"])
def test_the_charset_of_the_content_type_is_ignored(api: CheckedClient, charset: str) -> None:
    body = json.dumps(BODY).encode()
    assert api.post(f"{START}/preview", body, content_type=f"application/json; charset={charset}").status_code == 200
    listed = api.generic("GET", f"{START}/jobs", "", content_type=f"text/plain; charset={charset}")
    assert listed.status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "nonsense",
        "/",
        "multipart/form-data; boundary=x",
    ],
)
def test_a_body_that_is_not_sent_as_json_is_refused(api: CheckedClient, kind: str) -> None:
    error_of(api.post(START, b"jobType=data-collection", content_type=kind), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, _ in OPERATIONS if method in {"post", "put", "patch"}]
)
def test_a_body_in_chunks_is_refused_and_not_treated_as_empty(api: CheckedClient, method: str, path: str) -> None:
    response = getattr(api, method)(path, headers={"Transfer-Encoding": "chunked"})
    assert "Content-Length" in error_of(response, 411, "LENGTH_REQUIRED")["message"]


def test_a_large_body_is_refused_before_it_is_read(api: CheckedClient) -> None:
    body = json.dumps({**BODY, "targetDistricts": ["91"] * 300_000})
    error_of(api.post(START, body, content_type="application/json"), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("text", [r"\u0000", r"9\u00001", r"\ud800", r"\udfff\ud800", r"\u001b[31m", r"9\n1"])
def test_text_with_control_characters_or_lone_surrogates_is_refused(api: CheckedClient, text: str) -> None:
    for field in ('"targetDistricts": ["%s"]', '"planId": "%s"', '"cadence": "%s"', '"startDate": "%s"', '"%s": 1'):
        body = '{"jobType": "data-collection", "endDate": "2024-01-01", ' + field % text + "}"
        error_of(api.post(START, body, content_type="application/json"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"jobType": "data-collection", "jobType": "analytics-generation"}', "'jobType'"),
        ('{"jobType": "data-collection", "x": {"maxConcurrent": 1, "maxConcurrent": 2}}', "'maxConcurrent'"),
        ('[{"a": 1, "\\u0061": 1}]', "'a'"),
        (f'{{"{"x" * 500}": 1, "{"x" * 500}": 2}}', "'" + "x" * 40 + "'"),
        ('{"\\ud800": 1, "\\ud800": 2}', "'\N{REPLACEMENT CHARACTER}'"),
    ],
)
def test_a_body_that_has_a_field_twice_is_error_of(api: CheckedClient, body: str, name: str) -> None:
    error = error_of(api.post(START, body, content_type="application/json"), 400, "MALFORMED_JSON")
    assert error["message"] == f"The body has the field {name} twice. Send each field once."


def test_an_error_response_quotes_only_a_small_part_of_the_request(api: CheckedClient) -> None:
    body = {**BODY, "cadence": "x" * 100_000, "y" * 100_000: 1, **{f"field{n}": n for n in range(1000)}}
    response = api.post(START, body, format="json")
    error_of(response, 400, "VALIDATION_ERROR")
    assert len(response.content) < 20_000


def test_too_many_parameters_are_refused(api: CheckedClient) -> None:
    error_of(api.get(f"{START}/jobs?" + "&".join(f"a{n}=1" for n in range(1001))), 400, "BAD_REQUEST")


# Failures of the server.


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in OPERATIONS if method != "head"])
def test_an_unavailable_store_returns_503_for_every_operation(
    api: CheckedClient,
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageUnavailable("The job store does not answer: it is locked.")

    for port in (type(getattr(served.storage, field.name)) for field in fields(served.storage)):
        for name in [name for name in dir(port) if not name.startswith("_")]:
            monkeypatch.setattr(port, name, fail)
    bodies: dict[tuple[str, str], Any] = {
        ("post", START): BODY,
        ("post", f"{START}/preview"): BODY,
        ("patch", JOB): {"rateLimits": {"maxConcurrent": 1}},
        ("put", LIMITS): {"maxConcurrent": 1},
    }
    response = getattr(api, method)(path, bodies.get((method, path)), format="json")
    error = error_of(response, 503, "STORAGE_UNAVAILABLE")
    assert error["retryable"] is True
    assert response["Retry-After"] == "5"
    [line] = [record for record in caplog.records if record.name == "backfill"]
    assert "STORAGE_UNAVAILABLE" in line.getMessage()
    assert response.json()["metadata"]["operationId"] in line.getMessage()
    assert line.exc_info is None


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("server closed the connection"), 503, "STORAGE_UNAVAILABLE"),
        (DataError("NUL"), 400, "BAD_REQUEST"),
    ],
)
def test_a_database_error_during_authentication_is_translated(
    api: CheckedClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(TokenAuthentication, "authenticate_credentials", fail)
    response = api.get(f"{START}/jobs")
    error_of(response, status, code)
    assert "server closed" not in response.content.decode()
    assert ("server closed the connection" in caplog.text) is (status == 503)


def test_an_internal_error_is_logged_completely_and_hidden_from_the_client(
    api: CheckedClient,
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(type(served.storage.jobs), "page", fail)
    response = api.get(f"{START}/jobs")
    error = error_of(response, 500, "INTERNAL_ERROR")
    assert "operationId" in error["message"]
    assert b"secret" not in response.content
    [line] = [record for record in caplog.records if record.name == "backfill"]
    assert (line.levelno, line.exc_info is not None) == (logging.ERROR, True)
    assert response.json()["metadata"]["operationId"] in line.getMessage()
    assert "a secret" in caplog.text


class _UnknownError(BackfillError):
    code = "UNKNOWN_CODE"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HtmlPage("A page came."), 502),
        (CorruptRecord("It is damaged."), 500),
        (LeaseLost("Taken over."), 409),
        (Stopped("It stops."), 503),
        (_UnknownError("It has no entry in the table."), 500),
    ],
)
def test_every_error_of_the_service_has_a_status(error: BackfillError, status: int) -> None:
    response = handle_exception(error, {})
    assert response.status_code == status
    assert response.data["error"]["message"] == error.message


def test_the_error_for_a_damaged_job_names_it(
    api: CheckedClient,
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise CorruptRecord("Job 7 cannot be read: KeyError('limits').")

    monkeypatch.setattr(type(served.storage.jobs), "get", fail)
    assert "Job 7" in error_of(api.get(f"{START}/{uuid4()}"), 500, "CORRUPT_RECORD")["message"]


# Errors outside views.


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", [f"{START}/jobs", "/api/nothing", "/healthz/", "/api/healthz", "/api/docs"])
def test_a_wrong_host_returns_json(served: BackfillService, path: str, *, debug: bool) -> None:
    with override_settings(DEBUG=debug, ALLOWED_HOSTS=["example.org"]):
        response = CheckedClient(raise_request_exception=False).get(path, headers={"Host": "evil.example"})
    error_of(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize("debug", [True, False])
def test_an_error_of_a_middleware_returns_json(
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
    *,
    debug: bool,
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("a secret")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", fail)
    with override_settings(DEBUG=debug):
        response = CheckedClient(raise_request_exception=False).get(f"{START}/jobs")
    error_of(response, 500, "INTERNAL_ERROR")
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BAD_REQUEST"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (405, "METHOD_NOT_ALLOWED"),
        (406, "NOT_ACCEPTABLE"),
        (418, "BAD_REQUEST"),
        (500, "INTERNAL_ERROR"),
        (503, "INTERNAL_ERROR"),
    ],
)
def test_every_error_page_is_converted_to_json(rf: RequestFactory, status: int, code: str) -> None:
    page = HttpResponse("<h1>Sorry</h1>", status=status, headers={"Retry-After": "7"})
    response = JsonErrors(lambda _: page)(rf.get("/api/docs"))
    error_of(
        SimpleNamespace(
            status_code=response.status_code, content=response.content, json=lambda: json.loads(response.content)
        ),
        status,
        code,
    )
    assert response["Retry-After"] == "7"


def test_a_throttled_response_contains_retry_after() -> None:
    response = handle_exception(Throttled(wait=12.4), {})
    assert (response.status_code, response["Retry-After"]) == (429, "13")
    assert response.data["error"]["code"] == "TOO_MANY_REQUESTS"
    assert response.data["error"]["retryable"] is True


def test_error_pages_outside_the_api_stay_html(db: None) -> None:
    response = Client().get("/nothing")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


# Probes.


def test_the_probes_need_no_authentication(served: BackfillService) -> None:
    for path in ("/healthz", "/readyz"):
        response = CheckedClient().get(path, headers={"Authorization": "Token nonsense", "Accept": "text/plain"})
        assert (response.status_code, response.json()["status"]) == (200, "ok")
        assert response["Cache-Control"] == "no-store"
        assert CheckedClient().head(path).status_code == 200


def test_a_service_with_an_unavailable_store_is_alive_and_not_ready(
    served: BackfillService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise StorageUnavailable("The job store does not answer: it is read-only.")

    monkeypatch.setattr(type(served.storage.control), "ping", fail)
    assert CheckedClient().get("/healthz").status_code == 200
    response = CheckedClient().get("/readyz")
    assert "read-only" in error_of(response, 503, "STORAGE_UNAVAILABLE")["message"]
    assert response["Retry-After"] == "5"


def test_the_links_of_an_ended_job_contain_only_the_possible_actions(
    api: CheckedClient, served: BackfillService
) -> None:
    job = start_job(api)
    assert set(job["links"]) == {"self", "items", "cancel", "again"}
    run_to_the_end(served)
    assert set(api.get(job["links"]["self"]).json()["links"]) == {"self", "items", "again"}
