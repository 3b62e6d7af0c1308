"""The OpenAPI document: it is complete, public, and matches every response."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
import yaml
from django.core.management import call_command
from django.test import Client, override_settings

from backfill.domain import ReportName
from backfill.service.commands import BackfillService
from tests.factories import SnapshotFactory, report_of
from tests.integration.admin_pages import OperatorFor
from tests.integration.checked_client import CheckedClient, openapi, operations
from tests.integration.fake_job_type import claimed_and_held, run_to_the_end
from tests.integration.test_api_jobs import BODY, START, start_job
from tests.integration.test_api_snapshots import CLUBS, SNAPSHOTS


def test_the_document_is_valid_and_is_generated_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=io.StringIO(), file="/dev/null")
    assert capsys.readouterr().err == ""


def test_the_document_contains_every_path(db: None) -> None:
    """R9.1"""
    assert operations() >= {
        (START, "post"),
        (f"{START}/preview", "post"),
        (f"{START}/jobs", "get"),
        (f"{START}/{{jobId}}", "get"),
        (f"{START}/{{jobId}}", "delete"),
        (f"{START}/{{jobId}}", "patch"),
        (f"{START}/{{jobId}}/pause", "post"),
        (f"{START}/{{jobId}}/resume", "post"),
        (f"{START}/{{jobId}}/try-now", "post"),
        (f"{START}/{{jobId}}/items", "get"),
        (f"{START}/{{jobId}}/retry", "post"),
        (f"{START}/config/rate-limit", "get"),
        (f"{START}/config/rate-limit", "put"),
        (f"{START}/config/rate-limit", "patch"),
        (SNAPSHOTS, "get"),
        (f"{SNAPSHOTS}/{{date}}/{{district}}", "get"),
        (f"{SNAPSHOTS}/{{date}}/{{district}}/{{report}}.csv", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    assert openapi()["openapi"].startswith("3.1")


def test_every_operation_is_described() -> None:
    ids = []
    for path, method in operations():
        operation = openapi()["paths"][path][method]
        ids.append(operation["operationId"])
        assert operation["summary"], path
        assert re.fullmatch(r"[a-z]+[A-Za-z]+", operation["operationId"])
        if path.startswith("/api/"):
            assert {"401", "403", "503"} <= set(operation["responses"]), path
        assert any(status.startswith("2") for status in operation["responses"]), path
    assert len(ids) == len(set(ids))


def test_the_operations_keep_the_names_that_generated_clients_call() -> None:
    assert {openapi()["paths"][path][method]["operationId"] for path, method in operations()} >= {
        "cancelJob",
        "changeRateLimits",
        "getCoverage",
        "getJob",
        "getMetrics",
        "getRateLimits",
        "getReport",
        "getResult",
        "getSeries",
        "getSnapshot",
        "getWorldResult",
        "isAlive",
        "isReady",
        "listAudit",
        "listItems",
        "listJobAudit",
        "listJobs",
        "listSnapshots",
        "lowerJobLimits",
        "pauseJob",
        "previewJob",
        "resumeJob",
        "retryJob",
        "setRateLimits",
        "startJob",
    }


def test_no_operation_has_duplicate_parameters() -> None:
    for path, method in operations():
        names = [(given["in"], given["name"]) for given in openapi()["paths"][path][method].get("parameters", [])]
        assert len(names) == len(set(names)), f"{method} {path}: {names}"
        assert all(("path", name) in names for name in re.findall(r"\{(\w+)\}", path))


def test_the_schemas_of_request_bodies_forbid_other_fields() -> None:
    bodies = [name for name in openapi()["components"]["schemas"] if name.endswith("BodyRequest")]
    assert len(bodies) >= 4
    for name in bodies:
        assert openapi()["components"]["schemas"][name]["additionalProperties"] is False


def test_the_response_of_every_operation_matches_the_document(api: CheckedClient, served: BackfillService) -> None:
    """Each operation succeeds once. The client validates every response against the document."""
    served.storage.snapshots.put(
        SnapshotFactory.build(
            reports={name: report_of(CLUBS, rows=2) for name in ReportName if name is not ReportName.SUMMARY}
        )
    )
    api.post(f"{START}/preview", BODY, format="json")
    path = start_job(api)["links"]["self"]
    api.patch(path, {"rateLimits": {"maxConcurrent": 1}}, format="json")
    api.post(f"{path}/pause")
    api.post(f"{path}/resume")
    claim = claimed_and_held(served, datetime.now(UTC))
    api.post(f"{path}/try-now")
    claim.release(datetime.now(UTC))
    run_to_the_end(served, failing=["F"])
    for address in (
        path,
        f"{path}/items",
        f"{START}/jobs",
        f"{START}/config/rate-limit",
        SNAPSHOTS,
        f"{SNAPSHOTS}/2024-01-31/01",
        f"{SNAPSHOTS}/2024-01-31/01/clubperformance.csv",
        f"{START}/audit",
        f"{path}/audit",
        "/healthz",
        "/readyz",
        "/metrics",
    ):
        api.get(address)
    retried = api.post(f"{path}/retry").json()
    api.delete(retried["links"]["self"])
    api.put(f"{START}/config/rate-limit", {"maxConcurrent": 2}, format="json")
    api.patch(f"{START}/config/rate-limit", {"maxConcurrent": 1}, format="json")
    target = {"enabled": True, "rules": [{"from": "program-year"}]}
    api.post(f"{START}/targets/preview", target, format="json")
    api.put(f"{START}/targets", target, format="json", headers={"If-Match": "*"})
    api.get(f"{START}/targets")
    api.post(f"{START}/targets/check")
    expected = {
        (path, method)
        for path, method in operations()
        if re.match(r"/api/(admin/backfill(?!/coverage)|snapshots)|/healthz|/readyz|/metrics", path)
    }
    assert api.seen == expected


def test_the_document_is_public() -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Authorization": "Token nonsense"}):
        response = Client().get("/api/schema?lang=%00&version=1%0A", headers=headers)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        assert response.json() == openapi()
    response = Client().get("/api/schema", headers={"Accept": "application/vnd.oai.openapi"})
    assert yaml.safe_load(response.content)["openapi"].startswith("3.1")


def test_the_documentation_page_works_offline(db: None) -> None:
    response = Client().get("/api/docs", headers={"Accept": "text/html", "Authorization": "Token nonsense"})
    page = response.content.decode()
    assert response.status_code == 200
    assert "'unsafe" not in response["Content-Security-Policy"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    needed = re.findall(r"""(?:src|href)=["'](/static/[^"']+)""", page)
    assert len(needed) >= 3
    script = Client().get("/api/docs?script=", headers={"Accept": "*/*"})
    assert script["Content-Type"] == "application/javascript"
    assert 'url: "/api/schema"' in script.content.decode()
    for address in needed:
        file = Client().get(address)
        file.close()
        assert file.status_code == 200, address


def test_the_document_and_its_page_can_require_a_sign_in(api: CheckedClient, operator_for: OperatorFor) -> None:
    with override_settings(BACKFILL_DOCS="sign-in"):
        page = Client().get("/api/docs", headers={"Accept": "text/html"})
        assert (page.status_code, page["Location"]) == (302, "/admin/login/?next=/api/docs")
        assert CheckedClient().get("/api/schema").status_code == 401
        assert CheckedClient().get("/api/schema", headers={"Authorization": "Token nonsense"}).status_code == 401
        assert api.get("/api/schema").status_code == 200
        browser = operator_for()  # no permission is needed
        assert browser.get("/api/docs").status_code == 200
        assert browser.get("/api/schema").status_code == 200


def test_a_wrong_method_on_the_documentation_page_returns_json() -> None:
    for path in ("/api/docs", "/api/schema"):
        response = CheckedClient().post(path)
        assert (response.status_code, response.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
