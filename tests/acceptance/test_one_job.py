"""At most one active job with any number of servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.acceptance.harness import Dashboard, Site


def test_one_of_a_hundred_concurrent_starts_on_two_servers_creates_a_job(
    sample: Dashboard,
    new_site: Callable[..., Site],
    store: dict[str, str],
) -> None:
    """R3.1, R3.2, R3.3: two servers with two workers each; the store decides."""
    site = new_site(sample, **store)
    servers = [site.serve(workers=2), site.serve(workers=2)]
    servers[0].set_limits(maxRequestsPerMinute=60)
    body = {"jobType": "data-collection", "startDate": "2024-07-01", "endDate": "2024-09-30", "cadence": "month-ends"}
    # The calendar is fetched first, so that all requests reach the store at the same time.
    assert servers[0].ask("POST", "/api/admin/backfill/preview", body).status_code == 200

    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda n: servers[n % 2].ask("POST", "/api/admin/backfill", body), range(100)))

    assert Counter(response.status_code for response in responses) == {201: 1, 409: 99}
    created = next(response.json() for response in responses if response.status_code == 201)
    for refused in (response.json()["error"] for response in responses if response.status_code == 409):
        assert refused["code"] == "JOB_ALREADY_RUNNING"
        assert refused["details"]["jobId"] == created["jobId"]
        assert created["jobId"] in refused["message"]
    assert servers[1].get("/api/admin/backfill/jobs")["total"] == 1
