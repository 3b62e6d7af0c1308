"""Resuming a job with a ledger of a million outcomes.

One process prepares the ledger, and a fresh one claims the job, so that the measured memory is that of the claim alone.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.isolated import measured
from benchmarks.prepared import days_from, store_settled_job

if TYPE_CHECKING:
    from backfill.storage import Storage

DISTRICTS = tuple(f"{n:02d}" for n in range(1, 150))
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


def prepare_in(storage: Storage, days: int) -> None:
    store_settled_job(storage, days_from(date(2008, 7, 1), days), DISTRICTS)


def claim() -> dict[str, Any]:
    """Claim the job. Returns the seconds and the number of settled items."""
    return claim_in(_storage())


def _storage() -> Storage:
    from backfill.storage import open_storage

    return open_storage("orm")


def claim_in(storage: Storage) -> dict[str, Any]:
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
