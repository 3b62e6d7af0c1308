"""The used share of the allowed request rate, from the request log of the sample dashboard.

Two services that share nothing run at the same time, since both wait most of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import requests

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_least, at_most, ratio
from benchmarks.harness import allow_fastest_requests, sample_dashboard, service_for, start_job
from benchmarks.isolated import measured
from tests.acceptance.harness import most_in_a_minute, starts_of


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    per_minute: int
    latency: float
    """Seconds of a response."""

    @property
    def title(self) -> str:
        return f"at {self.per_minute} requests per minute and {1000 * self.latency:.0f} ms latency"


FAST = Site("fast", 600, 0.2)
SLOW = Site("slow", 60, 2.0)


def _run_for(seconds: float) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        sites = (FAST, SLOW)
        duration = max(seconds * bench.scale, 10)
        with ThreadPoolExecutor(len(sites)) as pool:
            found = pool.map(
                lambda site: (
                    measured(
                        f"{__name__}:collect", site.per_minute, site.latency, duration, has_own_database=True
                    ).value
                ),
                sites,
            )
            for site, one in zip(sites, found, strict=True):
                bench.row(site.title, f"{one['requests']:,} in {one['seconds']:.1f} s")
                bench.report(f"{site.name}-share", one["share"])
                bench.report(f"{site.name}-excess", one["excess"])

    return run


def collect(per_minute: int, latency: float, seconds: float) -> dict[str, Any]:
    """Run a job for this time. Called in its own process with its own database.

    The share is that of the allowed requests from the first to the last one; the excess is the number of requests
    above the limit in the 60 seconds with the most requests.
    """
    from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType, RateLimits

    with sample_dashboard("--districts", "40", "--clubs", "40") as address:
        service = service_for(address)
        year = datetime.now(UTC).year
        request = JobRequest(
            job_type=JobType.DATA_COLLECTION,
            start_date=date(year - 14, 7, 1),
            end_date=date(year - 1, 6, 30),
            cadence=Cadence.MONTH_ENDS,
        )
        allow_fastest_requests(service)
        service.preview(request)  # reads the calendar
        requests.post(f"{address}/__reset", timeout=5).raise_for_status()
        fault = {"kind": "latency", "times": -1, "seconds": latency}
        requests.post(f"{address}/__control", json={"faults": [fault]}, timeout=5).raise_for_status()
        limits = RateLimits(max_requests_per_minute=per_minute, min_delay_ms=0, max_concurrent=3)
        job, worker = start_job(service, request, limits)
        time.sleep(seconds)
        assert service.job(job.id).status.is_active, "The job ended too early."
        service.cancel(job.id, by=Actor("bench", Channel.CLI))
        worker.stop()
        log = requests.get(f"{address}/__log", timeout=30).json()
    starts = starts_of(log)
    passed = starts[-1] - starts[0]
    return {
        "requests": len(starts),
        "seconds": passed,
        "share": (len(starts) - 1) / (passed * per_minute / 60),
        "excess": max(most_in_a_minute(log) - per_minute, 0),
    }


def _figures(share: float) -> tuple[Figure, ...]:
    return tuple(
        figure
        for site in (FAST, SLOW)
        for figure in (
            ratio(f"{site.name}-share", f"used share {site.title}", at_least(share), digits=3),
            Figure(f"{site.name}-excess", "requests above the limit in any 60 s", target=at_most(0), is_compared=True),
        )
    )


MINUTE = Section("rate", "Used share of the allowed rate over a minute", _run_for(62), _figures(0.97), is_waiting=True)

TEN_MINUTES = Section(
    "rate-ten-minutes",
    "Used share of the allowed rate over ten minutes",
    _run_for(602),
    _figures(0.99),
    is_in_full_run=False,
)
