"""How true the told time left is, over recorded runs against the sample dashboard in its moods.

Run alone as `python -m benchmarks.estimates`; `make bench` runs it too. Real jobs in real time, some 30 s each: every
look at a job from 10 % done on is kept, and compared with what was left in truth once the job has ended.
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

from benchmarks.harness import forget, sample_dashboard, say, service_for

if TYPE_CHECKING:
    from backfill.domain import Estimate, RateLimits
    from backfill.service.commands import BackfillService
    from backfill.service.planning import Preview

Json = dict[str, Any]
Mood = Callable[[threading.Event], Iterator[tuple[float, list[Json]]]]
"""Yields how long to wait, and which faults to play then."""

_LOOK_EVERY = 0.25


def _steady(*faults: Json) -> Mood:
    def mood(_: threading.Event) -> Iterator[tuple[float, list[Json]]]:
        yield 0, list(faults)

    return mood


def _now_and_then(every: float, fault: Json) -> Mood:
    def mood(ended: threading.Event) -> Iterator[tuple[float, list[Json]]]:
        while not ended.is_set():
            yield every, [fault]

    return mood


def _at(*stages: tuple[float, list[Json]]) -> Mood:
    return lambda _: iter(stages)


def _latency(seconds: float) -> Json:
    return {"kind": "latency", "times": -1, "seconds": seconds}


MOODS: dict[str, tuple[int, Mood]] = {
    "steady, the limit sets the pace": (600, _steady(_latency(0.1))),
    "steady, the latency sets the pace": (6000, _steady(_latency(0.3))),
    "now and then a 500": (600, _now_and_then(0.7, {"kind": "500", "times": 1})),
    "two 429s": (600, _at((4, [{"kind": "429", "times": 1}]), (12, [{"kind": "429", "times": 1}]))),
    "asked to wait for three seconds": (600, _at((8, [{"kind": "429", "times": 1, "retry_after": 3}]))),
    "an outage of five seconds": (600, _at((10, [{"kind": "503", "times": -1}]), (5, []))),
    "a dashboard that becomes slower": (
        6000,
        _at(*((0 if n == 0 else 3, [_latency(0.2 + 0.03 * n)]) for n in range(9))),
    ),
}
"""Requests a minute, and what happens meanwhile."""


@dataclass(frozen=True)
class Told:
    truth: float
    left: Estimate

    @property
    def error(self) -> float:
        return abs(self.left.seconds - self.truth) / self.truth

    @property
    def is_held(self) -> bool:
        return self.left.low <= self.truth <= self.left.high


def _play(address: str, mood: Mood, ended: threading.Event) -> None:
    for wait, faults in mood(ended):
        if ended.wait(wait):
            return
        requests.post(f"{address}/__control", json={"faults": faults}, timeout=5)


def _recorded(
    service: BackfillService, address: str, limits: RateLimits, mood: Mood
) -> tuple[Preview, float, list[Told]]:
    """What a preview said, what the job took, and what was told meanwhile."""
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
    player = threading.Thread(target=_play, args=(address, mood, ended), daemon=True)
    player.start()
    job = service.start(request, by=Actor("bench", Channel.CLI)).job
    worker = new_worker(service)
    began = time.monotonic()
    worker.start()
    looks: list[tuple[float, Estimate]] = []
    while (job := service.job(job.id)).status.is_active:
        progress = job.progress
        if progress.left is not None and progress.settled_items >= progress.total_items / 10:
            looks.append((time.monotonic(), progress.left))
        time.sleep(_LOOK_EVERY)
    end = time.monotonic()
    ended.set()
    worker.stop()
    player.join()
    requests.post(f"{address}/__reset", timeout=5)
    assert not job.progress.failed, job.progress.errors
    return preview, end - began, [Told(end - at, left) for at, left in looks if end - at > 1]


def truth_of_the_time_left() -> None:
    from backfill.domain import RateLimits

    print("\nThe told time left, over recorded runs from 10 % done on")
    dashboard, address = sample_dashboard("--districts", "8", "--clubs", "12")
    service = service_for(address)
    forget("StoredCalendarMonth", "BackfillJob")
    told: list[Told] = []
    foretold: list[bool] = []
    try:
        for name, (pace, mood) in MOODS.items():
            forget("StoredSnapshot", "StoredRequestSchedule")
            limits = RateLimits(max_requests_per_minute=pace, min_delay_ms=0, max_concurrent=3, max_delay_ms=2000)
            preview, took, of_run = _recorded(service, address, limits, mood)
            told += of_run
            foretold.append(preview.duration.low <= took <= preview.duration.high)
            error, held = median(t.error for t in of_run), sum(t.is_held for t in of_run) / len(of_run)
            say(
                f"{name} ({took:.0f} s, told before: {preview.duration.seconds:.0f} s)", f"{error:.1%}, {held:.0%} held"
            )
    finally:
        dashboard.terminate()
        dashboard.wait()
    say("median error over all looks", f"{median(t.error for t in told):.1%}", "at most 15 %")
    say("looks whose range held the truth", f"{sum(t.is_held for t in told) / len(told):.0%}", "at least 85 %")
    say("runs whose preview's range held the truth", f"{sum(foretold)} of {len(foretold)}")


if __name__ == "__main__":
    from benchmarks.harness import staged

    with staged():
        truth_of_the_time_left()
