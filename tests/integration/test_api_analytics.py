"""Results and coverage over the API."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from backfill.domain import SUMMARY, JobType, LimiterReport, OutcomeKind
from backfill.engine.job_manager import JobManager
from backfill.job_types.analytics.handler import AnalyticsHandler
from backfill.job_types.compute.local import LocalCompute
from backfill.rate_limit import Limiter
from backfill.service.commands import BackfillService
from backfill.storage import Storage
from tests.factories import CalendarMonthFactory
from tests.integration.checked_client import CheckedClient
from tests.integration.conftest import ClientFor
from tests.integration.test_api_jobs import START, error_of
from tests.unit.analytics.builders import some_clubs
from tests.unit.fakes import DAY
from tests.unit.stored_snapshots import a_district, a_summary

ANALYTICS = "/api/analytics"
A_YEAR_AGO = date(2023, 1, 31)


def analytics_handler(storage: Storage) -> AnalyticsHandler:
    return AnalyticsHandler(storage, lambda _: LocalCompute(), now=lambda: datetime.now(UTC))


def compute_everything(service: BackfillService) -> None:
    """Process all items of the active job in the calling thread."""
    now, storage = datetime.now(UTC), service.storage
    claim = JobManager(storage).claim("test", now)
    assert claim is not None
    limiter = Limiter(claim.job.config.rate_limits, storage.control.update_schedule)
    execution = service.handlers[claim.job.job_type].execute(claim.job, claim.fence, limiter)
    for day in claim.plan.days:
        claim.note(execution.skips(day))
        claim.note(execution.process(day, [item for item in day.items() if item not in claim.settled]))
    claim.record((), LimiterReport(), now)
    assert claim.finish(now).progress.failed == 0


@pytest.fixture
def stored(served: BackfillService, monkeypatch: pytest.MonkeyPatch) -> BackfillService:
    """Return a service with snapshots of two years and no results."""
    handler = analytics_handler(served.storage)
    service = replace(served, handlers={**served.handlers, JobType.ANALYTICS_GENERATION: handler})
    monkeypatch.setattr("backfill.bootstrap.backfill_service", lambda: service)
    for snapshot in (
        a_district(A_YEAR_AGO, clubs=some_clubs(4, members="15")),
        a_district(),
        a_district(date(2024, 2, 1), data_month=DAY, is_final=False),
        a_summary(DAY, {}, {"DISTRICT": "F", "REGION": ""}),
    ):
        service.storage.snapshots.put(snapshot)
    return service


@pytest.fixture
def computed(api: CheckedClient, stored: BackfillService) -> BackfillService:
    assert api.post(START, {"jobType": "analytics-generation"}, format="json").status_code == 201
    compute_everything(stored)
    return stored


def test_analytics_are_previewed_started_and_read(api: CheckedClient, stored: BackfillService) -> None:
    """R2.1, R2.3, R4.5, R11.2: a job without a range takes every snapshot."""
    preview = api.post(f"{START}/preview", {"jobType": "analytics-generation"}, format="json").json()["preview"]
    assert preview["itemBreakdown"] == {
        "snapshotIds": ["2023-01-31/91", "2024-01-31/all", "2024-01-31/91", "2024-02-01/91"],
        "missing": 4,
        "stale": 0,
        "done": 0,
    }
    assert (preview["totalItems"], preview["estimatedRequests"]) == (4, 0)
    body = {"jobType": "analytics-generation", "planId": preview["planId"]}
    job = api.post(START, body, format="json").json()
    compute_everything(stored)
    ended = api.get(job["links"]["self"]).json()
    assert (ended["status"], ended["jobType"]) == ("completed", "analytics-generation")
    assert ended["result"]["quality"] == ended["progress"]["quality"] == {"SUMMARY_MISSING": 2, "SUMMARY_DIFFERS": 1}
    again = api.post(f"{START}/preview", {"jobType": "analytics-generation"}, format="json").json()["preview"]
    assert (again["skipped"], again["itemBreakdown"]["done"]) == ({"unchanged": 4}, 4)
    stored.storage.snapshots.put(a_district(clubs=some_clubs(4), is_final=True, as_of=date(2024, 2, 12)))
    stale = api.post(f"{START}/preview", {"jobType": "analytics-generation"}, format="json").json()["preview"]
    assert stale["itemBreakdown"]["stale"] == 1


def test_a_result_is_returned_with_the_stored_bytes(api: CheckedClient, computed: BackfillService) -> None:
    """R2.3"""
    response = api.get(f"{ANALYTICS}/2024-01-31/91")
    stored = computed.storage.results.get(DAY, "91")
    assert stored is not None
    assert response.content == stored.body
    found = response.json()
    assert (found["date"], found["districtId"], found["dataMonth"]) == ("2024-01-31", "91", "2024-01")
    assert found["yearOverYear"]["members"]["change"] == 20
    assert (api.get(f"{ANALYTICS}/2024-01-31/0091").content, response["Cache-Control"]) == (
        stored.body,
        "private, no-cache",
    )


def test_the_world_result_of_a_date_ranks_all_districts(api: CheckedClient, computed: BackfillService) -> None:
    world = api.get(f"{ANALYTICS}/2024-01-31/world").json()
    assert set(world["districts"]) == {"91", "F"}
    assert world["totals"]["districts"] == 2


def test_the_series_of_a_program_year_is_oldest_first(api: CheckedClient, computed: BackfillService) -> None:
    newest = api.get(f"{ANALYTICS}/series/91").json()
    assert newest["programYear"] == "2023-2024"
    assert [point["date"] for point in newest["points"]] == ["2024-01-31", "2024-02-01"]
    assert newest["points"][0] == api.get(f"{ANALYTICS}/2024-01-31/91").json()["point"]
    before = api.get(f"{ANALYTICS}/series/91?programYear=2022-2023").json()
    assert [point["members"] for point in before["points"]] == [60]


@pytest.mark.parametrize("path", ["2024-01-31/91", "2024-01-31/world", "series/91"])
def test_an_unchanged_result_returns_304(api: CheckedClient, computed: BackfillService, path: str) -> None:
    first = api.get(f"{ANALYTICS}/{path}")
    again = api.get(f"{ANALYTICS}/{path}", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again["ETag"]) == (304, first["ETag"])


def test_the_etag_changes_only_with_the_content(api: CheckedClient, computed: BackfillService) -> None:
    tag = api.get(f"{ANALYTICS}/2024-01-31/91")["ETag"]
    api.post(START, {"jobType": "analytics-generation", "skipExisting": False}, format="json")
    compute_everything(computed)
    assert api.get(f"{ANALYTICS}/2024-01-31/91")["ETag"] == tag
    computed.storage.snapshots.put(a_district(clubs=some_clubs(3), as_of=date(2024, 2, 12)))
    api.post(START, {"jobType": "analytics-generation"}, format="json")
    compute_everything(computed)
    assert api.get(f"{ANALYTICS}/2024-01-31/91")["ETag"] != tag


def test_the_error_for_a_missing_result_names_the_job_that_computes_it(
    api: CheckedClient, stored: BackfillService
) -> None:
    message = error_of(api.get(f"{ANALYTICS}/2024-01-31/91"), 404, "ANALYTICS_NOT_FOUND")["message"]
    assert "start --type analytics-generation --from 2024-01-31 --to 2024-01-31" in message
    assert "data-collection" not in message
    message = error_of(api.get(f"{ANALYTICS}/2024-01-31/F"), 404, "ANALYTICS_NOT_FOUND")["message"]
    assert "first start a data-collection job over that date" in message
    assert "the world" in error_of(api.get(f"{ANALYTICS}/2023-01-31/world"), 404, "ANALYTICS_NOT_FOUND")["message"]
    message = error_of(api.get(f"{ANALYTICS}/series/91"), 404, "ANALYTICS_NOT_FOUND")["message"]
    assert "start an analytics-generation job" in message


@pytest.mark.parametrize(
    "path", ["2024-02-30/91", "yesterday/world", "2024-01-31/all", "2024-01-31/xyz", "series/0", "series/all"]
)
def test_an_invalid_date_or_district_has_no_analytics(api: CheckedClient, path: str) -> None:
    error_of(api.get(f"{ANALYTICS}/{path}"), 404, "ANALYTICS_NOT_FOUND")


@pytest.mark.parametrize("query", ["programYear=2023", "programYear=2023-2025", "year=2023-2024"])
def test_an_invalid_program_year_is_refused(api: CheckedClient, computed: BackfillService, query: str) -> None:
    error_of(api.get(f"{ANALYTICS}/series/91?{query}"), 400, "VALIDATION_ERROR")


def test_the_error_for_a_damaged_result_names_it(api: CheckedClient, computed: BackfillService) -> None:
    from backfill.models import StoredResult

    StoredResult.objects.filter(district="91").update(body=b"damaged")
    assert "result 2024-01-31/91" in error_of(api.get(f"{ANALYTICS}/2024-01-31/91"), 500, "CORRUPT_RECORD")["message"]


@pytest.mark.parametrize("path", [f"{ANALYTICS}/2024-01-31/91", f"{ANALYTICS}/series/91", f"{START}/coverage"])
def test_reading_requires_the_permission_to_view(computed: BackfillService, client_for: ClientFor, path: str) -> None:
    assert client_for("view_backfilljob").get(path).status_code == 200
    error_of(client_for().get(path), 403, "PERMISSION_DENIED")
    error_of(CheckedClient().get(path), 401, "NOT_AUTHENTICATED")


# Retrying.


def test_a_retry_of_analytics_contains_only_the_failed_items(api: CheckedClient, stored: BackfillService) -> None:
    """The new job is planned over the snapshots that are stored now."""
    job = api.post(START, {"jobType": "analytics-generation"}, format="json").json()
    claim = JobManager(stored.storage).claim("test", datetime.now(UTC))
    assert claim is not None
    from tests.integration.fake_job_type import outcome_of

    claim.note(
        outcome_of(item, is_failed=item.district == "91" and item.date == DAY)
        for day in claim.plan.days
        for item in day.items()
    )
    claim.record((), LimiterReport(), datetime.now(UTC))
    claim.finish(datetime.now(UTC))
    retried = api.post(f"{job['links']['self']}/retry").json()
    assert (retried["jobType"], retried["progress"]["totalItems"]) == ("analytics-generation", 1)
    compute_everything(stored)
    items = api.get(f"{retried['links']['self']}/items").json()["items"]
    assert [(item["itemId"], item["outcome"]) for item in items] == [("2024-01-31/91", OutcomeKind.PROCESSED)]


# Coverage.


@pytest.fixture
def calendar(computed: BackfillService) -> None:
    for end in (date(2023, 12, 31), DAY):
        computed.storage.calendars.save(
            CalendarMonthFactory.build(month_end=end, districts=("91", "F"), as_of_days=(date(2024, 1, 30), DAY))
        )


def cells(api: CheckedClient, query: str) -> dict[str, Any]:
    coverage = api.get(f"{START}/coverage?{query}").json()["coverage"]
    return {day["date"]: day["districts"] for day in coverage["dates"]}


@pytest.mark.usefixtures("calendar")
def test_coverage_shows_the_state_of_each_date_and_district(api: CheckedClient, stored: BackfillService) -> None:
    found = cells(api, "from=2024-01-29&to=2024-01-31")
    assert list(found) == ["2024-01-29", "2024-01-30", "2024-01-31"]
    assert set(found["2024-01-29"].values()) == {"unpublished"}
    assert set(found["2024-01-30"].values()) == {"none"}
    assert found["2024-01-31"] == {"all": "analytics", "91": "analytics", "F": "none"}
    stored.storage.snapshots.put(a_district(clubs=some_clubs(3), as_of=date(2024, 2, 12)))
    assert cells(api, "from=2024-01-31&to=2024-01-31")["2024-01-31"]["91"] == "final"  # its result is outdated


@pytest.mark.usefixtures("calendar")
def test_coverage_by_month_contains_the_gaps_and_the_commands_that_fill_them(api: CheckedClient) -> None:
    coverage = api.get(f"{START}/coverage?resolution=month&from=2024-01-01&to=2024-01-31").json()["coverage"]
    (month,) = coverage["months"]
    assert month["districts"] == {SUMMARY: "analytics", "91": "analytics", "F": "none"}
    assert (month["snapshots"], month["analytics"]) == ({SUMMARY: 1, "91": 1}, {SUMMARY: 1, "91": 1})
    (gap,) = coverage["gaps"]
    assert (gap["districts"], gap["missingCloses"]) == (["F"], 1)
    assert gap["command"].endswith("start --from 2024-01-01 --to 2024-01-31 --cadence month-ends --district F")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2024-02-01&to=2024-01-31", "INVALID_DATE_RANGE"),
        ("from=2008-01-01", "INVALID_DATE_RANGE"),
        ("from=2010-01-01&to=2024-01-31", "INVALID_DATE_RANGE"),
        ("from=2024-02-30", "VALIDATION_ERROR"),
        ("resolution=week", "VALIDATION_ERROR"),
        ("district=91", "VALIDATION_ERROR"),
    ],
)
def test_a_coverage_request_with_an_invalid_parameter_is_refused(api: CheckedClient, query: str, code: str) -> None:
    error_of(api.get(f"{START}/coverage?{query}"), 400, code)


def test_the_point_of_a_result_contains_only_the_figures_of_the_series(computed: BackfillService) -> None:
    """A result contains no series, so that its size does not grow during the year."""
    found = computed.storage.results.get(DAY, "91")
    assert found is not None
    assert set(json.loads(found.body)["point"]) == {
        "date",
        "members",
        "payments",
        "paidClubs",
        "distinguished",
        "goals",
        "thriving",
        "vulnerable",
        "interventionRequired",
    }
