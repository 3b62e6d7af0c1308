"""Resuming a job with a ledger of a million outcomes.

One process prepares the ledger, and a fresh one claims the job, so that the measured memory is that of the claim alone.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.isolated import measured

if TYPE_CHECKING:
    from backfill.storage import Storage

DISTRICTS = 150
DAYS = 6667


def _run(bench: Bench) -> None:
    days = bench.scaled(DAYS)
    measured(f"{__name__}:prepare", days)
    claim = measured(f"{__name__}:claim")
    bench.report("outcomes", claim.value["settled"])
    bench.report("seconds", claim.value["seconds"])
    bench.report("peak", claim.peak_mb)


def prepare(days: int) -> None:
    """Store a job of 150 items a day, all of which are settled."""
    prepare_in(_storage(), days)


def claim() -> dict[str, Any]:
    """Claim the job. Returns the seconds and the number of settled items."""
    return claim_in(_storage())


def _storage() -> Storage:
    from backfill.storage import open_storage

    return open_storage("orm")


def prepare_in(storage: Storage, count: int) -> None:
    from backfill.domain import (
        Edition,
        Job,
        JobConfig,
        JobType,
        LimiterReport,
        Outcome,
        OutcomeKind,
        Plan,
        PlannedDay,
        Progress,
    )
    from backfill.engine.job_manager import JobManager

    now = datetime.now(UTC)
    districts = ("all", *(f"{number:02d}" for number in range(1, DISTRICTS)))
    first = date(2008, 7, 1)
    days = tuple(
        PlannedDay(
            day, districts, Edition(month_end=day, as_of=day, is_final=False, is_archived=True, asks_blank=False)
        )
        for day in (first + timedelta(days=n) for n in range(count))
    )
    plan = Plan(days)
    job = Job(
        id=uuid4(),
        job_type=JobType.DATA_COLLECTION,
        created_at=now,
        created_by="bench",
        progressed_at=now,
        config=JobConfig(start_date=days[0].date, end_date=days[-1].date),
        progress=Progress(total_items=plan.total_items),
    )
    storage.jobs.create(job, plan, displace=lambda active: active.displaced(now + timedelta(days=1)))
    claim = JobManager(storage).claim("bench", now)
    assert claim is not None
    items = (item for day in days for item in day.items())
    while batch := list(itertools.islice(items, 500)):
        claim.note(Outcome(item, OutcomeKind.PROCESSED, now, attempts=1) for item in batch)
        claim.record((), LimiterReport(), now)
    claim.release(now)


def claim_in(storage: Storage) -> dict[str, Any]:
    import time

    from backfill.engine.job_manager import JobManager

    manager, began = JobManager(storage), time.perf_counter()
    claim = manager.claim("bench-2", datetime.now(UTC))
    seconds = time.perf_counter() - began
    assert claim is not None
    return {"seconds": seconds, "settled": claim.job.progress.settled_items}


FIGURES = (
    count("outcomes", "outcomes in the ledger"),
    Figure("seconds", "claim in a fresh process", "s", at_most(3), digits=2),
    Figure("peak", "peak memory of this process", "MB", at_most(120), is_compared=True),
)

SECTION = Section("resume", "Resuming a job with a ledger of a million outcomes", _run, FIGURES)
