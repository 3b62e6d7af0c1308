"""The Backfill section of the admin: its page and its poll, with many jobs stored and one that runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.harness import say

if TYPE_CHECKING:
    from backfill.service.commands import BackfillService

JOBS = 10_000
DISTRICTS = tuple(f"{n:02d}" for n in range(1, 131))


def section(service: BackfillService) -> None:
    """Over a database that holds ten years of calendar."""
    from django.contrib.auth.models import User
    from django.db import connection, reset_queries
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    print(f"\nThe Backfill section of the admin, with {JOBS:,} jobs stored and one that runs over 130 districts")
    store_ended_jobs(service)
    work = running_job(service)
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))
    page, poll = "/admin/backfill/", "/admin/backfill/now/"
    client.get(page)  # templates are compiled once a process
    reset_queries()  # what is kept of them is full
    with CaptureQueriesContext(connection) as queries:
        client.get(page)
        page_queries = len(queries)
    say("the page", f"{usual(lambda: client.get(page)):.0f} ms", "at most 300 ms")
    say("queries of the page, the sign-in's two among them", f"{page_queries}", "at most 10")
    with CaptureQueriesContext(connection) as queries:
        client.get(poll)
        poll_queries = len(queries) - 2
    say("a poll that brings news", f"{usual(lambda: client.get(poll), before=work):.1f} ms", "at most 20 ms")
    say("queries of it, beside the sign-in's two", f"{poll_queries}", "at most 2")
    etag = client.get(poll)["ETag"]
    unchanged = usual(lambda: client.get(poll, headers={"If-None-Match": etag}))
    say("a poll that brings none (304)", f"{unchanged:.1f} ms", "at most 20 ms")


def usual(call: Callable[[], object], before: Callable[[], object] = lambda: None, times: int = 15) -> float:
    """The median of some calls, in milliseconds."""
    seconds = []
    for _ in range(times):
        before()
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def store_ended_jobs(service: BackfillService) -> None:
    """Rows like that of one ended job, since creating each the usual way would take minutes."""
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


def running_job(service: BackfillService) -> Callable[[], object]:
    """Start one; what is returned settles some of its items and records them."""
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

    def work() -> None:
        now = datetime.now(UTC)
        settled = [
            Outcome(item, OutcomeKind.FAILED if n == 3 else OutcomeKind.PROCESSED, now, "TIMEOUT" if n == 3 else "")
            for n, item in zip(range(20), items, strict=False)
        ]
        claim.note(settled)
        claim.record([settled[-1].item], limiter, now)

    work()
    return work
