"""The coverage map of the admin: ten years of 130 districts with analytics."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.harness import FIRST, LAST, delete_rows, get, median_seconds, operator, service_for, store_calendars

_PATH = "/admin/backfill/coverage/map/"
_DISTRICTS = ("all", *(f"{n:02d}" for n in range(1, 131)))


def _run(bench: Bench) -> None:
    from backfill.domain import month_ends

    store_calendars(service_for())
    client = operator()
    every_day = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    for name, days in (("month-ends", month_ends(FIRST, LAST)), ("days", every_day[: bench.scaled(len(every_day))])):
        _store(days)
        size = get(client, _PATH)
        bench.report(f"{name}-snapshots", len(days) * len(_DISTRICTS))
        bench.report(name, median_seconds(lambda: get(client, _PATH), times=5))
        bench.report(f"{name}-size", size / 1024)


def _store(days: Iterable[date]) -> None:
    """Insert a snapshot and a result per district and day with SQL; through the service it would take an hour."""
    from django.db import connection, transaction

    from backfill.domain import ProgramYear, is_month_end, month_end_of

    delete_rows("StoredSnapshot", "StoredResult")
    now, job = datetime.now(UTC).replace(tzinfo=None).isoformat(" "), uuid4().hex
    snapshots, results = [], []
    for day in days:
        date_of, month, year = day.isoformat(), month_end_of(day).isoformat(), ProgramYear.of(day).start
        for n, district in enumerate(_DISTRICTS):
            mark = f"{day.toordinal():016x}{n:016x}"
            snapshots.append((date_of, district, month, date_of, is_month_end(day), mark, now, job, "{}", b"x" * 400))
            results.append((date_of, district, year, mark, 1, mark, job, now, "{}", b"y" * 400))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO backfill_storedsnapshot (date, district, data_month, as_of, is_final, content_hash,"
            " fetched_at, job_id, reports, content) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            snapshots,
        )
        cursor.executemany(
            "INSERT INTO backfill_storedresult (date, district, program_year, source_hash, schema_version,"
            " input_digest, job_id, computed_at, quality, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            results,
        )


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
