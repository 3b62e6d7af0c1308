"""Property-based fuzzing of the HTTP API: requests that follow the OpenAPI document, and requests that break it.

Each response must match the document: no 5xx, a documented status, content type, headers and body. Valid requests are
accepted; invalid requests and requests without a token are refused.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest
import schemathesis
from django.contrib.auth.models import User
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from accounts.models import ApiToken
from backfill.domain import Actor, Channel, JobRequest, JobType
from backfill.service.commands import BackfillService
from backfill.storage import open_storage
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import FakeHandler

RULES = {
    "POST /api/admin/backfill": {"startDate", "endDate"},
    "POST /api/admin/backfill/preview": {"startDate", "endDate"},
    "GET /api/admin/backfill/coverage": {"from", "to"},
    "POST /api/admin/backfill/coverage/calendar": {"from", "to"},
    "GET /api/admin/backfill/jobs": {"createdFrom", "createdTo", "cursor"},
    "GET /api/admin/backfill/{jobId}/items": {"cursor"},
    "GET /api/admin/backfill/{jobId}/audit": {"cursor"},
    "GET /api/admin/backfill/audit": {"cursor"},
    "PATCH /api/admin/backfill/{jobId}": {"rateLimits"},
    "GET /api/snapshots": {"from", "cursor"},
    "GET /api/analytics/series/{district}": {"programYear"},
    "GET /api/changes": {"from", "to"},
    "PATCH /api/admin/backfill/config/rate-limit": {"minDelayMs"},
    "PUT /api/admin/backfill/config/rate-limit": {"minDelayMs"},
    "PUT /api/admin/backfill/targets": {"rules"},
    "POST /api/admin/backfill/targets/preview": {"rules"},
    "POST /api/admin/backfill/targets/check": {"enabled"},
}
"""Fields with a rule that JSON Schema cannot express: an order of two fields, days of a month, a bound that moves,
the cursors that exist."""
AnyCase: TypeAlias = "schemathesis.Case[Any]"
ALICE = Actor("alice", Channel.API)
REQUEST = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=date(2024, 1, 1), end_date=date(2024, 1, 2))
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def served(db: None, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Return the service that the API calls, with a fake handler for both job types."""
    service = BackfillService(open_storage("orm"), dict.fromkeys(JobType, FakeHandler()))
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    return service


@pytest.fixture
def api_schema(api: CheckedClient) -> BaseSchema:
    """Return the document as the WSGI application serves it. Requests go to the same application."""
    from backfill_site.wsgi import application

    return schemathesis.openapi.from_wsgi(
        "/api/schema", application, config=SchemathesisConfig.from_path(CONFIG), headers=headers()
    )


def headers() -> dict[str, str]:
    token = ApiToken.objects.issue(User.objects.get(username="alice"))[1]
    # The WSGI transport of schemathesis does not decompress responses.
    return {"Authorization": f"Token {token}", "Accept-Encoding": "identity"}


schema = schemathesis.pytest.from_fixture("api_schema")


def replace_job_id(case: AnyCase, served: BackfillService) -> None:
    """Replace two of three random job ids by the id of an active or a cancelled job."""
    try:
        kind = UUID(str(case.path_parameters["jobId"])).int % 3
    except (KeyError, ValueError):
        return  # the path contains no job id, or an invalid one on purpose
    if kind:
        job = served.active() or served.start(REQUEST, by=ALICE).job
        case.path_parameters["jobId"] = str(job.id)
        if kind == 2:
            served.cancel(job.id, by=ALICE)


@schema.parametrize()
def test_the_response_of_every_operation_matches_the_document(case: AnyCase, served: BackfillService) -> None:
    """R9.1"""
    replace_job_id(case, served)
    response = case.call_and_validate(headers=headers())
    if response.status_code == 400 and case.meta and case.meta.generation.mode.is_positive:
        assert set(response.json()["error"]["details"]) <= RULES.get(case.operation.label, set()), response.text
    if (active := served.active()) is not None:  # it makes each later start a conflict
        served.cancel(active.id, by=ALICE)
