"""The Backfill section of the admin: its page and its poll, with many stored jobs and a running one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, at_most, count
from benchmarks.harness import median_seconds, operator, service_for
from benchmarks.prepared import DISTRICTS, FIRST, LAST, store_calendars, store_ended_jobs

if TYPE_CHECKING:
    from django.http import HttpResponseBase
    from django.test import Client

    from backfill.service.commands import BackfillService

JOBS = 10_000


def _run(bench: Bench) -> None:
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    service = service_for()
    store_calendars(service)
    store_ended_jobs(service, bench.scaled(JOBS))
    advance = running_job(service)
    client = operator()
    page, poll = "/admin/backfill/", "/admin/backfill/now/"
    client.get(page)  # compiles the templates
    reset_queries()  # the log of queries has a maximum length
    with CaptureQueriesContext(connection) as queries:
        client.get(page)
        bench.report("page-queries", len(queries))
    with CaptureQueriesContext(connection) as queries:
        client.get(poll)
        bench.report("poll-queries", len(queries) - 2)
    bench.report("page", 1000 * median_seconds(lambda: client.get(page)))
    bench.report("poll", 1000 * median_seconds(lambda: client.get(poll), before=advance))
    etag = ""

    def know() -> None:
        nonlocal etag
        etag = client.get(poll)["ETag"]

    def unchanged() -> int:
        response = client.get(poll, headers={"Accept-Encoding": "gzip, deflate, br", "If-None-Match": etag})
        assert response.status_code == 304, "The section changed between two polls."
        return on_the_wire(response)

    bench.report("poll-unchanged", 1000 * median_seconds(unchanged, before=know))
    bench.report("page-size", section_size(client, page) / 1024)
    bench.report("poll-size", wire_size(client, poll) / 1024)
    bench.report("poll-uncompressed-size", on_the_wire(client.get(poll)) / 1024)
    know()
    bench.report("poll-unchanged-size", unchanged())
    advance(failing=len(DISTRICTS))
    bench.report("poll-failing-size", wire_size(client, poll) / 1024)


_SERVER_HEADERS = 110
"""Bytes of the status line and of the headers Server, Date and Connection, which gunicorn adds."""


def wire_size(client: Client, path: str) -> int:
    """Return the bytes of the response to a browser, with its headers."""
    response = client.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert response.status_code == 200, path
    return on_the_wire(response)


def on_the_wire(response: HttpResponseBase) -> int:
    headers_size = sum(len(f"{name}: {value}\r\n") for name, value in response.items()) + 2
    return _SERVER_HEADERS + headers_size + len(response.getvalue())


def section_size(client: Client, page: str) -> int:
    """Return the bytes of the page, of its coverage map and of the files that it loads."""
    content = client.get(page).content.decode()
    files = set(re.findall(r'<(?:script|link)[^>]*? (?:src|href)="(/static/[^"]+)"', content))
    assert len(files) > 10
    return sum(wire_size(client, path) for path in (page, f"{page}coverage/map/", *files))


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
        start_date=FIRST,
        end_date=LAST,
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


SECTION = Section(
    "admin-section",
    f"The Backfill section of the admin, with {JOBS:,} stored jobs and a running one of 130 districts",
    _run,
    (
        Figure("page", "the page", "ms", at_most(300)),
        count("page-queries", "queries of the page, including two for the sign-in", at_most(10)),
        Figure("poll", "a poll with changes", "ms", at_most(20), digits=1),
        count("poll-queries", "queries of a poll, without two for the sign-in", at_most(2)),
        Figure("poll-unchanged", "a poll without changes (304)", "ms", at_most(20), digits=1),
        count("page-size", "the section with its styles and scripts, cold, on the wire", at_most(90), "KB"),
        count("poll-size", "a poll with changes, on the wire", at_most(4), "KB", digits=1),
        count("poll-uncompressed-size", "the same without compression", unit="KB", digits=1),
        count("poll-unchanged-size", "a poll without changes (304), on the wire", at_most(300), "bytes"),
        count("poll-failing-size", "a poll with failures in 130 districts, on the wire", at_most(12), "KB", digits=1),
    ),
)
"""Sizes on the wire contain headers and compression."""
