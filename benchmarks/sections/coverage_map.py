"""The coverage map of the admin: ten years of 130 districts with analytics."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.harness import get, median_seconds, operator, service_for
from benchmarks.prepared import DISTRICTS, FIRST, LAST, days_from, store_calendars, store_days

_PATH = "/admin/backfill/coverage/map/"


def _run(bench: Bench) -> None:
    from backfill.domain import month_ends

    store_calendars(service_for())
    client = operator()
    every_day = days_from(FIRST, (LAST - FIRST).days + 1)
    for name, days in (("month-ends", month_ends(FIRST, LAST)), ("days", every_day[: bench.scaled(len(every_day))])):
        store_days(days)
        size = get(client, _PATH)
        bench.report(f"{name}-snapshots", len(days) * (len(DISTRICTS) + 1))
        bench.report(name, median_seconds(lambda: get(client, _PATH), times=5))
        bench.report(f"{name}-size", size / 1024)


SECTION = Section(
    "coverage-map",
    "The coverage map of the admin: ten years of 130 districts with analytics",
    _run,
    (
        count("month-ends-snapshots", "snapshots of month-ends"),
        Figure("month-ends", "coverage map of these", "s", at_most(1), digits=2),
        count("month-ends-size", "response without compression", unit="KB"),
        count("days-snapshots", "snapshots of days"),
        Figure("days", "coverage map of these", "s", at_most(1), digits=2),
        count("days-size", "response without compression", unit="KB"),
    ),
)
