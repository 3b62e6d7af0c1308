"""The audit log over the API and the command line: operator, channel, action and changes."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from backfill.domain import Actor, Channel
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.test_api_jobs import start_job
from tests.integration.test_api_limits import LIMITS

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
AUDIT = "/api/admin/backfill/audit"


def entries(api: CheckedClient, query: str = "", path: str = AUDIT) -> list[dict[str, Any]]:
    response = api.get(f"{path}{query}")
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["entries"]
    return found


def json_of(*arguments: str) -> Any:
    out = StringIO()
    call_command("backfill", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_every_change_over_the_api_writes_an_entry_with_its_operator(api: CheckedClient) -> None:
    job = start_job(api)
    path = job["links"]["self"]
    api.post(f"{path}/pause")
    api.post(f"{path}/resume")
    api.patch(path, {"rateLimits": {"maxRequestsPerMinute": 20}}, format="json")
    api.put(LIMITS, {"maxConcurrent": 1}, format="json")
    api.delete(path)
    found = entries(api)
    assert {(entry["operator"], entry["channel"]) for entry in found} == {("alice", "api")}
    assert [(entry["action"], entry["jobId"]) for entry in found] == [
        ("cancelled", job["jobId"]),
        ("changed-limits", None),
        ("lowered-limits", job["jobId"]),
        ("resumed", job["jobId"]),
        ("paused", job["jobId"]),
        ("started", job["jobId"]),
    ]
    changes = [entry["changes"] for entry in found[:5]]
    assert changes == [
        {"status": {"from": "pending", "to": "cancelled"}},
        {"maxConcurrent": {"from": 3, "to": 1}},
        {"maxRequestsPerMinute": {"from": 60, "to": 20}},
        {"status": {"from": "paused", "to": "pending"}},
        {"status": {"from": "pending", "to": "paused"}},
    ]
    assert found[5]["changes"]["startDate"] == {"from": None, "to": job["config"]["startDate"]}


def test_a_refused_or_empty_change_writes_no_entry(api: CheckedClient) -> None:
    job = start_job(api)
    path = job["links"]["self"]
    api.post(f"{path}/resume")  # 409: it is not paused
    api.patch(path, {"rateLimits": {"maxRequestsPerMinute": 61}}, format="json")  # 409: a limit cannot be raised
    api.patch(path, {"rateLimits": {"maxRequestsPerMinute": 60}}, format="json")  # unchanged
    api.put(LIMITS, {"maxConcurrent": 3}, format="json")  # unchanged
    api.post(f"{path}/pause")
    api.post(f"{path}/pause")
    assert [entry["action"] for entry in entries(api)] == ["paused", "started"]


def test_the_audit_log_is_paged_and_can_be_filtered_by_job(api: CheckedClient) -> None:
    first = start_job(api)
    api.delete(first["links"]["self"])
    second = start_job(api)
    assert [entry["action"] for entry in entries(api, "?limit=1&offset=1")] == ["cancelled"]
    assert api.get(f"{AUDIT}?limit=1").json()["total"] == 3
    of_first = entries(api, f"?jobId={first['jobId']}")
    assert [entry["action"] for entry in of_first] == ["cancelled", "started"]
    assert entries(api, path=f"{first['links']['self']}/audit") == of_first
    assert [entry["jobId"] for entry in entries(api, path=f"{second['links']['self']}/audit")] == [second["jobId"]]
    assert [entry["action"] for entry in entries(api, "?limit=1", f"{first['links']['self']}/audit")] == ["cancelled"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/api/admin/backfill/{UNKNOWN_ID}/audit", 404, "JOB_NOT_FOUND"),
        ("/api/admin/backfill/nothing/audit", 404, "JOB_NOT_FOUND"),
        (f"{AUDIT}?jobId={UNKNOWN_ID}", 404, "JOB_NOT_FOUND"),
        (f"{AUDIT}?limit=101", 400, "VALIDATION_ERROR"),
        (f"{AUDIT}?operator=alice", 400, "VALIDATION_ERROR"),
    ],
)
def test_an_unknown_job_or_an_invalid_parameter_is_refused(
    api: CheckedClient, path: str, status: int, code: str
) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_the_audit_log_requires_the_permission_to_view_jobs(client_for: Any) -> None:
    assert client_for().get(AUDIT).status_code == 403
    assert client_for("view_backfilljob").get(AUDIT).status_code == 200


def test_changes_on_the_command_line_are_recorded_with_the_channel_cli(served: BackfillService) -> None:
    job = json_of("start", "--from", "2024-01-01", "--to", "2024-01-02", "--operator", "bob")
    for command in ("pause", "resume", "cancel"):
        json_of(command, "--operator", "carol")
    json_of("rate-limit", "--max-concurrent", "2", "--operator", "dave")
    found = json_of("audit")["entries"]
    assert {entry["channel"] for entry in found} == {"cli"}
    assert [(entry["operator"], entry["action"]) for entry in found] == [
        ("dave", "changed-limits"),
        ("carol", "cancelled"),
        ("carol", "resumed"),
        ("carol", "paused"),
        ("bob", "started"),
    ]
    assert json_of("audit", job["jobId"], "--limit", "1", "--offset", "1")["entries"] == [found[2]]
    with pytest.raises(CommandError, match="There is no job"):
        call_command("backfill", "audit", UNKNOWN_ID)


def test_the_command_audit_prints_the_entries(served: BackfillService) -> None:
    out = StringIO()
    call_command("backfill", "audit", stdout=out)
    assert "There are no audit entries." in out.getvalue()
    served.change_rate_limits({"max_concurrent": 1}, by=Actor("eve", Channel.ADMIN))
    out = StringIO()
    call_command("backfill", "audit", stdout=out)
    assert all(word in out.getvalue() for word in ("eve", "admin", "changed-limits", "maxConcurrent 3 to 1"))
