"""Analytics and export of real reports through real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from tests.acceptance.harness import SHORT_LEASE, Dashboard, Json, Site, as_json, eventually, kill_group
from tests.acceptance.test_real_history import served_files

CLOSES = ("2014-07-01", "2024-11-30")


def test_ten_years_of_closes_are_collected_computed_read_and_exported(
    real_world: Dashboard, new_site: Callable[..., Site]
) -> None:
    """R2.1, R2.3, R2.5, R4.5: a job without a range computes analytics for every stored snapshot."""
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
    assert set(ended["result"]["quality"]) == {"SUMMARY_DIFFERS"}

    for year in range(2014, 2025):
        series = client.get(f"/api/analytics/series/91?programYear={year}-{year + 1}")
        assert series["points"] == [results[day]["point"] for day in days if program_year(day) == year]

    again = client.ended(client.start_analytics()["jobId"])
    assert again["progress"]["skipped"] == {"unchanged": 248}

    exported = site.manage("backfill", "export", "--format", "jsonl", "--district", "91").stdout
    assert [as_json(line) for line in exported.splitlines()] == list(results.values())


def check_june_closes(results: dict[date, Json]) -> None:
    """Assert that at the end of each year the computed levels of all clubs equal the reported levels."""
    junes = {day: result["distinguished"] for day, result in results.items() if day.month == 6}
    assert len(junes) == 10
    for day, distinguished in junes.items():
        assert distinguished["reported"] == distinguished["qualifying"], day


def program_year(day: date) -> int:
    return day.year if day.month >= 7 else day.year - 1


def test_an_analytics_job_resumes_after_kill_9_and_counts_every_result_once(
    real_world: Dashboard, new_site: Callable[..., Site], database_url: str
) -> None:
    """R10.1, R10.3: results that were stored before the kill, but not recorded in the ledger, count as processed."""
    site = new_site(real_world, database_url, **SHORT_LEASE)
    client = site.serve()
    client.set_limits()
    client.ended(client.start(*CLOSES, targetDistricts=["91"], cadence="month-ends")["jobId"])
    uninterrupted = client.ended(client.start_analytics()["jobId"])
    results = {path: client.ask("GET", path).content for path in ("/api/analytics/2020-06-30/91",)}

    for _ in range(5):  # the job takes a second, so the kill may be too late
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
    assert ended["result"]["quality"] == uninterrupted["result"]["quality"]
    assert {path: client.ask("GET", path).content for path in results} == results


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="The parents of processes are read from /proc.")
def test_compute_processes_return_the_same_results_and_end_with_their_worker(
    real_world: Dashboard, new_site: Callable[..., Site]
) -> None:
    """Only the process that runs the job is killed: its child processes end, and the job continues."""
    site = new_site(real_world, BACKFILL_EXECUTOR="processes", **SHORT_LEASE)
    client = site.serve("--preload", workers=2)
    client.set_limits()
    client.ended(client.start(*CLOSES, targetDistricts=["91"], cadence="month-ends")["jobId"])
    uninterrupted = client.ended(client.start_analytics()["jobId"])
    assert uninterrupted["progress"]["processedItems"] == 248
    bodies = {path: client.ask("GET", path).content for path in ("/api/analytics/2020-06-30/91",)}

    job = client.start_analytics(skipExisting=False)
    processes = eventually(lambda: compute_processes_of(client.process.pid), 30, "processes compute")
    os.kill(next(iter(processes.values())), signal.SIGKILL)
    eventually(lambda: not any(is_running(pid) for pid in processes), 20, "they end with their parent process")
    ended = client.ended(job["jobId"], 90)
    assert (ended["status"], ended["progress"]["processedItems"]) == ("completed", 248)
    assert ended["result"]["quality"] == uninterrupted["result"]["quality"]
    assert {path: client.ask("GET", path).content for path in bodies} == bodies
    eventually(lambda: not compute_processes_of(client.process.pid), 20, "the compute processes of the job end")


def compute_processes_of(root: int) -> dict[int, int]:
    """Return the compute processes of a server and their parents."""
    workers = children_of(root)
    return {
        pid: worker
        for worker in workers
        for pid in children_of(worker)
        if is_running(pid) and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has just ended
            found += map(int, task.read_text().split())
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
