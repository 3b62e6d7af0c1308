"""The memory that a runner and a plan need for ten years of every district."""

from __future__ import annotations

import tracemalloc

from backfill.domain import SUMMARY, JobConfig, Progress, Status
from backfill.domain.runtime_config import RuntimeConfig
from backfill.engine.job_manager import JobManager
from backfill.engine.runner import Runner
from backfill.rate_limit import Limiter
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import DAY, FAST, FakeExecution, a_job, a_plan, skipped
from tests.unit.virtual_clock import VirtualClock


def test_a_job_that_skips_two_hundred_thousand_items_needs_constant_memory() -> None:
    """R10.3: in virtual time, so that the maximum number of outcomes waits to be written."""
    plan = a_plan(1527, (SUMMARY, *(f"{n:02d}" for n in range(1, 131))))
    storage, clock = MemoryStorage(), VirtualClock.at()
    now = clock.now()
    config = JobConfig(start_date=plan.days[0].date, end_date=DAY, rate_limits=FAST)
    progress = Progress(total_items=plan.total_items)
    storage.jobs.put_in(a_job(created_at=now, progressed_at=now, config=config, progress=progress), plan)
    claim = JobManager(storage, RuntimeConfig(clock=clock)).claim("runner", now)
    assert claim is not None
    execution = FakeExecution(skips=lambda day: skipped(day.items()))
    limiter = Limiter(FAST, storage.control.update_schedule, clock=clock)
    runner = Runner(claim, execution, limiter, stop=clock.event(), disconnect=storage.control.disconnect)
    tracemalloc.start()
    try:
        runner.run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    job = storage.jobs.rows[claim.job.id]
    assert (job.status, job.progress.skipped_items) == (Status.COMPLETED, 200_037)
    assert execution.items == []
    assert sum(len(segment.outcomes) for segment in storage.ledger.segments(job.id)) == 200_037
    assert peak < 20_000_000, peak
