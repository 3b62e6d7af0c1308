"""Walks over the lists of the API with cursors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backfill.service.commands import BackfillService
from tests.factories import DAY, SnapshotFactory
from tests.integration.checked_client import CheckedClient
from tests.integration.fake_job_type import run_to_the_end
from tests.integration.test_api_jobs import START, error_of, start_job
from tests.integration.test_api_snapshots import SNAPSHOTS

LISTS = [SNAPSHOTS, f"{START}/jobs", f"{START}/audit"]


def store(served: BackfillService, *days_before: int, district: str = "01") -> None:
    for days in days_before:
        served.storage.snapshots.put(SnapshotFactory.build(date=DAY - timedelta(days=days), district=district))


def next_address(response: Any) -> str | None:
    """Return the address of the `Link` header, which a browser or requests resolves against that of the request."""
    link = response.get("Link")
    if link is None:
        return None
    address, relation = link.split("; ")
    assert relation == 'rel="next"'
    assert (address[0], address[-1]) == ("<", ">")
    return str(address[1:-1])


def test_the_link_header_leads_through_all_snapshots_while_others_are_stored(
    api: CheckedClient, served: BackfillService
) -> None:
    store(served, *range(0, 20, 2))
    address: str | None = f"{SNAPSHOTS}?limit=3"
    dates: list[str] = []
    pages = 0
    while address is not None:
        response = api.get(address)
        dates += [row["date"] for row in response.json()["snapshots"]]
        address = next_address(response)
        pages += 1
        store(served, 21 - pages)
    before = [str(DAY - timedelta(days=days)) for days in range(18, -1, -2)]
    assert [day for day in dates if day in before] == before
    assert dates == sorted(set(dates))


def test_the_cursor_of_the_body_is_that_of_the_header(api: CheckedClient, served: BackfillService) -> None:
    store(served, 0, 1, 2, district="F")
    store(served, 0, 1, 2)
    query = f"from={DAY - timedelta(days=1)}&district=F"
    first = api.get(f"{SNAPSHOTS}?limit=1&offset=0&{query}")
    cursor = first.json()["nextCursor"]
    assert next_address(first) == f"{SNAPSHOTS}?cursor={cursor}&district=F&from={DAY - timedelta(days=1)}&limit=1"
    second = api.get(f"{SNAPSHOTS}?{query}&cursor={cursor}")
    body = second.json()
    assert [(row["date"], row["districtId"]) for row in body["snapshots"]] == [(str(DAY), "F")]
    assert (body["total"], body["limit"], body["offset"], body["nextCursor"]) == (2, 20, None, None)
    assert next_address(second) is None


def test_the_link_header_contains_the_prefix_of_the_site(api: CheckedClient, served: BackfillService) -> None:
    store(served, 0, 1)
    response = api.get(f"{SNAPSHOTS}?limit=1", SCRIPT_NAME="/backfill")
    assert str(next_address(response)).startswith(f"/backfill{SNAPSHOTS}?cursor=")


def test_jobs_items_and_audit_entries_are_walked_with_cursors(api: CheckedClient, served: BackfillService) -> None:
    jobs: list[dict[str, Any]] = []
    for _ in range(3):
        jobs.insert(0, start_job(api))
        run_to_the_end(served)
    items = jobs[0]["links"]["items"]
    for address, name, key in (
        (f"{START}/jobs", "jobs", "jobId"),
        (items, "items", "itemId"),
        (f"{items}?order=newest", "items", "itemId"),
        (f"{START}/audit", "entries", "entryId"),
        (f"{jobs[0]['links']['self']}/audit", "entries", "entryId"),
    ):
        whole = [row[key] for row in api.get(address).json()[name]]
        walked: list[str] = []
        following: str | None = f"{address}{'&' if '?' in address else '?'}limit=1"
        while following is not None:
            response = api.get(following)
            walked += [row[key] for row in response.json()[name]]
            following = next_address(response)
        assert walked == whole, address
        assert len(walked) == len(set(walked)) >= 1


def test_a_job_that_starts_during_a_walk_does_not_shift_its_pages(api: CheckedClient, served: BackfillService) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids.insert(0, start_job(api)["jobId"])
        run_to_the_end(served)
    first = api.get(f"{START}/jobs?limit=2").json()
    newest = start_job(api)
    assert api.get(f"{START}/jobs").json()["jobs"][0]["jobId"] == newest["jobId"]
    rest = api.get(f"{START}/jobs?limit=2&cursor={first['nextCursor']}").json()
    assert [job["jobId"] for job in [*first["jobs"], *rest["jobs"]]] == ids
    assert (rest["total"], rest["nextCursor"]) == (4, None)


@pytest.mark.parametrize("address", LISTS)
def test_a_wrong_cursor_is_refused_with_what_to_do(api: CheckedClient, served: BackfillService, address: str) -> None:
    for wrong in ("x", "WzFd", "%00", "a%20b", "%C3%A9", "A" * 5000):
        error = error_of(api.get(f"{address}?cursor={wrong}"), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == ["cursor"]
        assert "Leave it out to begin again." in error["details"]["cursor"][0]
    error = error_of(api.get(f"{address}?cursor="), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == ["cursor"]


def test_a_cursor_with_other_filters_or_of_another_list_is_refused(api: CheckedClient, served: BackfillService) -> None:
    store(served, 0, 1)
    cursor = api.get(f"{SNAPSHOTS}?limit=1").json()["nextCursor"]
    for address in (f"{SNAPSHOTS}?district=01", f"{SNAPSHOTS}?from=2024-01-01", f"{START}/jobs?limit=1"):
        joined = f"{address}{'&' if '?' in address else '?'}cursor={cursor}"
        error = error_of(api.get(joined), 400, "VALIDATION_ERROR")
        assert error["details"]["cursor"][0].startswith("cursor belongs to another list, or to other filters")
    error = error_of(api.get(f"{SNAPSHOTS}?offset=1&cursor={cursor}"), 400, "VALIDATION_ERROR")
    assert list(error["details"]) == ["offset"]
