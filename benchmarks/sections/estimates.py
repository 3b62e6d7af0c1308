"""Accuracy of the estimated time left, over jobs against the sample dashboard under several conditions.

Each job takes about 30 s, so this section is not part of a full run. The estimates of a job from 10 % progress on are
compared with the actual time left after the job has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, Section, at_least, at_most, count
from benchmarks.harness import delete_rows, sample_dashboard, service_for

if TYPE_CHECKING:
    from backfill.domain import Estimate, RateLimits
    from backfill.service.commands import BackfillService
    from backfill.service.planning import Preview

Json = dict[str, Any]
Scenario = Callable[[threading.Event], Iterator[tuple[float, list[Json]]]]
"""Yields pairs of a delay in seconds and the faults that are set after it."""

_POLL_SECONDS = 0.25


def _steady(*faults: Json) -> Scenario:
    def scenario(_: threading.Event) -> Iterator[tuple[float, list[Json]]]:
        yield 0, list(faults)

    return scenario


def _now_and_then(every: float, fault: Json) -> Scenario:
    def scenario(ended: threading.Event) -> Iterator[tuple[float, list[Json]]]:
        while not ended.is_set():
            yield every, [fault]

    return scenario


def _at(*stages: tuple[float, list[Json]]) -> Scenario:
    return lambda _: iter(stages)


def _latency(seconds: float) -> Json:
    return {"kind": "latency", "times": -1, "seconds": seconds}


SCENARIOS: dict[str, tuple[int, Scenario]] = {
    "constant latency, limited by the rate": (600, _steady(_latency(0.1))),
    "constant latency, limited by the latency": (6000, _steady(_latency(0.3))),
    "occasional 500": (600, _now_and_then(0.7, {"kind": "500", "times": 1})),
    "two 429s": (600, _at((4, [{"kind": "429", "times": 1}]), (12, [{"kind": "429", "times": 1}]))),
    "429 with Retry-After of three seconds": (600, _at((8, [{"kind": "429", "times": 1, "retry_after": 3}]))),
    "an outage of five seconds": (600, _at((10, [{"kind": "503", "times": -1}]), (5, []))),
    "a dashboard that becomes slower": (
        6000,
        _at(*((0 if n == 0 else 3, [_latency(0.2 + 0.03 * n)]) for n in range(9))),
    ),
}
"""Requests per minute, and the scenario."""


@dataclass(frozen=True)
class Sample:
    actual: float
    """Seconds."""
    left: Estimate

    @property
    def error(self) -> float:
        return abs(self.left.seconds - self.actual) / self.actual

    @property
    def is_in_range(self) -> bool:
        return self.left.low <= self.actual <= self.left.high


def _play(address: str, scenario: Scenario, ended: threading.Event) -> None:
    for wait, faults in scenario(ended):
        if ended.wait(wait):
            return
        requests.post(f"{address}/__control", json={"faults": faults}, timeout=5)


def _recorded(
    service: BackfillService, address: str, limits: RateLimits, scenario: Scenario
) -> tuple[Preview, float, list[Sample]]:
    """Run a job. Returns its preview, its duration in seconds, and samples of its estimates."""
    from backfill.bootstrap import new_worker
    from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType

    year = datetime.now(UTC).year
    request = JobRequest(
        job_type=JobType.DATA_COLLECTION,
        start_date=date(year - 2, 7, 1),
        end_date=date(year - 1, 6, 30),
        cadence=Cadence.MONTH_ENDS,
    )
    service.change_rate_limits(limits.to_dict(), by=Actor("bench", Channel.CLI))
    preview = service.preview(request)
    ended = threading.Event()
    player = threading.Thread(target=_play, args=(address, scenario, ended), daemon=True)
    player.start()
    job = service.start(request, by=Actor("bench", Channel.CLI)).job
    worker = new_worker(service)
    began = time.monotonic()
    worker.start()
    estimates: list[tuple[float, Estimate]] = []
    while (job := service.job(job.id)).status.is_active:
        progress = job.progress
        if progress.left is not None and progress.settled_items >= progress.total_items / 10:
            estimates.append((time.monotonic(), progress.left))
        time.sleep(_POLL_SECONDS)
    end = time.monotonic()
    ended.set()
    worker.stop()
    player.join()
    requests.post(f"{address}/__reset", timeout=5)
    assert not job.progress.failed, job.progress.errors
    return preview, end - began, [Sample(end - at, left) for at, left in estimates if end - at > 1]


def _run(bench: Bench) -> None:
    from backfill.domain import RateLimits

    samples: list[Sample] = []
    are_previews_in_range: list[bool] = []
    with sample_dashboard("--districts", "8", "--clubs", "12") as address:
        service = service_for(address)
        for name, (pace, scenario) in list(SCENARIOS.items())[: bench.scaled(len(SCENARIOS))]:
            delete_rows("StoredSnapshot", "StoredRequestSchedule")
            limits = RateLimits(max_requests_per_minute=pace, min_delay_ms=0, max_concurrent=3, max_delay_ms=2000)
            preview, took, of_run = _recorded(service, address, limits, scenario)
            samples += of_run
            are_previews_in_range.append(preview.duration.low <= took <= preview.duration.high)
            error, share = median(s.error for s in of_run), sum(s.is_in_range for s in of_run) / len(of_run)
            label = f"{name} ({took:.0f} s, preview: {preview.duration.seconds:.0f} s)"
            bench.row(label, f"{error:.1%}, {share:.0%} in range")
    bench.report("error", 100 * median(s.error for s in samples))
    bench.report("in-range", 100 * sum(s.is_in_range for s in samples) / len(samples))
    bench.report("previews", len(are_previews_in_range))
    bench.report("previews-in-range", sum(are_previews_in_range))


SECTION = Section(
    "estimates",
    "The estimated time left of jobs from 10 % progress on",
    _run,
    (
        Figure("error", "median error of all estimates", "%", at_most(15)),
        Figure("in-range", "estimates with the actual time in their range", "%", at_least(85)),
        count("previews", "previews"),
        Figure("previews-in-range", "previews with the actual duration in their range", better=Better.HIGHER),
    ),
    is_in_full_run=False,
)
