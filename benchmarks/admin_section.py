"""The Backfill section of the admin: its page and its poll, with many stored jobs and a running one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.harness import print_figure

if TYPE_CHECKING:
    from django.test import Client

    from backfill.service.commands import BackfillService

JOBS = 10_000
DISTRICTS = tuple(f"{n:02d}" for n in range(1, 131))


def section(service: BackfillService) -> None:
    """Requires the stored calendar of ten years."""
    from django.contrib.auth.models import User
    from django.db import connection, reset_queries
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    print(f"\nThe Backfill section of the admin, with {JOBS:,} stored jobs and a running one of 130 districts")
    store_ended_jobs(service)
    advance = running_job(service)
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    page, poll = "/admin/backfill/", "/admin/backfill/now/"
    client.get(page)  # compiles the templates
    reset_queries()  # the log of queries has a maximum length
    with CaptureQueriesContext(connection) as queries:
        client.get(page)
        page_queries = len(queries)
    print_figure("the page", f"{median_ms(lambda: client.get(page)):.0f} ms", "at most 300 ms")
    print_figure("queries of the page, including two for the sign-in", f"{page_queries}", "at most 10")
    with CaptureQueriesContext(connection) as queries:
        client.get(poll)
        poll_queries = len(queries) - 2
    print_figure(
        "a poll with changes", f"{median_ms(lambda: client.get(poll), before=advance):.1f} ms", "at most 20 ms"
    )
    print_figure("queries of a poll, without two for the sign-in", f"{poll_queries}", "at most 2")
    etag = client.get(poll)["ETag"]
    unchanged = median_ms(lambda: client.get(poll, headers={"If-None-Match": etag}))
    print_figure("a poll without changes (304)", f"{unchanged:.1f} ms", "at most 20 ms")
    print("  On the wire, with headers and compression:")
    print_kb("the section with its styles and scripts, cold", section_size(client, page), "at most 90 KB")
    print_kb("a poll with changes", wire_size(client, poll), "at most 4 KB")
    unchanged_size = wire_size(client, poll, **{"If-None-Match": etag})
    print_figure("a poll without changes (304)", f"{unchanged_size} bytes", "at most 300 bytes")
    advance(failing=len(DISTRICTS))
    print_kb("a poll with failures in 130 districts", wire_size(client, poll), "at most 12 KB")


_SERVER_HEADERS = 110
"""Bytes of the status line and of the headers Server, Date and Connection, which gunicorn adds."""


def print_kb(name: str, size: int, target: str) -> None:
    print_figure(name, f"{size / 1024:.1f} KB", target)


def wire_size(client: Client, path: str, **headers: str) -> int:
    """Return the bytes of the response to a browser, with its headers."""
    response = client.get(path, headers={"Accept-Encoding": "gzip, deflate, br", **headers})
    assert response.status_code in {200, 304}, path
    headers_size = sum(len(f"{name}: {value}\r\n") for name, value in response.items()) + 2
    return _SERVER_HEADERS + headers_size + len(response.getvalue())


def section_size(client: Client, page: str) -> int:
    """Return the bytes of the page, of its coverage map and of the files that it loads."""
    content = client.get(page).content.decode()
    files = set(re.findall(r'<(?:script|link)[^>]*? (?:src|href)="(/static/[^"]+)"', content))
    assert len(files) > 10
    return sum(wire_size(client, path) for path in (page, f"{page}coverage/map/", *files))


def median_ms(call: Callable[[], object], before: Callable[[], object] = lambda: None, times: int = 15) -> float:
    """Return the median duration of a call in milliseconds."""
    seconds = []
    for _ in range(times):
        before()
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def store_ended_jobs(service: BackfillService) -> None:
    """Insert copies of the row of an ended job; through the service it would take minutes."""
    from django.apps import apps

    from backfill.domain import Actor, Channel, JobRequest, JobType

    job = service.start(
        JobRequest(job_type=JobType.DATA_COLLECTION, start_date=date(2013, 7, 1), end_date=date(2013, 7, 31)),
        by=Actor("bench", Channel.CLI),
    ).job
    service.cancel(job.id, by=Actor("bench", Channel.CLI))
    rows = apps.get_model("backfill", "BackfillJob").objects
    row = rows.get(pk=job.id)
    columns = {field.attname: getattr(row, field.attname) for field in row._meta.fields}  # noqa: SLF001 - Django's own API
    rows.bulk_create(
        [
            type(row)(**{**columns, "id": uuid4(), "created_at": row.created_at - timedelta(minutes=n)})
            for n in range(1, JOBS + 1)
        ],
        batch_size=500,
    )


def running_job(service: BackfillService) -> Callable[..., object]:
    """Start a job. The returned function records the outcomes of some items."""
    from backfill.domain import (
        Actor,
        Cadence,
        Channel,
        JobRequest,
        JobType,
        LimiterReport,
        LimiterState,
        Outcome,
        OutcomeKind,
    )
    from backfill.engine.job_manager import JobManager

    request = JobRequest(
        job_type=JobType.DATA_COLLECTION,
        start_date=date(2013, 7, 1),
        end_date=date(2023, 6, 30),
        cadence=Cadence.MONTH_ENDS,
    )
    service.start(request, by=Actor("bench", Channel.CLI))
    claim = JobManager(service.storage).claim("bench", datetime.now(UTC))
    assert claim is not None
    items = (item for day in claim.plan.days for item in day.items())
    limiter = LimiterReport(state=LimiterState.RUNNING, requests_made=100)

    def advance(failing: int = 0) -> None:
        """Settle twenty items of which one fails, or as many failing ones as given."""
        now = datetime.now(UTC)
        settled = [
            Outcome(item, OutcomeKind.FAILED, now, "TIMEOUT", "No response within 30 s.")
            if failing or n == 3
            else Outcome(item, OutcomeKind.PROCESSED, now)
            for n, item in zip(range(failing or 20), items, strict=False)
        ]
        claim.note(settled)
        claim.record([settled[-1].item], limiter, now)

    advance()
    return advance
