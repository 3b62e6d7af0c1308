"""A service job type without a dashboard, and the command line with it: `python -m tests.integration.fake_job_type`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta

from backfill.domain import (
    CalendarAccess,
    Job,
    JobConfig,
    JobType,
    LimiterReport,
    LimiterState,
    Outcome,
    OutcomeKind,
    Plan,
    PlannedDay,
    RateLimits,
    WaitReason,
    WorkItem,
)
from backfill.engine.claim import Claim
from backfill.engine.job_manager import JobManager
from backfill.job_types.base import Execution, JobTypeHandler
from backfill.rate_limit import Limiter
from backfill.service.commands import BackfillService
from backfill.storage import Fence, Storage

DISTRICTS = ("01", "02", "F")


class FakeExecution(Execution):
    def __init__(self, failing: Collection[str], seconds: float) -> None:
        self._failing, self._seconds = failing, seconds

    def skips(self, day: PlannedDay) -> Sequence[Outcome]:
        return ()

    def concurrency(self, limits: RateLimits) -> int:
        return limits.max_concurrent

    def process(self, day: PlannedDay, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        time.sleep(self._seconds)
        return [outcome_of(item, is_failed=item.district in self._failing) for item in items]


class FakeHandler(JobTypeHandler):
    """Plans three districts a day. Districts in `failing` fail, and each item takes `seconds`."""

    def __init__(self, failing: Collection[str] = (), seconds: float = 0) -> None:
        self._failing, self._seconds = failing, seconds

    def plan(self, config: JobConfig, now: datetime, access: CalendarAccess | None = None) -> Plan:
        first, last = config.start_date or date(2024, 1, 1), config.end_date or date(2024, 1, 1)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        districts = config.target_districts or DISTRICTS
        return Plan(tuple(PlannedDay(day, districts) for day in days), requests=3 * len(days) * len(districts))

    def execute(self, job: Job, fence: Fence, limiter: Limiter) -> Execution:
        return FakeExecution(self._failing, self._seconds)


def outcome_of(item: WorkItem, *, is_failed: bool) -> Outcome:
    now = datetime.now(UTC)
    if is_failed:
        return Outcome(
            item,
            OutcomeKind.FAILED,
            now,
            "SERVER_ERROR",
            "The dashboard answered 503 [bold]\x1b[31m.",
            attempts=5,
            is_retryable=True,
            excerpt="<html>\n  [bold]An error & more</html>",
        )
    return Outcome(item, OutcomeKind.PROCESSED, now, attempts=1)


def fake_service(storage: Storage, handler: JobTypeHandler) -> BackfillService:
    return BackfillService(storage, {JobType.DATA_COLLECTION: handler})


def run_to_the_end(service: BackfillService, failing: Collection[str] = ()) -> Job:
    """Settle all items of the active job in the calling thread, and return the ended job."""
    now = datetime.now(UTC)
    claim = JobManager(service.storage).claim("test", now)
    assert claim is not None
    claim.note(
        [outcome_of(item, is_failed=item.district in failing) for day in claim.plan.days for item in day.items()]
    )
    claim.record((), LimiterReport(requests_made=7), now)
    return claim.finish(now)


def claimed_and_held(service: BackfillService, until: datetime) -> Claim:
    """Claim the active job, which the dashboard asked to wait."""
    claim = JobManager(service.storage).claim("test", datetime.now(UTC))
    assert claim is not None
    report = LimiterReport(
        state=LimiterState.BACKING_OFF,
        waits_for=WaitReason.ASKED_TO_WAIT,
        waiting_until=until,
        reason="It answered 429.",
    )
    claim.record((), report, datetime.now(UTC))
    return claim


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backfill_site.settings")
    import django
    from django.core.management import execute_from_command_line

    from backfill import bootstrap
    from backfill.storage import open_storage

    django.setup()
    failing = os.environ.get("FAKE_FAILING", "").split(",")
    handler = FakeHandler(failing, float(os.environ.get("FAKE_SECONDS", "0")))
    service = fake_service(open_storage("orm"), handler)
    bootstrap.backfill_service = lambda: service  # type: ignore[assignment]
    execute_from_command_line(["manage.py", "backfill", *sys.argv[1:]])


if __name__ == "__main__":
    main()
