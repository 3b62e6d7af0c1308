"""After each of many jobs, the admin's pages show the numbers of the API and of the ledger."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import date

from tests.acceptance.admin_reader import AdminReader, JobOnPage
from tests.acceptance.harness import Client, Dashboard, Json, Site
from tests.chaos.consistency import check_consistency
from tests.chaos.sql_reader import SqlReader

JOBS = 30
MONTHS = [date(2022 + month // 12, month % 12 + 1, 1) for month in range(6, 18)]
LASTING: list[Json] = [
    {"kind": "html", "times": -1, "match": "clubperformance~02~"},
    {"kind": "wrong_as_of", "times": -1, "match": "clubperformance~03~"},
    {"kind": "missing_column", "times": -1, "match": "clubperformance~01~"},
]
PASSING: list[Json] = [
    {"kind": "500", "times": 4, "match": "~"},
    {"kind": "truncate", "times": 3, "match": "~"},
    {"kind": "429", "times": 1, "retry_after": 1, "match": "~"},
    {"kind": "reset", "times": 2, "match": "~"},
]


def month_range(months: list[date]) -> tuple[str, str]:
    last = months[-1]
    following = date(last.year + last.month // 12, last.month % 12 + 1, 1)
    return f"{months[0]}", f"{date.fromordinal(following.toordinal() - 1)}"


class Year:
    """Starts jobs of all kinds, drawn with a fixed seed."""

    def __init__(self, client: Client, dashboard: Dashboard) -> None:
        self.client, self.dashboard, self.rng = client, dashboard, random.Random(14)
        self.ended: list[Json] = []

    def run(self) -> Json:
        """One job to its end; every fourth is a retry or analytics, some are paused or cancelled."""
        self.dashboard.forget()
        failed = [job for job in self.ended[-4:] if job["progress"]["failedItems"]]
        draw = self.rng.random()
        retried = self._retried(failed[-1]) if failed and draw < 0.3 else None
        if retried is not None:
            job = retried
        elif self.ended and draw < 0.35:
            job = self.client.start_analytics()
        else:
            job = self._collected()
        ended = self.client.ended(job["jobId"], within=60)
        self.ended.append(ended)
        return ended

    def _retried(self, failed: Json) -> Json | None:
        """None if later jobs stored the failed items."""
        response = self.client.ask("POST", failed["links"]["retry"])
        job: Json = response.json()
        if response.status_code == 409:
            assert job["error"]["code"] == "NOTHING_TO_RETRY"
            return None
        assert response.status_code == 201, response.text
        return job

    def _collected(self) -> Json:
        lasting = self.rng.sample(LASTING, self.rng.choice((0, 1, 1, 2)))
        self.dashboard.play(*lasting, *self.rng.sample(PASSING, self.rng.randrange(2)))
        first = self.rng.randrange(len(MONTHS) - 2)
        months = MONTHS[first : first + self.rng.choice((1, 2, 3))]
        job = self.client.start(
            *month_range(months),
            cadence="month-ends",
            skipExisting=self.rng.random() < 0.7,
            targetDistricts=self.rng.choice(([], [], ["01", "02", "03"], ["02"])),
        )
        if self.rng.random() < 0.4:
            self._interfere(f"/api/admin/backfill/{job['jobId']}", is_cancelled=self.rng.random() < 0.6)
        return job

    def _interfere(self, path: str, *, is_cancelled: bool) -> None:
        """Cancel, or pause and resume. The job may have ended before."""
        if is_cancelled:
            assert self.client.ask("DELETE", path).status_code in {200, 202, 409}
        elif self.client.ask("POST", f"{path}/pause").status_code == 200:
            assert self.client.ask("POST", f"{path}/resume").status_code in {200, 409}


def assert_same(page: JobOnPage, job: Json, ledger: Counter[str]) -> None:
    """Each number of the page equals that of the API; the API equals the ledger."""
    progress = job["progress"]
    counts = {
        "stored": progress["processedItems"],
        "skipped": progress["skippedItems"],
        "failed": progress["failedItems"],
    }
    assert {name: getattr(page, name) for name in counts} == counts
    assert page.total == progress["totalItems"]
    assert page.settled == page.items == sum(counts.values())
    assert page.rest == page.total - page.settled
    assert page.percent == int(progress["percent"])
    assert page.failures == dict(ledger)
    if page.requests is not None:
        assert page.requests == job["rateLimiter"]["requestsMade"]
    districts = {
        ("Summary" if name == "all" else name.lstrip("0")): (
            found["itemsProcessed"] + found["itemsFailed"] + found["itemsSkipped"],
            found["itemsTotal"],
        )
        for name, found in progress["districtProgress"].items()
    }
    assert page.districts == districts


def test_the_admin_shows_the_numbers_of_the_api_and_of_the_ledger_after_each_of_thirty_jobs(
    sample: Dashboard, new_site: Callable[..., Site]
) -> None:
    """R5.1, R5.3, R5.4, R6.2, R7.3: with faults, retries, pauses and cancellations."""
    site = new_site(sample)
    client = site.serve()
    client.set_limits(maxDelayMs=100, maxConcurrent=4)
    admin, store = AdminReader(client.url, "operator"), SqlReader(site.database_url)
    year = Year(client, sample)
    for run in range(1, JOBS + 1):
        job = year.run()
        ledger = check_consistency(store.read_job(job["jobId"]))
        assert ledger.violations == []
        page = admin.job(job["jobId"])
        assert ledger.settled == page.settled
        assert_same(page, job, ledger.failed)

        listed = admin.listed_items(job["jobId"])
        assert (listed["Stored"], listed["Failed"], listed["Skipped"]) == (page.stored, page.failed, page.skipped)
        audit = client.get(f"/api/admin/backfill/{job['jobId']}/audit")
        assert page.audit_entries == audit["total"]
        row = admin.history_row(job["jobId"])
        assert f"{page.stored} {'stored' if job['jobType'] == 'data-collection' else 'computed'}" in row
        assert (f"{page.skipped} skipped" in row) == bool(page.skipped)
        assert (f"{page.rest} left undone" in row) == bool(page.rest)
        assert admin.history_total() == run == client.get("/api/admin/backfill/jobs")["total"]
    statuses = Counter(job["status"] for job in year.ended)
    assert statuses["cancelled"] >= 2
    assert sum(bool(job["retryOf"]) for job in year.ended) >= 2
    assert sum(bool(job["progress"]["failedItems"]) for job in year.ended) >= 5
