"""The live year after the district reformation, collected through real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.harness import PEER, Client, Dashboard, Json, Site

pytestmark = pytest.mark.acceptance

MONTH_ENDS = ("2026-06-01", "2026-10-31")
BEFORE, AFTER = {"01", "02", "03", "F", "U"}, {"03", "201", "202", "F", "U"}


@pytest.fixture(params=["error", "other"])
def reformed(request: pytest.FixtureRequest) -> Iterator[Dashboard]:
    """The stand-in; the parameter selects its response for an unknown district."""
    if not PEER.exists():
        pytest.skip("The stand-in dashboard is missing (../shared/dashboard is not part of the repository).")
    options = ("--reformed", "2026", "--today", "2026-11-15", "--districts", "5", "--clubs", "8")
    dashboard = Dashboard.peer("--world", "synthetic", "--unknown-id", str(request.param), *options)
    yield dashboard
    dashboard.stop()


@pytest.fixture(params=["error", "other"])
def reformed_sample(request: pytest.FixtureRequest) -> Iterator[Dashboard]:
    options = ("--today", "2026-11-15", "--districts", "6", "--clubs", "8", "--seed", "reformation")
    dashboard = Dashboard.sample("--unknown-id", str(request.param), *options)
    yield dashboard
    dashboard.stop()


def preview(client: Client, first: str, last: str, **fields: object) -> Json:
    body = {"jobType": "data-collection", "startDate": first, "endDate": last, "cadence": "month-ends", **fields}
    response = client.ask("POST", "/api/admin/backfill/preview", body)
    assert response.status_code == 200, response.text
    answer: Json = response.json()["preview"]
    return answer


def districts_of(items: list[Json]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in items:
        found.setdefault(item["date"], set()).add(item["districtId"])
    return found


def collect(site: Site) -> tuple[Client, dict[str, set[str]]]:
    """Return the processed districts of each date of the range."""
    client = site.serve()
    client.set_limits()
    job = client.ended(client.start(*MONTH_ENDS, cadence="month-ends")["jobId"], within=180)
    assert (job["status"], job["progress"]["failedItems"], job["progress"]["skippedItems"]) == ("completed", 0, 0)
    return client, districts_of(client.items(job["jobId"], outcome="processed"))


def test_each_month_around_the_reformation_is_collected_with_the_districts_of_its_year(
    reformed: Dashboard, new_site: Callable[..., Site]
) -> None:
    client, processed = collect(new_site(reformed))
    assert processed == {
        "2026-06-30": {"all", *BEFORE},
        **{f"2026-{end}": {"all", *AFTER} for end in ("07-31", "08-31", "09-30", "10-31")},
    }
    assert client.ask("GET", "/api/snapshots/2026-10-31/202").status_code == 200
    assert client.ask("GET", "/api/snapshots/2026-10-31/01").status_code == 404


def test_a_new_district_can_be_previewed_on_an_empty_store(reformed: Dashboard, new_site: Callable[..., Site]) -> None:
    client = new_site(reformed).serve()
    client.set_limits()
    plan = preview(client, "2026-07-01", "2026-10-31", targetDistricts=["202"])
    assert plan["totalItems"] == 8  # four month-ends with their summaries
    pages = [entry for entry in reformed.log() if not entry["report"]]
    assert [entry["path"] for entry in pages] == ["/robots.txt", "/", *["/Club.aspx"] * 4]


def test_a_dissolved_district_can_be_previewed_in_its_last_year_and_is_refused_in_the_next(
    reformed: Dashboard, new_site: Callable[..., Site]
) -> None:
    client = new_site(reformed).serve()
    client.set_limits()
    assert preview(client, "2026-05-01", "2026-06-30", targetDistricts=["01"])["totalItems"] == 4
    body = {"jobType": "data-collection", "startDate": "2026-09-01", "endDate": "2026-09-30", "targetDistricts": ["01"]}
    refused = client.ask("POST", "/api/admin/backfill/preview", body)
    assert refused.status_code == 400
    assert "has no district 01 between" in refused.text


def test_the_reformation_of_the_sample_dashboard_is_collected_and_computed(
    reformed_sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    client, processed = collect(new_site(reformed_sample))
    assert processed["2026-06-30"] == {"all", "01", "02", "03", "04", "F", "U"}
    assert processed["2026-10-31"] == {"all", "02", "03", "04", "201", "F", "U"}
    computed = client.ended(client.start_analytics()["jobId"], within=120)
    assert (computed["status"], computed["progress"]["failedItems"]) == ("completed", 0)
    assert client.get("/api/analytics/2026-10-31/201")
