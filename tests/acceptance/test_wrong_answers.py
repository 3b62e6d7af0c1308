"""Reports that differ from the requested ones: briefly, permanently, and during the archiving of a program year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.acceptance.harness import PEER, Client, Dashboard, Json, Site, kill_group

pytestmark = pytest.mark.acceptance

MONTHS = ("2025-02-01", "2025-05-31")
KINDS = {
    "01": ("missing_column", "MISSING_COLUMN"),
    "02": ("stale_footer", "WRONG_MONTH"),
    "03": ("wrong_as_of", "WRONG_AS_OF"),
    "04": ("wrong_district", "WRONG_DISTRICT"),
}
"""The districts with wrong responses: the fault and the code of the error."""

LIMITS = {"maxRequestsPerMinute": 1800, "maxConcurrent": 3, "maxDelayMs": 300}


def faults(times: int, report: str) -> list[Json]:
    return [{"kind": kind, "times": times, "match": f"{report}~{name}~"} for name, (kind, _) in KINDS.items()]


def pages_of(dashboard: Dashboard) -> list[str]:
    return [f"{entry['path']}?{entry['query']}" for entry in dashboard.log() if "club.aspx" in entry["path"].lower()]


# Temporary and permanent faults.


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_few_wrong_responses_among_a_hundred_reports_fail_no_item(
    sample: Dashboard, new_site: Callable[..., Site], times: int
) -> None:
    client = new_site(sample).serve()
    client.set_limits(**LIMITS)
    sample.play(*faults(times, "divisionperformance"))
    job = client.ended(client.start(*MONTHS, cadence="month-ends")["jobId"])
    assert (job["status"], job["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert {item["outcome"] for item in items} == {"processed"}
    assert sum(item["attempts"] - 1 for item in items) == times * len(KINDS)
    assert job["result"]["requestsMade"] == len(sample.exports()) + len(pages_of(sample)) - 4  # pages of the plan


def test_permanently_wrong_responses_fail_their_items_after_the_calendar_was_read_again(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    """R5.4: each item fails with its own code, and a retry collects them later."""
    client = new_site(sample).serve()
    client.set_limits(**LIMITS)
    sample.play(*faults(-1, "clubperformance"))
    started = client.start(*MONTHS, cadence="month-ends")
    planned = Counter(pages_of(sample))
    job = client.ended(started["jobId"])
    failed = client.items(job["jobId"], outcome="failed")
    assert Counter((item["districtId"], item["reason"], item["attempts"]) for item in failed) == {
        (name, code, 5): 4 for name, (_, code) in KINDS.items()
    }
    assert {error["isRetryable"] for error in job["progress"]["errors"]} == {True}
    assert len((Counter(pages_of(sample)) - planned).keys()) == 4  # the page of each month

    sample.play()
    retried = client.ended(client.ask("POST", f"/api/admin/backfill/{job['jobId']}/retry", {}).json()["jobId"])
    assert retried["progress"]["processedItems"] == retried["progress"]["totalItems"] == 16


# Archiving of a program year.


@pytest.fixture(params=["peer", "sample"])
def archiving_dashboard(request: pytest.FixtureRequest) -> Iterator[tuple[Dashboard, str, str]]:
    """A dashboard, and the days before and after the archiving of its program year 2026-2027."""
    size = ("--districts", "5", "--clubs", "8")
    if request.param == "sample":
        before, after = "2027-07-24", "2027-08-12"
        dashboard = Dashboard.sample(*size, "--today", before)
    elif PEER.exists():
        before, after = "2027-06-30", "2027-08-20"
        dashboard = Dashboard.peer("--world", "synthetic", *size, "--today", before)
    else:
        pytest.skip("The stand-in dashboard is missing (../shared/dashboard is not part of the repository).")
    yield dashboard, before, after
    dashboard.stop()


def serve_on(site: Site, day: str, folder: Path) -> Client:
    """Start a server whose clock shows noon of a day."""
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).replace(hour=12)
    clock = folder / "clock"
    clock.write_text(str((noon - datetime.now(UTC)).total_seconds()))
    site.more_env["CHAOS_CLOCK"] = str(clock)
    return site.serve(application="tests.chaos.clock")


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "and kill -9"])
def test_no_item_fails_when_the_program_year_is_archived_during_the_job(
    archiving_dashboard: tuple[Dashboard, str, str], new_site: Callable[..., Site], tmp_path: Path, *, is_killed: bool
) -> None:
    dashboard, before, after = archiving_dashboard
    site = new_site(dashboard)
    client = serve_on(site, before, tmp_path)
    client.set_limits(maxRequestsPerMinute=900, maxDelayMs=500)
    job = client.start("2026-07-20", "2026-08-10")
    assert job["progress"]["totalItems"] == 22 * 6
    client.wait_for(
        job["jobId"], lambda job: job["progress"]["processedItems"] >= 80, 60, "items of the live year are processed"
    )
    dashboard.restart("--today", after)
    if is_killed:
        client.wait_for(
            job["jobId"], lambda job: job["progress"]["processedItems"] >= 100, 60, "items of the archive are processed"
        )
        kill_group(client.process)
        client = serve_on(site, before, tmp_path)
    ended = client.ended(job["jobId"], 90)
    assert (ended["status"], ended["progress"]["failedItems"]) == ("completed", 0)
    items = client.items(job["jobId"])
    assert Counter(item["itemId"] for item in items).most_common(1)[0][1] == 1
    assert Counter(item["outcome"] for item in items) == {"processed": 22 * 6}
    # Two wrong responses for each item in flight, in each of two months and for each runner, and the restart itself.
    assert sum(max(item["attempts"] - 1, 0) for item in items) <= 2 * 3 * 2 * (1 + is_killed) + 6
    assert {entry["path"] for entry in dashboard.exports()[-30:]} == {"/2026-2027/export.aspx"}
    snapshots = client.get("/api/snapshots?from=2026-07-20&to=2026-08-10&limit=100&offset=0")
    assert snapshots["total"] == 22 * 6

    requests_before = len(dashboard.exports())
    again = client.ended(client.start("2026-07-20", "2026-08-10")["jobId"])
    assert again["progress"]["skippedItems"] == 22 * 6
    assert len(dashboard.exports()) == requests_before


# Fewer requests.


def test_a_close_and_its_as_of_date_are_requested_once(sample: Dashboard, new_site: Callable[..., Site]) -> None:
    client = new_site(sample).serve()
    client.set_limits(maxRequestsPerMinute=3000)
    body = {"jobType": "data-collection", "startDate": "2025-01-31", "endDate": "2025-02-15"}
    preview = client.ask("POST", "/api/admin/backfill/preview", body).json()["preview"]
    job = client.ended(client.start("2025-01-31", "2025-02-15")["jobId"])
    assert job["progress"]["processedItems"] == 16 * 7
    requested = Counter((entry["path"], entry["report"]) for entry in sample.exports())
    assert set(requested.values()) == {1}
    assert len(requested) == preview["estimatedRequests"] == 15 * 19
    close = client.get("/api/snapshots/2025-01-31/01")
    same = client.get(f"/api/snapshots/{close['asOf']}/01")
    assert (close["isFinal"], same["isFinal"], same["asOf"]) == (True, False, close["asOf"])
    assert close["contentHash"] == same["contentHash"]
