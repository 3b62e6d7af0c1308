"""Data that sections insert directly; through the service it would take hours."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.harness import delete_rows

if TYPE_CHECKING:
    from backfill.service.commands import BackfillService
    from backfill.storage import Storage

FIRST, LAST = date(2013, 7, 1), date(2023, 6, 30)
"""Ten years."""

DISTRICTS = tuple(f"{n:02d}" for n in range(1, 131))


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def store_calendars(
    service: BackfillService, first: date = FIRST, last: date = LAST, districts: Sequence[str] = DISTRICTS
) -> None:
    """Store the calendar of all months in which figures for these days were published."""
    from backfill.domain import CalendarMonth, month_end_of, month_ends

    for end in month_ends(first.replace(day=1) - timedelta(days=1), month_end_of(last)):  # a month closes in the next
        begin = end.replace(day=9)  # a day belongs to one month only
        service.storage.calendars.save(
            CalendarMonth(
                month_end=end,
                districts=tuple(districts),
                as_of_days=tuple(begin + timedelta(days=n) for n in range((end - begin).days + 9)),
                is_archived=True,
                is_closed=True,
                has_blank_close=end.month == 6,
                fetched_at=datetime.now(UTC),
            )
        )


def store_ended_jobs(service: BackfillService, count: int, day: date = FIRST) -> None:
    """Insert copies of the row of an ended job, one for each second before it. Only on SQLite."""
    from django.apps import apps
    from django.db import connection

    from backfill.domain import Actor, Channel, JobRequest, JobType

    job = service.start(
        JobRequest(job_type=JobType.DATA_COLLECTION, start_date=day, end_date=day), by=Actor("bench", Channel.CLI)
    ).job
    service.cancel(job.id, by=Actor("bench", Channel.CLI))
    model = apps.get_model("backfill", "BackfillJob")
    columns = [str(field.column) for field in model._meta.fields if field.column not in {"id", "created_at"}]  # noqa: SLF001 - Django's own API
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < %s)"  # noqa: S608 - columns of the model
            f" INSERT INTO {model._meta.db_table} (id, created_at, {names})"  # noqa: SLF001
            f" SELECT lower(hex(randomblob(16))), datetime(created_at, '-' || n || ' seconds'), {names}"
            f" FROM copies, {model._meta.db_table} WHERE id = %s",  # noqa: SLF001
            [count, job.id.hex],
        )


def store_days(days: Iterable[date], districts: Sequence[str] = DISTRICTS, body: bytes = b"y" * 400) -> None:
    """Insert a snapshot and a result for each district and for all districts on these days. Only on SQLite."""
    from django.db import connection, transaction

    from backfill.domain import SUMMARY, ProgramYear, is_month_end, month_end_of

    delete_rows("StoredSnapshot", "StoredResult")
    now, job = datetime.now(UTC).replace(tzinfo=None).isoformat(" "), uuid4().hex
    of_day = [
        (str(day), str(month_end_of(day)), ProgramYear.of(day).start, is_month_end(day), f"{day.toordinal():016x}")
        for day in days
    ]
    of_district = [(district, f"{n:016x}") for n, district in enumerate((SUMMARY, *districts))]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE days (date, month, year, is_final, mark)")
        cursor.execute("CREATE TEMPORARY TABLE districts (district, mark)")
        cursor.executemany("INSERT INTO days VALUES (%s, %s, %s, %s, %s)", of_day)
        cursor.executemany("INSERT INTO districts VALUES (%s, %s)", of_district)
        cursor.execute(
            "INSERT INTO backfill_storedsnapshot (date, district, data_month, as_of, is_final, content_hash,"
            " fetched_at, job_id, reports, content)"
            " SELECT date, district, month, date, is_final, days.mark || districts.mark, %s, %s, '{}', %s"
            " FROM days CROSS JOIN districts",
            [now, job, b"x" * 400],
        )
        cursor.execute(
            "INSERT INTO backfill_storedresult (date, district, program_year, source_hash, schema_version,"
            " input_digest, job_id, computed_at, quality, body)"
            " SELECT date, district, year, days.mark || districts.mark, 1, days.mark || districts.mark, %s, %s, '{}',"
            " %s FROM days CROSS JOIN districts",
            [job, now, body],
        )
        cursor.execute("DROP TABLE days")
        cursor.execute("DROP TABLE districts")


def store_settled_job(storage: Storage, days: Sequence[date], districts: Sequence[str]) -> None:
    """Store a job over these days and districts, and the summary, all items of which are settled."""
    from backfill.domain import (
        SUMMARY,
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
    plan = Plan(
        tuple(
            PlannedDay(
                day,
                (SUMMARY, *districts),
                Edition(month_end=day, as_of=day, is_final=False, is_archived=True, asks_blank=False),
            )
            for day in days
        )
    )
    job = Job(
        id=uuid4(),
        job_type=JobType.DATA_COLLECTION,
        created_at=now,
        created_by="bench",
        progressed_at=now,
        config=JobConfig(start_date=days[0], end_date=days[-1]),
        progress=Progress(total_items=plan.total_items),
    )
    storage.jobs.create(job, plan, displace=lambda active: active.displaced(now + timedelta(days=1)))
    claim = JobManager(storage).claim("bench", now)
    assert claim is not None
    items = (item for day in plan.days for item in day.items())
    while batch := list(itertools.islice(items, 500)):
        claim.note(Outcome(item, OutcomeKind.PROCESSED, now, attempts=1) for item in batch)
        claim.record((), LimiterReport(), now)
    claim.release(now)
