"""Snapshots and reports over the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from backfill.domain import DISTRICT_REPORTS, SUMMARY, ReportName, Snapshot
from backfill.service.commands import BackfillService
from tests.factories import NOW, SnapshotFactory, report_of, reports_for
from tests.integration.checked_client import CheckedClient
from tests.integration.test_api_jobs import INVALID_PAGING, error_of

SNAPSHOTS = "/api/snapshots"
CLUBS = (
    b'\xef\xbb\xbf"District","Club Number","Club Name"\r\n"01","0001","Caf\xc3\xa9, ""Early"""\r\n"01","0002",""\r\n'
    b"Month of Jan, As of 02/09/2024\r\n"
)
SUMMARIES = b'"DISTRICT","Paid Clubs"\n"01","120"\n"F","80"\nMonth of Jan, As of 02/09/2024'


@pytest.fixture
def stored(served: BackfillService) -> Snapshot:
    """Store district 01 and the summary of a month-end, and district 02 of the day before. Return the first."""
    reports = {name: report_of(CLUBS, rows=2) for name in DISTRICT_REPORTS}
    snapshot = SnapshotFactory.build(reports=reports)
    served.storage.snapshots.put(snapshot)
    served.storage.snapshots.put(
        SnapshotFactory.build(district=SUMMARY, reports={ReportName.SUMMARY: report_of(SUMMARIES, rows=2)})
    )
    served.storage.snapshots.put(SnapshotFactory.build(district="02", date=date(2024, 1, 30)))
    return snapshot


def keys(api: CheckedClient, query: str = "") -> list[str]:
    found = api.get(f"{SNAPSHOTS}{query}").json()
    return [f"{snapshot['date']}/{snapshot['districtId']}" for snapshot in found["snapshots"]]


def test_snapshots_are_listed_with_the_sizes_of_their_reports(api: CheckedClient, stored: Snapshot) -> None:
    found = api.get(SNAPSHOTS).json()
    assert (found["total"], found["limit"], found["offset"]) == (3, 20, 0)
    shown = next(snapshot for snapshot in found["snapshots"] if snapshot["districtId"] == "01")
    assert shown == {
        "date": "2024-01-31",
        "districtId": "01",
        "programYear": "2023-2024",
        "dataMonth": "2024-01",
        "asOf": "2024-02-09",
        "isFinal": True,
        "contentHash": stored.content_hash,
        "fetchedAt": shown["fetchedAt"],
        "jobId": str(stored.job_id),
        "reports": {str(name): {"rows": 2, "bytes": len(CLUBS)} for name in DISTRICT_REPORTS},
    }


def test_snapshots_can_be_filtered_and_paged(api: CheckedClient, stored: Snapshot) -> None:
    assert keys(api) == ["2024-01-30/02", "2024-01-31/01", "2024-01-31/all"]
    assert keys(api, "?from=2024-01-31") == ["2024-01-31/01", "2024-01-31/all"]
    assert keys(api, "?to=2024-01-30") == ["2024-01-30/02"]
    assert keys(api, "?from=2024-01-30&to=2024-01-31&district=1") == ["2024-01-31/01"]
    assert keys(api, "?district=all") == ["2024-01-31/all"]
    assert keys(api, "?limit=1&offset=1") == ["2024-01-31/01"]


@pytest.mark.parametrize(
    "query",
    [
        *INVALID_PAGING,
        "from=2023-02-30",
        "from=",
        "to=today",
        "to=%00",
        "district=x1",
        "district=",
        "from=2024-01-31T00:00:00Z",
        "status=completed",
    ],
)
def test_the_error_for_an_invalid_parameter_names_it(api: CheckedClient, query: str) -> None:
    error = error_of(api.get(f"{SNAPSHOTS}?{query}"), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == [query.partition("=")[0]]


def test_a_range_that_ends_before_it_begins_is_refused(api: CheckedClient) -> None:
    error_of(api.get(f"{SNAPSHOTS}?from=2024-02-01&to=2024-01-31"), 400, "INVALID_DATE_RANGE")


@pytest.mark.parametrize("district", ["01", "1", "001"])
def test_a_snapshot_contains_its_clubs_with_the_columns_of_the_report(
    api: CheckedClient,
    stored: Snapshot,
    district: str,
) -> None:
    shown = api.get(f"{SNAPSHOTS}/2024-01-31/{district}").json()
    assert shown["clubs"] == [
        {"District": "01", "Club Number": "0001", "Club Name": 'Caf\u00e9, "Early"'},
        {"District": "01", "Club Number": "0002", "Club Name": ""},
    ]
    assert "districts" not in shown
    assert shown["contentHash"] == stored.content_hash


def test_the_summary_contains_the_districts(api: CheckedClient, stored: Snapshot) -> None:
    shown = api.get(f"{SNAPSHOTS}/2024-01-31/all").json()
    assert [row["DISTRICT"] for row in shown["districts"]] == ["01", "F"]
    assert "clubs" not in shown


@pytest.mark.parametrize("report", list(DISTRICT_REPORTS))
def test_a_report_is_returned_with_the_exact_bytes_that_were_fetched(
    api: CheckedClient, stored: Snapshot, report: str
) -> None:
    response = api.get(f"{SNAPSHOTS}/2024-01-31/1/{report}.csv", headers={"Accept": "application/json"})
    assert response.status_code == 200
    assert response.content == CLUBS
    assert response["Content-Type"] == "text/csv"
    assert response["Content-Disposition"] == f'attachment; filename="2024-01-31-01-{report}.csv"'
    assert response["Cache-Control"] == "private, no-cache"


def test_the_report_of_the_summary_can_be_downloaded(api: CheckedClient, stored: Snapshot) -> None:
    assert api.get(f"{SNAPSHOTS}/2024-01-31/all/districtsummary.csv").content == SUMMARIES


@pytest.mark.parametrize("path", [f"{SNAPSHOTS}/2024-01-31/01", f"{SNAPSHOTS}/2024-01-31/01/clubperformance.csv"])
def test_an_unchanged_snapshot_or_report_returns_304(
    api: CheckedClient,
    served: BackfillService,
    stored: Snapshot,
    path: str,
) -> None:
    etag = api.get(path)["ETag"]
    same = api.get(path, headers={"If-None-Match": f'"x", W/{etag}'})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    later = CLUBS.replace(b"02/09/2024", b"02/10/2024")  # only the footer, which is not part of the content hash
    reports = {name: replace(report, content=later) for name, report in stored.reports.items()}
    assert served.storage.snapshots.put(
        replace(stored, as_of=date(2024, 2, 10), fetched_at=NOW + timedelta(days=1), reports=reports)
    )
    changed = api.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize(
    "key",
    [
        "2024-01-31/02",
        "2024-01-29/01",
        "2023-02-30/01",
        "yesterday/01",
        "2024-01-31/x1",
        "2024-01-31/%00",
        "%00/01",
        "2024-1-31/01",
        "0000-00-00/01",
        "9999-12-31/all",
        "2024-01-31/' OR 1=1",
        "2024-01-31/" + "9" * 500,
    ],
)
def test_a_missing_snapshot_is_not_found(api: CheckedClient, stored: Snapshot, key: str) -> None:
    error_of(api.get(f"{SNAPSHOTS}/{key}"), 404, "SNAPSHOT_NOT_FOUND")
    error_of(api.get(f"{SNAPSHOTS}/{key}/clubperformance.csv"), 404, "SNAPSHOT_NOT_FOUND")


@pytest.mark.parametrize(
    ("district", "report", "text"),
    [
        ("01", "nothing", "the reports are clubperformance"),
        ("01", "CLUBPERFORMANCE", "the reports are"),
        ("01", "districtsummary", "it has clubperformance"),
        ("all", "clubperformance", "it has districtsummary"),
        ("01", "%00", "the reports are"),
    ],
)
def test_an_unknown_report_is_not_found(
    api: CheckedClient,
    stored: Snapshot,
    district: str,
    report: str,
    text: str,
) -> None:
    error = error_of(api.get(f"{SNAPSHOTS}/2024-01-31/{district}/{report}.csv"), 404, "SNAPSHOT_NOT_FOUND")
    assert text in error["message"]


def test_the_error_for_a_damaged_report_advises_to_collect_it_again(
    api: CheckedClient, served: BackfillService
) -> None:
    served.storage.snapshots.put(
        SnapshotFactory.build(reports=reports_for("01"))
    )  # without a footer, so the report is incomplete
    error = error_of(api.get(f"{SNAPSHOTS}/2024-01-31/01"), 500, "CORRUPT_RECORD")
    assert "Collect that date again" in error["message"]
    assert api.get(f"{SNAPSHOTS}/2024-01-31/01/clubperformance.csv").status_code == 200


def test_a_query_parameter_on_a_snapshot_is_refused(api: CheckedClient, stored: Snapshot) -> None:
    for path in (f"{SNAPSHOTS}/2024-01-31/01", f"{SNAPSHOTS}/2024-01-31/01/clubperformance.csv"):
        error_of(api.get(f"{path}?format=csv"), 400, "VALIDATION_ERROR")
