"""Random requests: every response has the documented form, and none is a 5xx."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backfill.domain import Actor, Channel
from backfill.service.commands import BackfillService
from tests.integration.checked_client import CheckedClient
from tests.integration.test_api_jobs import BODY, START
from tests.integration.test_api_limits import LIMITS

with_few_examples = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
DATES = st.sampled_from(["2024-01-01", "2023-02-30", "2999-01-01", "0001-01-01", "9999-12-31", "2024-01-02"])
FIELDS = {
    "jobType": st.sampled_from(["data-collection", "analytics-generation"]),
    "startDate": DATES,
    "endDate": DATES,
    "targetDistricts": st.lists(st.sampled_from(["1", "F", "all", "\u0661", " 7 ", "0"]), max_size=3),
    "cadence": st.sampled_from(["daily", "month-ends", "year-ends"]),
    "skipExisting": st.booleans(),
    "planId": st.sampled_from(["plan-1-1-1-0123456789abcdef", "x"]),
}
JOB_BODIES = JSON_VALUES | st.fixed_dictionaries(
    {}, optional={name: value | JSON_VALUES for name, value in FIELDS.items()}
)
LIMITS_BODIES = JSON_VALUES | st.dictionaries(
    st.sampled_from(["maxRequestsPerMinute", "maxConcurrent", "minDelayMs", "maxDelayMs", "backoffMultiplier"]), SCALARS
)
NAMES = [
    "limit",
    "offset",
    "cursor",
    "status",
    "jobType",
    "createdFrom",
    "createdTo",
    "district",
    "outcome",
    "from",
    "to",
    "resolution",
]
QUERIES = st.binary(max_size=40).map(quote) | st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        | DATES
        | st.sampled_from(["1", "completed", "failed", "F"]),
    ),
    max_size=3,
).map(urlencode)


def check(response: Any) -> None:
    assert response.status_code < 500, response.content


def send(api: CheckedClient, method: str, path: str, body: Any) -> None:
    """Send a body as Python's JSON, which may contain NaN and lone surrogates."""
    check(api.generic(method, path, json.dumps(body), content_type="application/json"))


@with_few_examples
@given(body=JOB_BODIES)
def test_a_random_body_of_a_job_causes_no_server_error(api: CheckedClient, served: BackfillService, body: Any) -> None:
    send(api, "POST", START, body)
    send(api, "POST", f"{START}/preview", body)
    if (active := served.active()) is not None:
        served.cancel(active.id, by=Actor("alice", Channel.API))


@with_few_examples
@given(body=LIMITS_BODIES)
def test_a_random_body_of_limits_causes_no_server_error(api: CheckedClient, body: Any) -> None:
    send(api, "PUT", LIMITS, body)
    send(api, "PATCH", LIMITS, body)


@with_few_examples
@given(
    body=JSON_VALUES
    | st.fixed_dictionaries({"rateLimits": LIMITS_BODIES})
    | st.fixed_dictionaries({}, optional={"codes": JSON_VALUES, "districts": JSON_VALUES})
)
def test_a_random_body_of_a_change_causes_no_server_error(
    api: CheckedClient, served: BackfillService, body: Any
) -> None:
    active = served.active()
    path = f"{START}/{active.id}" if active else api.post(START, BODY, format="json")["Location"]
    for method, suffix in (("PATCH", ""), ("POST", "/retry"), ("POST", "/pause"), ("POST", "/resume")):
        send(api, method, f"{path}{suffix}", body)


@with_few_examples
@given(query=QUERIES)
def test_a_random_query_causes_no_server_error(api: CheckedClient, served: BackfillService, query: str) -> None:
    active = served.active()
    path = f"{START}/{active.id}" if active else api.post(START, BODY, format="json")["Location"]
    for address in (
        f"{START}/jobs",
        path,
        f"{path}/items",
        LIMITS,
        "/api/snapshots",
        "/api/snapshots/2024-01-31/91",
        f"{START}/coverage",
        "/api/analytics/2024-01-31/91",
        "/api/analytics/2024-01-31/world",
        "/api/analytics/series/91",
        "/api/changes",
        "/api/dictionary",
        "/api/schema",
        "/api/docs",
    ):
        check(api.get(f"{address}?{query}"))


@pytest.mark.parametrize("day", ["0001-01-01", "0001-12-31", "9999-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "address",
    [
        f"{START}/coverage?from={{}}",
        f"{START}/coverage?to={{}}",
        f"{START}/coverage?from={{0}}&to={{0}}",
        f"{START}/coverage?resolution=month&from={{}}",
        f"{START}/coverage?resolution=month&to={{}}",
        f"{START}/jobs?createdFrom={{}}",
        f"{START}/jobs?createdTo={{}}",
        f"{START}/jobs?createdFrom={{}}T00:00:00%2B14:00",
        f"{START}/jobs?createdTo={{}}T23:59:59-14:00",
        "/api/snapshots?from={}",
        "/api/snapshots?to={}",
        "/api/snapshots/{}/91",
        "/api/snapshots/{}/91/clubperformance.csv",
        "/api/changes?from={}&to=2024-01-31&district=91",
        "/api/changes?from=2024-01-31&to={}&district=91",
        "/api/changes?from=0001-01-01&to={}&district=91",
        "/api/analytics/{}/91",
        "/api/analytics/{}/world",
        "/admin/backfill/?from={0}&to={0}",
        "/admin/backfill/history/?since={}",
        "/admin/backfill/history/?until={}",
        "/admin/backfill/results/?district=91&date={}",
        "/admin/backfill/results/91/?date={}",
        "/admin/backfill/results/91/{}/",
        "/admin/backfill/results/world/{}/",
        "/admin/backfill/results/91/changes/?from={}&to=2024-01-31",
        "/admin/backfill/results/91/changes.csv?from=2024-01-31&to={}",
    ],
)
def test_the_first_and_the_last_dates_cause_no_server_error(
    api: CheckedClient, operator: Client, address: str, day: str
) -> None:
    client = operator if address.startswith("/admin/") else api
    check(client.get(address.format(day)))


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("path", ["targets", "targets/preview", "preview", ""])
def test_jobs_and_targets_of_the_first_and_the_last_dates_cause_no_server_error(
    api: CheckedClient, path: str, day: str
) -> None:
    target = {"enabled": True, "rules": [{"from": day, "cadence": "daily"}]}
    body = target if path.startswith("targets") else {"jobType": "data-collection", "startDate": day, "endDate": day}
    method = "PUT" if path == "targets" else "POST"
    check(
        api.generic(
            method,
            f"{START}/{path}".rstrip("/"),
            json.dumps(body),
            content_type="application/json",
            headers={"If-Match": "*"},
        )
    )


@with_few_examples
@given(
    raw=st.binary(max_size=60),
    kind=st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            'application/json;charset="',
            "",
            "multipart/form-data",
        ]
    ),
)
def test_random_bytes_cause_no_server_error(api: CheckedClient, raw: bytes, kind: str) -> None:
    check(api.generic("POST", START, raw, content_type=kind))  # type: ignore[arg-type]


@with_few_examples
@given(
    parts=st.lists(st.binary(min_size=1, max_size=12).map(lambda part: quote(part, safe="")), min_size=1, max_size=3)
)
def test_a_random_path_causes_no_server_error(api: CheckedClient, parts: list[str]) -> None:
    for root in (START, "/api/snapshots", "/api/analytics", "/api", "/api/districts/backfill"):
        for method in ("GET", "POST", "DELETE"):
            check(api.generic(method, "/".join([root, *parts])))


@with_few_examples
@given(key=st.text(st.characters(max_codepoint=255), max_size=300), tag=st.text(st.characters(max_codepoint=255)))
def test_a_random_header_causes_no_server_error(
    api: CheckedClient, served: BackfillService, key: str, tag: str
) -> None:
    check(api.post(START, BODY, format="json", headers={"Idempotency-Key": key, "If-None-Match": tag}))
    active = served.active()
    if active is not None:
        check(api.get(f"{START}/{active.id}", headers={"If-None-Match": tag, "Accept": key}))
        served.cancel(active.id, by=Actor("alice", Channel.API))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_any_method_on_any_path_causes_no_server_error(api: CheckedClient, method: str) -> None:
    for path in (START, f"{START}/jobs", LIMITS, "/api/snapshots", "/api/schema", "/api/docs", "/healthz"):
        check(api.generic(method, path))
