"""Looking back in the admin: the map of coverage over ten years, and the pages of results."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.harness import forget, say

if TYPE_CHECKING:
    from django.test import Client

_FIRST, _LAST = date(2013, 7, 1), date(2023, 6, 30)
_DISTRICTS = ("all", *(f"{n:02d}" for n in range(1, 131)))


def coverage_map() -> None:
    """Over a database that holds the calendar of those ten years."""
    from backfill.domain import month_ends

    print("\nThe map of coverage in the admin: ten years of 130 districts, each with analytics")
    every_day = [_FIRST + timedelta(days=n) for n in range((_LAST - _FIRST).days + 1)]
    client = _operator()
    for name, days in (("month-ends", month_ends(_FIRST, _LAST)), ("days", every_day)):
        _store(days)
        answer = client.get("/admin/backfill/coverage/map/")
        seconds = _timed(client, "/admin/backfill/coverage/map/")
        say(f"{len(days) * len(_DISTRICTS):,} snapshots of {name}", f"{seconds:.2f} s", "at most 1 s")
        say("sent to the browser, before it is packed", f"{len(answer.content) / 1024:.0f} KB")
    forget("StoredSnapshot", "StoredResult")


def result_pages() -> None:
    """Over the results that the analytics have left."""
    from backfill.models import StoredResult

    print("\nThe pages of results in the admin")
    client, day = _operator(), StoredResult.objects.latest("date").date
    for what, path in (("a district of 110 clubs", f"01/{day}/"), ("the world ranking", f"world/{day}/")):
        say(
            f"the page of {what}",
            f"{1000 * _timed(client, f'/admin/backfill/results/{path}'):.0f} ms",
            "at most 300 ms",
        )


def _operator() -> Client:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get_or_create(username="looking", is_staff=True, is_superuser=True)[0])
    return client


def _timed(client: Client, path: str) -> float:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert client.get(path).status_code == 200
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def _store(days: Iterable[date]) -> None:
    """A snapshot and its result for each district; in rows, since a million the usual way would take an hour."""
    from django.db import connection, transaction

    from backfill.domain import ProgramYear, is_month_end, month_end_of

    forget("StoredSnapshot", "StoredResult")
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
            "INSERT INTO backfill_storedresult (date, district, program_year, source_hash, schema_version, input_digest,"  # noqa: E501
            " job_id, computed_at, quality, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            results,
        )
