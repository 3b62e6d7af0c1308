"""A check of the coverage target: what is missing of ten years of daily snapshots of 130 districts with analytics."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.harness import service_for
from benchmarks.prepared import DISTRICTS, FIRST, LAST, days_from, store_calendars, store_days

if TYPE_CHECKING:
    from backfill.service.reconciler import Reconciler

_TIMES = 5


def _run(bench: Bench) -> None:
    from backfill.domain import CalendarAccess, CoverageRule, FailedAttempts, TargetSettings
    from backfill.domain.clock import Clock
    from backfill.service.reconciler import Reconciler

    service = service_for()
    store_calendars(service)
    days = days_from(FIRST, bench.scaled((LAST - FIRST).days + 1))
    store_days(days)
    after = datetime.combine(days[-1] + timedelta(days=1), datetime.min.time(), UTC)
    reconciler = Reconciler(service.storage, service.handlers, replace(service.config, clock=Clock(now=lambda: after)))
    settings = TargetSettings(enabled=True, rules=(CoverageRule(start=FIRST, analytics=True),))

    def check(reconciler: Reconciler) -> float:
        """Return the seconds of CPU time."""
        began = time.process_time()
        found = reconciler.reconcile(settings, FailedAttempts(), CalendarAccess())
        if not found.findings.is_complete:
            raise AssertionError(f"Missing: {found.findings.missing}")
        return time.process_time() - began

    bench.report("snapshots", len(days) * (len(DISTRICTS) + 1))
    bench.report("seconds", median(check(reconciler) for _ in range(_TIMES)))


SECTION = Section(
    "keep",
    "A check of a coverage target: every day of ten years of 130 districts with analytics, all stored",
    _run,
    (
        count("snapshots", "snapshots, each with a result"),
        Figure("seconds", "CPU time of a check", "s", at_most(1), digits=2),
    ),
)
