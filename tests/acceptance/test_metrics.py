"""The Prometheus metrics of a server with several workers, during a kill and faults of the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.harness import SHORT_LEASE, Client, Dashboard, Site, kill_group
from tests.acceptance.test_recovery import LIMITS, RANGE

Sample = tuple[str, frozenset[tuple[str, str]]]
PROCESSED: Sample = (
    "backfill_items_total",
    frozenset({("job_type", "data-collection"), ("outcome", "processed")}),
)


def scrape(client: Client) -> dict[Sample, float]:
    """Use a new connection, so that any of the workers may respond."""
    response = requests.get(f"{client.url}/metrics", timeout=10)
    assert response.status_code == 200, response.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if family.type in {"counter", "summary"}
    }


def value_of(samples: dict[Sample, float], name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_every_worker_reports_the_same_metrics_and_no_counter_decreases_after_a_kill(
    sample: Dashboard,
    new_site: Callable[..., Site],
    database_url: str,
) -> None:
    site = new_site(sample, database_url, **SHORT_LEASE)
    client = site.serve(workers=2)
    client.set_limits(**LIMITS)
    sample.play({"kind": "500", "times": 2, "match": "clubperformance"})
    job = client.start(*RANGE, cadence="month-ends")
    scrapes = [scrape(client)]

    def has_settled(count: int) -> bool:
        scrapes.append(scrape(client))
        return scrapes[-1].get(PROCESSED, 0) >= count

    client.wait_for(job["jobId"], lambda _: has_settled(12), 30, "items settle")
    kill_group(client.process)
    client = site.serve(workers=2)
    client.wait_for(job["jobId"], lambda job: has_settled(0) and job["completedAt"], 90, "the job ends")
    ended = client.job(job["jobId"])
    for before, after in pairwise(scrapes):
        assert [name for name, value in before.items() if after[name] < value] == []

    last = [scrape(client) for _ in range(20)]
    assert all(samples == last[0] for samples in last)
    assert last[0][PROCESSED] == ended["progress"]["processedItems"] == ended["progress"]["totalItems"]
    assert value_of(last[0], "backfill_jobs_ended_total", job_type="data-collection", status="completed") == 1
    assert value_of(last[0], "backfill_dashboard_requests_total", status="500") == 2
    assert value_of(last[0], "backfill_takeover_seconds_count") == 1
    assert 0 < value_of(last[0], "backfill_takeover_seconds_sum") < 20
    made = sum(value for (name, _), value in last[0].items() if name == "backfill_dashboard_requests_total")
    received = len(sample.exports()) + sum(entry["path"] == "/robots.txt" for entry in sample.log())
    # A kill loses the requests that the runner has not recorded, those of about the last second.
    assert ended["rateLimiter"]["requestsMade"] - LIMITS["maxConcurrent"] <= made <= received
