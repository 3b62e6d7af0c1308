"""The serializers: their fields and the order of the fields."""
# ruff: noqa: N815 - field names are the JSON names

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from rest_framework.fields import CharField, IntegerField
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backfill.api.exceptions import ERRORS
from backfill.api.query_parameters import CoverageQuery, JobListQuery, parsed_page_query, parsed_query
from backfill.domain import (
    DistrictProgress,
    Estimate,
    ItemError,
    JobType,
    LimiterReport,
    LimiterState,
    Status,
)
from backfill.errors import BackfillError, InvalidDateRange, InvalidRequest
from backfill.serializers.base import InstantField, NullableTextField, ResponseSerializer, ValueSerializer
from backfill.serializers.errors import ErrorSerializer
from backfill.serializers.jobs import CancelledJobSerializer, JobPageSerializer, JobSerializer, ListedJobSerializer
from backfill.serializers.snapshots import SnapshotSerializer
from backfill.service.commands import Cancelled
from backfill.service.pagination import ListPage
from tests.factories import NOW, JobConfigFactory, JobFactory, ProgressFactory

JOB_ID = UUID("0b7f4c1e-5a0c-4d38-9d0b-3f6f3c8e2a11")

PROGRESS = ProgressFactory.build(
    total_items=6,
    processed=1,
    failed=1,
    skipped={"stored": 1},
    current_item="2024-01-31/F",
    last_item="2024-01-31/01",
    last_item_at=NOW,
    left=Estimate(seconds=10.6, low=5.2, high=20.5),
    minutes=((NOW - timedelta(minutes=2), 2), (NOW - timedelta(minutes=1), 3), (NOW, 1)),
    districts={"01": DistrictProgress(total=2, processed=1, failed=1, last_error="HTTP 500")},
    errors=(
        ItemError(
            item_key="2024-01-30/01", code="SERVER_ERROR", message="HTTP 500", at=NOW, is_retryable=True, attempts=5
        ),
    ),
    limiter=LimiterReport(
        state=LimiterState.RUNNING,
        requests_made=7,
        requests_this_minute=3,
        reason="Requests are being made.",
        answers={"200": 6, "500": 1},
        waited={"pace": 3.6},
        pace=17.345,
        latency=0.2345,
    ),
)
JOB = JobFactory.build(
    id=JOB_ID,
    status=Status.RUNNING,
    config=JobConfigFactory.build(target_districts=("01", "F")),
    started_at=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))),
    progress=PROGRESS,
)
AT = "2024-03-14T09:26:53.589793Z"
LISTED: dict[str, Any] = {
    "jobId": str(JOB_ID),
    "jobType": "data-collection",
    "status": "running",
    "config": {
        "startDate": "2024-01-30",
        "endDate": "2024-01-31",
        "targetDistricts": ["01", "F"],
        "cadence": "daily",
        "skipExisting": True,
        "rateLimits": {
            "maxRequestsPerMinute": 60,
            "maxConcurrent": 3,
            "minDelayMs": 500,
            "maxDelayMs": 30000,
            "backoffMultiplier": 2,
        },
    },
    "progress": {
        "totalItems": 6,
        "processedItems": 1,
        "failedItems": 1,
        "skippedItems": 1,
        "skipped": {"stored": 1},
        "quality": {},
        "percent": 50.0,
        "currentItem": "2024-01-31/F",
        "estimatedSecondsLeft": 11,
        "estimatedSecondsLeftRange": {"low": 5, "high": 20},
        "pace": {
            "itemsPerMinute": 3.0,
            "history": [
                {"at": AT.replace("09:26", "09:24"), "items": 2},
                {"at": AT.replace("09:26", "09:25"), "items": 3},
                {"at": AT, "items": 1},
            ],
        },
    },
    "checkpoint": {"lastProcessedItem": "2024-01-31/01", "lastProcessedAt": AT, "itemsCompleted": 3},
    "createdAt": AT,
    "createdBy": "operator",
    "startedAt": AT,
    "completedAt": None,
    "cancelledAt": None,
    "resumedAt": None,
    "resumeCount": 0,
    "retryOf": None,
    "result": None,
    "error": None,
    "stillFailedItems": 1,
    "retries": [],
    "note": None,
    "notes": [],
    "rateLimiter": {
        "requestsMade": 7,
        "requestsThisMinute": 3,
        "state": "running",
        "requestsByStatus": {"200": 6, "500": 1},
        "waitedSeconds": {"pace": 4},
        "waitingUntil": None,
        "reason": "Requests are being made.",
        "requestsPerMinute": 17.3,
        "latencyMs": 234,
        "downSince": None,
    },
    "links": {
        "self": f"/api/admin/backfill/{JOB_ID}",
        "items": f"/api/admin/backfill/{JOB_ID}/items",
        "cancel": f"/api/admin/backfill/{JOB_ID}",
        "again": {
            "method": "POST",
            "path": "/api/admin/backfill",
            "body": {
                "jobType": "data-collection",
                "startDate": "2024-01-30",
                "endDate": "2024-01-31",
                "targetDistricts": ["01", "F"],
                "cadence": "daily",
                "skipExisting": True,
            },
        },
    },
}
DETAIL = {
    "districtProgress": {
        "01": {
            "districtId": "01",
            "status": "failed",
            "itemsTotal": 2,
            "itemsProcessed": 1,
            "itemsFailed": 1,
            "itemsSkipped": 0,
            "lastError": "HTTP 500",
        }
    },
    "errors": [
        {
            "itemId": "2024-01-30/01",
            "districtId": "01",
            "date": "2024-01-30",
            "code": "SERVER_ERROR",
            "message": "HTTP 500",
            "occurredAt": AT,
            "isRetryable": True,
            "attempts": 5,
        }
    ],
}


def test_a_listed_job_is_rendered_with_exact_bytes() -> None:
    assert json.dumps(ListedJobSerializer.render(JOB)) == json.dumps(LISTED)


def test_a_job_also_has_its_districts_and_errors_and_ends_with_the_metadata() -> None:
    body = JobSerializer.render(JOB)
    assert list(body.pop("metadata")) == ["operationId", "timestamp"]
    assert json.dumps(body) == json.dumps(LISTED | {"progress": {**LISTED["progress"], **DETAIL}})


def test_a_cancelled_job_has_the_previous_status_before_the_metadata() -> None:
    body = CancelledJobSerializer.render(Cancelled(JOB, Status.PAUSED))
    assert list(body)[-2:] == ["previousStatus", "metadata"]
    assert body["previousStatus"] == "paused"
    assert body["jobId"] == str(JOB_ID)


def test_an_ended_job_has_a_result_and_offers_a_retry_of_its_failed_items() -> None:
    ended = replace(JOB, status=Status.FAILED, ended_at=NOW + timedelta(seconds=1.2345), retry_of=JOB_ID)
    body = ListedJobSerializer.render(ended)
    assert body["result"] == {
        "itemsProcessed": 1,
        "itemsFailed": 1,
        "itemsSkipped": 1,
        "quality": {},
        "duration": 1234,
        "requestsMade": 7,
    }
    assert list(body["links"]) == ["self", "items", "retry", "retryOf", "again"]


def test_a_page_renders_its_rows_first() -> None:
    body = JobPageSerializer.render(ListPage([JOB], 7, limit=1, offset=3, next_cursor="x1"))
    assert list(body) == ["jobs", "total", "limit", "offset", "nextCursor", "metadata"]
    assert (body["jobs"], body["total"], body["limit"], body["offset"]) == ([LISTED], 7, 1, 3)
    assert body["nextCursor"] == "x1"
    body = JobPageSerializer.render(ListPage([JOB], 7, limit=1, offset=None, next_cursor=None))
    assert (body["offset"], body["nextCursor"]) == (None, None)


def test_two_responses_have_different_operation_ids() -> None:
    error = BackfillError("It failed.")
    ids = {ErrorSerializer.render(error)["metadata"]["operationId"] for _ in range(2)}
    assert len({UUID(text) for text in ids}) == 2


class _Inner(ValueSerializer):
    someName = CharField()
    later = InstantField(allow_null=True)
    rarely = IntegerField(required=False)
    note = NullableTextField()


class _Outer(_Inner, ResponseSerializer):
    inherited_source = "inner"

    someName = IntegerField()  # type: ignore[assignment]
    own = CharField()

    def get_own(self, value: SimpleNamespace) -> str:
        return f"{value.own}!"


def test_a_serializer_reads_snake_case_attributes_and_omits_optional_none_values() -> None:
    value = SimpleNamespace(some_name="x", later=None, rarely=None, note="")
    assert _Inner.render(value) == {"someName": "x", "later": None, "note": None}
    value = SimpleNamespace(some_name="x", later=datetime(2024, 1, 1, tzinfo=UTC), rarely=0, note="y")
    assert _Inner.render(value) == {"someName": "x", "later": "2024-01-01T00:00:00Z", "rarely": 0, "note": "y"}


def test_a_subclass_keeps_the_order_and_reads_inherited_fields_from_the_inner_value() -> None:
    inner = SimpleNamespace(some_name="7", later=None, rarely=1, note="")
    body = _Outer.render(SimpleNamespace(inner=inner, own="o"))
    assert list(body) == ["someName", "later", "rarely", "note", "own", "metadata"]
    assert (body["someName"], body["own"]) == (7, "o!")


def test_the_version_of_a_serializer_depends_only_on_its_fields() -> None:
    assert "0x" not in repr(JobSerializer())
    kinds = [JobSerializer, ListedJobSerializer, SnapshotSerializer, _Inner, _Outer]
    assert len({kind.version() for kind in kinds}) == len(kinds)


# Query parameters.


def _request(query: str) -> Request:
    return Request(APIRequestFactory().get(f"/?{query}"))


def test_every_invalid_parameter_is_named() -> None:
    with pytest.raises(InvalidRequest) as raised:
        parsed_query(_request("limit=0&status=running,odd&createdFrom=yesterday"), JobListQuery)
    assert set(raised.value.details or {}) == {"limit", "status", "createdFrom"}


def test_list_parameters_are_parsed_into_pagination_and_filter_fields() -> None:
    query = "offset=40&status=running,%20failed&jobType=analytics-generation&createdTo=2024-01-31"
    pagination, filters = parsed_page_query(_request(query), JobListQuery)
    assert pagination == {"limit": 20, "offset": 40, "cursor": ""}
    assert filters == {
        "statuses": frozenset({Status.RUNNING, Status.FAILED}),
        "job_types": frozenset({JobType.ANALYTICS_GENERATION}),
        "created_to": datetime(2024, 2, 1, tzinfo=UTC),
    }


def test_a_date_range_that_ends_before_it_starts_is_a_separate_error() -> None:
    with pytest.raises(InvalidDateRange, match="must not be after"):
        parsed_query(_request("from=2024-02-01&to=2024-01-01"), CoverageQuery)


# Errors.


def test_the_error_table_states_the_code_of_each_error_of_the_service() -> None:
    own = {kind: spec for kind, spec in ERRORS.items() if issubclass(kind, BackfillError)}
    assert len(own) >= 18
    assert {kind: spec.code for kind, spec in own.items()} == {kind: kind.code for kind in own}
