"""Faults that a real server injects into a job of service, worker and client, over a store in memory."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path

import pytest

from backfill.bootstrap import new_worker
from backfill.dashboard.client import DashboardClient
from backfill.domain import (
    Actor,
    Cadence,
    Channel,
    Job,
    JobRequest,
    JobType,
    Outcome,
    OutcomeFilter,
    Status,
    WaitReason,
)
from backfill.errors import DashboardUnavailable
from backfill.job_types.collection.robots import Robots
from backfill.job_types.registry import job_type_handlers
from backfill.service.commands import BackfillService
from sample_dashboard.server import Answer
from sample_dashboard.world import SampleWorld
from tests.fault_server import CERTIFICATE, FaultServer, Respond, sample_dashboard
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import FAST, eventually, utc_now

GOOD = sample_dashboard(SampleWorld(date(2026, 11, 1), districts=3, clubs=5))
REQUEST = JobRequest(
    job_type=JobType.DATA_COLLECTION,
    start_date=date(2025, 1, 1),
    end_date=date(2025, 2, 28),
    cadence=Cadence.MONTH_ENDS,
)
ITEMS = 8
REQUESTS = 2 * (1 + 3 * 3)


class CollectionRun:
    """A collection job and a worker thread that runs it."""

    def __init__(self, server: FaultServer, client: DashboardClient, *, ignores_robots: bool) -> None:
        self.server, self.storage = server, MemoryStorage()
        robots = None if ignores_robots else Robots(client, now=utc_now)
        self.service = BackfillService(
            storage=self.storage,
            handlers=job_type_handlers(self.storage, client, executor="threads", robots=robots),
        )
        self.service.change_rate_limits(FAST.to_dict(), by=Actor("ann", Channel.CLI))
        self.worker = new_worker(self.service)

    def start(self) -> None:
        self.id = self.service.start(REQUEST, by=Actor("ann", Channel.CLI)).job.id
        self.worker.start()

    @property
    def job(self) -> Job:
        return self.service.job(self.id)

    @property
    def outcomes(self) -> list[Outcome]:
        return list(self.service.items(self.id, OutcomeFilter(), limit=100, offset=0).rows)

    def ended(self) -> Job:
        assert eventually(lambda: self.job.ended_at is not None, within=60)
        return self.job

    def assert_complete(self) -> None:
        job = self.ended()
        assert (job.status, job.progress.failed, job.progress.processed) == (Status.COMPLETED, 0, ITEMS)
        assert {outcome.attempts for outcome in self.outcomes} == {1}


@contextmanager
def collection_run(
    respond: Respond = GOOD, *, tls: bool = False, ignores_robots: bool = False
) -> Iterator[CollectionRun]:
    with FaultServer(respond, tls=tls) as server, closing(DashboardClient(server.url)) as client:
        run = CollectionRun(server, client, ignores_robots=ignores_robots)
        yield run
        run.worker.stop()


def with_robots(text: str, status: int = 200) -> Respond:
    robots = Answer(status, text.encode(), "text/plain")
    return lambda path: robots if path == "/robots.txt" else GOOD(path)


# The local network.


def test_a_job_waits_while_its_ca_bundle_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(CERTIFICATE.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    def respond(path: str) -> Answer:
        if "export.aspx" in path and len(run.server.paths("export.aspx")) == 5:
            bundle.unlink()
        return GOOD(path)

    with collection_run(respond, tls=True) as run:
        run.start()
        assert eventually(lambda: run.job.progress.limiter.waits_for is WaitReason.LOCAL, within=30)
        held = run.job
        assert f"REQUESTS_CA_BUNDLE names {bundle}, which does not exist." in held.progress.limiter.reason
        assert (held.status, held.progress.failed) == (Status.RUNNING, 0)
        bundle.write_bytes(CERTIFICATE.read_bytes())
        run.assert_complete()
        assert run.job.progress.limiter.requests_made == len(run.server.paths("export.aspx")) == REQUESTS


# robots.txt.


def test_paths_that_robots_txt_disallows_are_not_requested_and_the_job_reports_it() -> None:
    with collection_run(with_robots("User-agent: *\nDisallow: /*export.aspx")) as run:
        run.start()
        assert eventually(lambda: run.job.progress.limiter.waits_for is WaitReason.ROBOTS, within=30)
        assert "BACKFILL_IGNORE_ROBOTS=true" in run.job.progress.limiter.reason
        assert (run.job.status, run.job.progress.failed) == (Status.RUNNING, 0)
        assert run.server.paths("export.aspx") == []
        assert run.server.paths().count("/robots.txt") == 1
        run.service.cancel(run.id, by=Actor("ann", Channel.CLI))
        assert run.ended().status is Status.CANCELLED


def test_a_preview_reports_that_robots_txt_disallows_the_calendar() -> None:
    with collection_run(with_robots("User-agent: *\nDisallow: /")) as run:
        with pytest.raises(DashboardUnavailable, match=r"robots\.txt does not allow"):
            run.service.preview(REQUEST)
        assert run.server.paths() == ["/robots.txt"]


def test_robots_txt_is_not_read_if_it_is_ignored() -> None:
    with collection_run(with_robots("User-agent: *\nDisallow: /"), ignores_robots=True) as run:
        run.start()
        run.assert_complete()
        assert run.server.paths("/robots.txt") == []


def test_the_requests_of_a_plan_and_its_job_keep_a_crawl_delay() -> None:
    with collection_run(with_robots("User-agent: *\nCrawl-delay: 0.2")) as run:
        run.start()
        run.assert_complete()
        starts = [one.at for one in run.server.received]
    gaps = sorted(later - earlier for earlier, later in pairwise(starts))
    assert len(gaps) > REQUESTS
    assert gaps[len(gaps) // 10] > 0.17, "a busy machine may log a request late"
    assert starts[-1] - starts[0] > 0.19 * len(gaps)


# Rejections.


@pytest.mark.parametrize("rejected", ["export.aspx", "divisionperformance"])
@pytest.mark.parametrize("status", [302, 403])
def test_a_rejection_of_everything_or_of_one_report_holds_the_job_and_fails_no_item(status: int, rejected: str) -> None:
    is_rejecting = threading.Event()
    is_rejecting.set()

    def respond(path: str) -> Answer:
        if rejected in path and is_rejecting.is_set():
            return Answer(status, b"No.", "text/plain", {"Location": "https://maintenance.example/"})
        return GOOD(path)

    with collection_run(respond) as run:
        run.start()
        assert eventually(lambda: run.job.progress.limiter.waits_for is WaitReason.DOWN, within=30)
        assert eventually(lambda: len(run.server.received) >= 30, within=30)
        held = run.job
        assert f"{status} {HTTPStatus(status).phrase} for " in held.progress.limiter.reason
        assert (held.status, held.progress.failed) == (Status.RUNNING, 0)
        is_rejecting.clear()
        run.assert_complete()


def test_a_rejection_of_one_district_fails_only_its_items() -> None:
    def respond(path: str) -> Answer:
        return Answer(403, b"No.", "text/plain") if "~F~" in path else GOOD(path)

    with collection_run(respond) as run:
        run.start()
        assert run.ended().status is Status.COMPLETED
        failed = {outcome.item.district: outcome for outcome in run.outcomes if outcome.reason}
        assert set(failed) == {"F"}
        assert (failed["F"].reason, failed["F"].attempts) == ("UNEXPECTED_STATUS", 5)


# CSV variants.


def without_name_in_the_rows(body: bytes) -> bytes:
    *lines, footer = body.rstrip().split(b"\r\n")
    return b"\r\n".join([lines[0], *(line + b',""' for line in lines[1:]), footer, b""])


def quoted_footer(body: bytes) -> bytes:
    at = body.rindex(b"Month")
    return body[:at] + b'"' + body[at:].rstrip() + b'"\r\n'


def several_members(body: bytes) -> bytes:
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "no name in the header": lambda body: body.replace(b"\r\n", b',""\r\n', 1),
    "no name in the rows": without_name_in_the_rows,
    "a footer in lower case": lambda body: body.replace(b"Month of", b"month of").replace(b", As of", b", as of"),
    "a footer in quotes": quoted_footer,
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "gzip of several members": several_members,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_csv_is_collected(variant: str) -> None:
    headers = {"Content-Encoding": "gzip"} if "gzip" in variant else {}

    def respond(path: str) -> Answer:
        good = GOOD(path)
        return replace(good, body=VARIANTS[variant](good.body), headers=headers) if "export.aspx" in path else good

    with collection_run(respond) as run:
        run.start()
        run.assert_complete()


def test_a_rejected_report_is_stored_only_with_its_failed_item() -> None:
    broken = b"\x1b[31mNo report today.\r\n" + b"x" * 5000

    def respond(path: str) -> Answer:
        return replace(GOOD(path), body=broken) if "clubperformance~F~" in path else GOOD(path)

    with collection_run(respond) as run:
        run.start()
        job = run.ended()
        assert (job.progress.failed, job.progress.processed) == (2, ITEMS - 2)
        for outcome in run.outcomes:
            if outcome.item.district == "F":
                assert outcome.reason == "NOT_CSV"
                assert outcome.excerpt.startswith("\ufffd[31mNo report today.\nxxx")
                assert len(outcome.excerpt.encode()) == 2048
            else:
                assert outcome.excerpt == ""
        assert "x" * 100 not in str(job.progress), "the record of the job does not contain it"
