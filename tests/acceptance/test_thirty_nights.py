"""The coverage target over thirty nights with outages, a kill, the close of a month and the yearly move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta

import pytest

from sample_dashboard.program_year import ProgramYear
from sample_dashboard.world import SampleWorld
from tests.acceptance.harness import SHORT_LEASE, Client, Dashboard, Json, Site, eventually
from tests.acceptance.nights import DAY, TARGETS, Nights, repetitions

pytestmark = pytest.mark.acceptance

WORLD = SampleWorld(date(2026, 7, 12), districts=5, clubs=5)
"""June closes on 26 July, the program year moves to the archive on 28 July, and July closes on 7 August."""

FIRST, NIGHTS = date(2026, 7, 12), 30
LAST = FIRST + (NIGHTS - 1) * DAY
BROKEN = {date(2026, 7, 14) + n * DAY for n in range(9)}
OUTAGE = {date(2026, 7, 31) + n * DAY for n in range(4)}
KILLED = date(2026, 8, 5)
FAILING = "clubperformance~02~"
MONTH_ENDS_SINCE, DAILY_SINCE = date(2026, 4, 30), date(2026, 7, 1)
RULES = [
    {"from": f"{MONTH_ENDS_SINCE}", "cadence": "month-ends", "districts": [], "analytics": True},
    {"from": f"{DAILY_SINCE}", "cadence": "daily", "districts": [], "analytics": False},
]
LIMITS = {"maxDelayMs": 100, "maxConcurrent": 3}
REPORTS = ("clubperformance", "districtperformance", "divisionperformance")


@pytest.fixture
def world_dashboard() -> Iterator[Dashboard]:
    dashboard = Dashboard.sample("--districts", "5", "--clubs", "5", "--today", f"{FIRST}")
    yield dashboard
    dashboard.stop()


def test_history_is_complete_after_thirty_nights_with_outages_a_kill_and_the_yearly_move(
    world_dashboard: Dashboard, new_site: Callable[..., Site], store: dict[str, str]
) -> None:
    """Two servers, four nights without any, a kill -9 during a job, and a report that is broken for nine nights."""
    site = new_site(world_dashboard, **SHORT_LEASE, **store)
    nights = Nights(world_dashboard, site, check_at=time(6))
    nights.begin(FIRST)
    nights.start_servers()
    nights.client.set_limits(**LIMITS)
    turn_on(nights.client)
    nights.wait_until_done()
    nights.end()

    for number in range(1, NIGHTS):
        day = FIRST + number * DAY
        if day in OUTAGE:
            nights.kill_servers()
            continue
        live(nights, day)

    target = nights.target()
    assert (target["status"], target["missing"]) == ("complete", {}), target
    assert target["completeUntil"] == f"{LAST - DAY}"
    assert_stored_equals_published(nights.client)
    assert_one_job_at_a_time(nights)
    assert nights.checks() == [FIRST + n * DAY for n in range(NIGHTS) if FIRST + n * DAY not in OUTAGE]
    assert_nothing_was_fetched_twice(nights)


def turn_on(client: Client) -> None:
    etag = client.ask("GET", TARGETS).headers["ETag"]
    body = {"enabled": True, "dailyAt": "06:00", "note": "thirty nights", "rules": RULES}
    response = client.ask("PUT", TARGETS, body, **{"If-Match": etag})
    assert response.status_code == 200, response.text


def live(nights: Nights, day: date) -> None:
    """One night with its disturbance, until everything that is published is stored."""
    faults: list[Json] = []
    if day in BROKEN:
        faults.append({"kind": "html", "times": -1, "match": FAILING})
    if day == KILLED:
        faults.append({"kind": "latency", "times": -1, "seconds": 0.3})
    is_after_outage = day - DAY in OUTAGE
    nights.begin(day, *faults, at=time(9, 30) if is_after_outage else None)
    nights.start_servers()
    if day == KILLED:
        kill_the_runner(nights)
    target = nights.wait_until_done()
    failed = set(target["missing"]) - {"not-published"}
    assert failed <= {"HTML_PAGE"}
    assert not failed or min(BROKEN) <= day <= max(BROKEN) + 8 * DAY
    nights.end()


def kill_the_runner(nights: Nights) -> None:
    """Kill the server that runs the job of this night. Another one takes it over."""
    job = eventually(
        lambda: (job := nights.active_job()) and job["progress"]["processedItems"] >= 1 and job,
        30,
        "the job of the night has stored an item",
    )
    assert isinstance(job, dict)
    nights.runner_of(job).kill()
    ended = nights.client.ended(job["jobId"], within=60)
    assert (ended["status"], ended["resumeCount"]) == ("completed", 1)
    nights.start_servers()


# What is published on the last night, determined from the world and not from the service.


def published() -> dict[tuple[date, str], tuple[date, date, tuple[str, ...]]]:
    """The month and as-of date of each snapshot date and district of the target, with the districts of its year."""
    world = SampleWorld(LAST, districts=5, clubs=5)
    found: dict[tuple[date, str], tuple[date, date, tuple[str, ...]]] = {}
    end = MONTH_ENDS_SINCE
    while end <= LAST + 31 * DAY:
        days = world.as_of_days(end)
        districts = ("all", *world.districts_of(ProgramYear.of(end))) if days else ()
        wanted = {day: day for day in days if day >= DAILY_SINCE and (day + DAY).day != 1}
        if days and end < LAST:
            wanted[end] = days[-1]
        for day, as_of in wanted.items():
            for district in districts:
                found[day, district] = (end, as_of, districts)
        end = ((end + DAY).replace(day=28) + 4 * DAY).replace(day=1) - DAY
    return found


def assert_stored_equals_published(client: Client) -> None:
    """Each published report is stored with its exact rows, and nothing else is stored."""
    world, expected = SampleWorld(LAST, districts=5, clubs=5), published()
    stored: list[Json] = []
    while True:
        page = client.get(f"/api/snapshots?from={MONTH_ENDS_SINCE}&to={LAST}&limit=100&offset={len(stored)}")
        stored += page["snapshots"]
        if len(stored) >= page["total"]:
            break
    assert {(date.fromisoformat(row["date"]), row["districtId"]) for row in stored} == set(expected)
    finals = {row["date"] for row in stored if row["isFinal"]}
    assert finals == {f"{day}" for day in (date(2026, 4, 30), date(2026, 5, 31), date(2026, 6, 30), date(2026, 7, 31))}

    def differs(key: tuple[date, str]) -> list[str]:
        (day, district), (end, as_of, _) = key, expected[key]
        year = ProgramYear.of(end)
        is_final_june = end.month == 6 and as_of == world.close_of(end)
        wrong = []
        for report in REPORTS if district != "all" else ("districtsummary",):
            slots = [report, *([district] if district != "all" else []), us(end), "" if is_final_june else us(as_of)]
            body = world.report("~".join([*slots, f"{year}"]), None if year == world.live_year else year)
            assert body is not None
            answer = client.ask("GET", f"/api/snapshots/{day}/{district}/{report}.csv").content
            # The footer of the final June shows the date of the request.
            pairs = [text.splitlines()[:-1] if is_final_june else text.splitlines() for text in (body, answer)]
            if pairs[0] != pairs[1]:
                wrong.append(f"{day}/{district}/{report}")
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert [wrong for each in pool.map(differs, expected) for wrong in each] == []


def us(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year}"


# Jobs and requests.


def assert_one_job_at_a_time(nights: Nights) -> None:
    """No job started before the previous one had ended. The clocks of the servers differ by less than a second."""
    jobs = nights.jobs()
    assert {(job["createdBy"], job["status"]) for job in jobs} == {("keeper", "completed")}
    ends = [datetime.fromisoformat(job["completedAt"]) for job in jobs[:-1]]
    starts = [datetime.fromisoformat(job["startedAt"]) for job in jobs[1:]]
    overlaps = [end - start for end, start in zip(ends, starts, strict=True) if end - start > timedelta(seconds=1)]
    assert overlaps == []


def assert_nothing_was_fetched_twice(nights: Nights) -> None:
    """Repeated reports have a reason: a failed item, a kill, or a close that became final."""
    served = [report for night in nights.past for report in night.served]
    closes = {report for report in served if f"~7/31/2026~{us(WORLD.close_of(date(2026, 7, 31)))}~" in report}
    found = repetitions(
        nights.past,
        failing=FAILING,
        broken=BROKEN,
        killed=KILLED,
        closed=closes,
    )
    print(f"{len(served)} reports served; repeated: {found}")
    assert found.without_need == []
    assert found.after_a_kill <= 3 * LIMITS["maxConcurrent"]
