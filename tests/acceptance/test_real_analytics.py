"""From the real dashboard's figures to results and back out, through real processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from tests.acceptance.harness import Dashboard, Json, Site, as_json, kill_group
from tests.acceptance.test_real_history import served_files

pytestmark = pytest.mark.acceptance

CLOSES = ("2014-07-01", "2024-11-30")


def test_ten_years_of_closes_are_collected_computed_read_and_exported(
    real_world: Dashboard, new_site: Callable[..., Site]
) -> None:
    """R2.1, R2.3, R2.5, R4.5: analytics for every stored snapshot; a job without a range takes them all."""
    site = new_site(real_world)
    client = site.serve()
    client.set_limits()
    collected = client.ended(client.start(*CLOSES, targetDistricts=["91"], cadence="month-ends")["jobId"])
    assert collected["progress"]["processedItems"] == 248

    job = client.start_analytics()
    ended = client.ended(job["jobId"])
    assert (ended["status"], ended["jobType"]) == ("completed", "analytics-generation")
    assert (ended["progress"]["processedItems"], ended["progress"]["failedItems"]) == (248, 0)
    assert ended["result"]["requestsMade"] == 0

    days = sorted(served_files("clubperformance"))
    results = {day: client.get(f"/api/analytics/{day}/91") for day in days}
    assert len(results) == 124
    check_june_closes(results)
    for day, result in results.items():
        world = client.get(f"/api/analytics/{day}/world")
        assert result["rankings"] == world["districts"]["91"]
        assert result["isFinal"]
    counted = sum(len(result["quality"]) for result in results.values())
    assert sum(ended["result"]["quality"].values()) == counted > 0

    for year in range(2014, 2025):
        series = client.get(f"/api/analytics/series/91?programYear={year}-{year + 1}")
        assert series["points"] == [results[day]["point"] for day in days if program_year(day) == year]

    again = client.ended(client.start_analytics()["jobId"])
    assert again["progress"]["skipped"] == {"unchanged": 248}

    exported = site.manage("backfill", "export", "--format", "jsonl", "--district", "91").stdout
    assert [as_json(line) for line in exported.splitlines()] == list(results.values())


def check_june_closes(results: dict[date, Json]) -> None:
    """At a year's end the clubs' numbers earn the levels that the dashboard reports, all of them."""
    junes = {day: result["distinguished"] for day, result in results.items() if day.month == 6}
    assert len(junes) == 10
    for day, distinguished in junes.items():
        assert distinguished["reported"] == distinguished["qualifying"], day


def program_year(day: date) -> int:
    return day.year if day.month >= 7 else day.year - 1


def test_after_kill_9_the_computing_goes_on_and_every_result_counts_once(
    real_world: Dashboard, new_site: Callable[..., Site], database_url: str
) -> None:
    """R10.1, R10.3: what was stored and not yet in the ledger counts as done by the job, with its notes on quality."""
    site = new_site(real_world, database_url)
    client = site.serve()
    client.set_limits()
    client.ended(client.start(*CLOSES, targetDistricts=["91"], cadence="month-ends")["jobId"])
    whole = client.ended(client.start_analytics()["jobId"])
    results = {path: client.ask("GET", path).content for path in ("/api/analytics/2020-06-30/91",)}

    for _ in range(5):  # it takes a second: the kill may come too late
        job = client.start_analytics(skipExisting=False)
        client.wait_for(job["jobId"], lambda job: job["status"] != "pending", 10, "the job runs")
        kill_group(client.process)
        client = site.serve()
        ended = client.ended(job["jobId"], 90)
        if ended["resumeCount"]:
            break
    assert (ended["status"], ended["resumeCount"]) == ("completed", 1)
    items = client.items(job["jobId"])
    assert len(items) == len({item["itemId"] for item in items}) == ended["progress"]["totalItems"] == 248
    assert {item["outcome"] for item in items} == {"processed"}
    assert ended["result"]["quality"] == whole["result"]["quality"]
    assert {path: client.ask("GET", path).content for path in results} == results
