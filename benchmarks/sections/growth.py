"""How time and memory of the operations grow with the number of items.

For each size one process prepares a database; then each operation runs in its own process.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most
from benchmarks.growth import Growth, Point, Statement, memory_slope, time_slope
from benchmarks.harness import get, operator, service_for, timed
from benchmarks.isolated import measured
from benchmarks.prepared import days_from, store_calendars, store_days, store_ended_jobs, store_settled_job

_FIRST = date(2008, 8, 1)
_DISTRICTS = tuple(f"{n:03d}" for n in range(1, 150))
_ITEMS_OF_A_DAY = len(_DISTRICTS) + 1
_PAGE = 100
_API = "/api/admin/backfill"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """Also the name of a function of this module. It runs in its own process and returns seconds."""
    title: str
    time: Growth
    memory: Growth
    largest_in_full_run: int = 100_000
    largest: int = 1_000_000


OPERATIONS = (
    Operation("plan", "plan or preview, per planned item", Growth.LINEAR, Growth.FLAT),
    Operation("claim", "claim or resume, per item of the ledger", Growth.LINEAR, Growth.LINEAR),
    Operation("page", "last page of items, per item of the job", Growth.FLAT, Growth.FLAT),
    Operation("poll", "poll of the status, per item of the job", Growth.FLAT, Growth.FLAT),
    Operation("coverage", "coverage, per stored snapshot", Growth.LINEAR, Growth.LINEAR),
    Operation("history", "page of the history, per stored job", Growth.LINEAR, Growth.FLAT),
    Operation("export", "export of results, per result", Growth.LINEAR, Growth.FLAT, 10_000, 100_000),
)


_SIZES = (1_000, 10_000, 100_000, 1_000_000)


def _run_to(largest: int) -> Callable[[Bench], None]:
    is_complete = largest == _SIZES[-1]

    def run(bench: Bench) -> None:
        points: dict[str, list[dict[str, float]]] = {one.name: [] for one in OPERATIONS}
        for size in (size for size in _SIZES if size <= largest):
            days = ceil(bench.scaled(size) / _ITEMS_OF_A_DAY)
            items = days * _ITEMS_OF_A_DAY
            bench.row(f"{items:,} items", "seconds", "peak MB")
            measured(f"{__name__}:prepare", days)
            for operation in OPERATIONS:
                if size > (operation.largest if is_complete else operation.largest_in_full_run):
                    continue
                found = measured(f"{__name__}:{operation.name}", days)
                point = {"items": items, "seconds": round(found.value, 5), "peak_mb": round(found.peak_mb, 1)}
                points[operation.name].append(point)
                bench.row(f"  {operation.title}", f"{found.value:.4f}", f"{found.peak_mb:.0f}")
        for operation in OPERATIONS:
            _judge(bench, operation, points[operation.name], is_complete=is_complete)

    return run


def _judge(bench: Bench, operation: Operation, points: list[dict[str, float]], *, is_complete: bool) -> None:
    slopes = {
        "time": time_slope(_pairs(points, "seconds")),
        "memory": memory_slope(_pairs(points, "peak_mb")),
    }
    described: dict[str, Any] = {"title": operation.title, "points": points}
    for what, growth in (("time", operation.time), ("memory", operation.memory)):
        bench.report(f"{operation.name}-{what}", slopes[what])
        statement = Statement(f"The {what} of {operation.name}", growth, slopes[what])
        described[what] = growth.value
        if statement.problem:
            bench.failures.append(statement.problem)
        elif is_complete and statement.is_too_weak:
            bench.failures.append(f"{statement.subject} is stated to be linear, but is flat: {slopes[what]:.2f}.")
    bench.series[operation.name] = described


def _pairs(points: list[dict[str, float]], value: str) -> list[Point]:
    return [(point["items"], point[value]) for point in points]


def prepare(days: int) -> None:
    """Store a job of this many days with a complete ledger, its snapshots and results, and as many jobs as items."""
    from django.apps import apps
    from django.db import connection

    from backfill.storage.serialization.packing import pack_body

    for model in ("Checkpoint", "BackfillJob"):
        table = apps.get_model("backfill", model)._meta.db_table  # noqa: SLF001 - Django's own API
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
    service, dates = service_for(), days_from(_FIRST, days)
    store_calendars(service, dates[0], dates[-1], _DISTRICTS)
    store_ended_jobs(service, days * _ITEMS_OF_A_DAY, dates[0])
    store_days(dates, _DISTRICTS, body=pack_body(b'{"district":"001","date":"2008-07-01","clubs":{"paid":100}}'))
    store_settled_job(service.storage, dates, _DISTRICTS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plan(days: int) -> float:
    """Preview a collection of all days, none of which is skipped."""
    from backfill.domain import JobRequest, JobType

    dates = days_from(_FIRST, days)
    request = JobRequest(job_type=JobType.DATA_COLLECTION, start_date=dates[0], end_date=dates[-1], skip_existing=False)
    service = service_for()

    def preview() -> None:
        assert service.preview(request).plan.total_items == days * _ITEMS_OF_A_DAY

    return _seconds(preview)


def claim(days: int) -> float:
    from backfill.engine.job_manager import JobManager

    storage, minutes = service_for().storage, iter(range(1, 100))

    def claimed() -> None:
        now = datetime.now(UTC) + timedelta(minutes=next(minutes))  # the lease before has expired
        found = JobManager(storage).claim("bench", now)
        assert found is not None
        assert found.job.progress.settled_items == days * _ITEMS_OF_A_DAY
        found.release(now)

    return _seconds(claimed)


def page(days: int) -> float:
    last = days * _ITEMS_OF_A_DAY - _PAGE
    return _seconds_of_page(f"{_API}/{_job()}/items?limit={_PAGE}&offset={last}")


def poll(_days: int) -> float:
    return _seconds_of_page(f"{_API}/{_job()}")


def coverage(_days: int) -> float:
    return _seconds_of_page(f"{_API}/coverage?resolution=month")


def history(_days: int) -> float:
    return _seconds_of_page(f"{_API}/jobs")


def export(days: int) -> float:
    """Write all results as JSON lines."""
    from backfill.service.queries import Selection
    from backfill.transfer.export import ExportDataset, ExportFormat
    from backfill.transfer.export import export as write

    records = service_for().history

    def written(selection: Selection) -> int:
        with io.FileIO("/dev/null", "w") as out:
            return write(records, ExportDataset.ANALYTICS, ExportFormat.JSONL, selection, out, on_problem=_not_readable)

    written(Selection(last=_FIRST))  # loads the modules
    began = time.perf_counter()
    count = written(Selection())
    seconds = time.perf_counter() - began
    assert count == days * len(_DISTRICTS)  # the world ranking is not exported
    return seconds


def _not_readable(key: str, problem: Exception) -> None:
    raise AssertionError(key) from problem


def _job() -> str:
    active = service_for().active()
    assert active is not None
    return str(active.id)


def _seconds_of_page(path: str) -> float:
    client = operator()
    return _seconds(lambda: get(client, path))


def _seconds(call: Callable[[], object]) -> float:
    """Return the duration of a call after a first one; of a short call the median of several."""
    timed(call)  # loads modules and templates
    second = timed(call)
    return second if second > 0.5 else median([second, *(timed(call) for _ in range(6))])


def _figures() -> tuple[Figure, ...]:
    return tuple(
        Figure(
            f"{one.name}-{what}",
            f"{one.title}: slope of the {what} ({growth})",
            target=at_most(growth.steepest),
            digits=2,
        )
        for one in OPERATIONS
        for what, growth in (("time", one.time), ("memory", one.memory))
    )


SECTION = Section(
    "growth",
    "Growth of time and memory from 10\u00b3 to 10\u2075 items",
    _run_to(100_000),
    _figures(),
)

MILLION = Section(
    "growth-million",
    "Growth of time and memory from 10\u00b3 to 10\u2076 items",
    _run_to(1_000_000),
    _figures(),
    is_in_full_run=False,
)
