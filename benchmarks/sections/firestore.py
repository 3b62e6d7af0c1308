"""Billed operations on Firestore: documents read and written, counted between the client and the emulator."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import grpc

from benchmarks.bench import Bench
from benchmarks.figures import Better, Figure, NotAvailable, Section, at_most, count
from benchmarks.harness import sample_dashboard
from benchmarks.isolated import measured
from benchmarks.sections import resume
from tests.firestore_emulator import Emulator, EmulatorMissing, emulator_version, environment


class Charges(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Counts operations by collection.

    A query without results is billed as one read, an aggregation as one read per 1,000 documents. A document that a
    commit only verifies counts as a read.
    """

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()

    def intercept_unary_unary(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if details.method.endswith("/Commit"):
            names = [write.delete or write.update.name for write in request.writes]
            self.writes.update(map(_collection, filter(None, names)))
            self.reads["verified"] += names.count("")
        return go_on(details, request)

    def intercept_unary_stream(self, go_on: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if details.method.endswith("/BatchGetDocuments"):
            self.reads.update(map(_collection, request.documents))
        answers = go_on(details, request)
        if details.method.endswith("/RunAggregationQuery"):
            return self._aggregated(answers, request, lambda counting: go_on(details, counting))
        if details.method.endswith("/RunQuery"):
            return self._counted(answers, request.structured_query.from_[0].collection_id)
        return answers

    def _counted(self, answers: Any, collection: str) -> Iterator[Any]:
        found = 0
        for answer in answers:
            found += bool(answer.document.name)
            yield answer
        self.reads[collection] += max(found, 1)

    def _aggregated(self, answers: Any, request: Any, send: Callable[[Any], Any]) -> Iterator[Any]:
        """A sum does not tell the number of its documents, so they are counted with another request."""
        asked = request.structured_aggregation_query
        for answer in answers:
            counted = answer
            if "sum" in asked.aggregations[0]:
                counting = type(request)(request)
                aggregation = type(asked.aggregations[0])
                counting.structured_aggregation_query.aggregations = [aggregation(count=aggregation.Count())]
                (counted,) = send(counting)
            (count,) = counted.result.aggregate_fields.values()
            thousands = max(-(-count.integer_value // 1000), 1)
            self.reads[asked.structured_query.from_[0].collection_id] += thousands
            yield answer

    def reset(self) -> None:
        self.reads.clear()
        self.writes.clear()


def _collection(path: str) -> str:
    """Return the collection of a document; for documents in `state` their own name."""
    *_, collection, name = path.split("/")
    return name if collection == "state" else collection


@contextmanager
def emulator(bench: Bench) -> Iterator[None]:
    """Run an emulator. Raises NotAvailable if it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        started = Emulator(Path(folder))
        try:
            started.start()
        except EmulatorMissing as exc:
            raise NotAvailable(str(exc)) from exc
        bench.uses("Firestore emulator", emulator_version())
        try:
            with mock.patch.dict("os.environ", environment(started.host)):
                _wait_until_it_answers()
                yield
        finally:
            started.kill()


def _wait_until_it_answers() -> None:
    """The first call of an emulator may take longer than the time limit of the adapter."""
    from backfill.errors import StorageUnavailable

    control, deadline = storage_through([]).control, time.monotonic() + 60
    while True:
        try:
            control.ping()
        except StorageUnavailable:
            if time.monotonic() > deadline:
                raise
        else:
            return


_METADATA_DAYS = 365


def storage_through(interceptors: list[Any]) -> Any:
    from backfill.storage.firestore import storage_over
    from backfill.storage.firestore.client import Connection

    return storage_over(Connection(interceptors=interceptors), prefix="bench", retention=timedelta(days=30))


def _documents(bench: Bench) -> None:
    from django.conf import settings

    from backfill import bootstrap as services
    from backfill.domain import Actor, Cadence, Channel, JobRequest, JobType, RateLimits

    charges = Charges()
    with ExitStack() as stack:
        stack.enter_context(emulator(bench))
        storage = storage_through([charges])
        settings.BACKFILL_DASHBOARD_URL = stack.enter_context(sample_dashboard("--districts", "8", "--clubs", "20"))
        services.backfill_service.cache_clear()
        stack.callback(services.backfill_service.cache_clear)
        stack.enter_context(mock.patch.object(services, "open_storage", return_value=storage))
        service = services.backfill_service()
        today = datetime.now(UTC).date()
        request = JobRequest(
            job_type=JobType.DATA_COLLECTION,
            start_date=date(today.year - 2 - bench.scaled(2), 7, 1),
            end_date=date(today.year - 2, 6, 30),
            cadence=Cadence.MONTH_ENDS,
        )
        service.preview(request)
        charges.reset()
        # One of nine items needs one request, the others three.
        limits = RateLimits(max_requests_per_minute=1667, min_delay_ms=0, max_concurrent=3)
        began = time.perf_counter()
        job = service.start(request, by=Actor("bench", Channel.CLI)).job
        storage.jobs.update(job.id, lambda job: replace(job, config=replace(job.config, rate_limits=limits)))
        worker, watching = services.new_worker(service), storage_through([]).jobs
        worker.start()
        page, poll = _reads_of_the_admin()
        while watching.active() is not None:
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        worker.stop()
        reads, writes = charges.reads, charges.writes
        ended = watching.get(job.id)
        assert ended is not None
        items = ended.progress.processed
        bench.report("items-per-second", items / seconds)
        bench.report("ledger-writes", (writes["jobs"] + writes["segments"]) / items)
        bench.report("schedule-writes", writes["timeline"] / items)
        bench.report("snapshot-writes", writes["snapshots"] / items)
        bench.report("slot-writes", writes["slot"])
        bench.report("reads", reads.total() / items)
        bench.report("page-reads", page)
        bench.report("poll-reads", poll)
        bench.note(f"all writes: {dict(writes)}")
        bench.note(f"all reads: {dict(reads)}")


def _reads_of_the_admin() -> tuple[int, int]:
    """Return the reads of another process for the page of the Backfill section and for its poll, while a job runs."""
    from django.contrib.auth.models import User
    from django.test import Client

    from backfill import bootstrap as services

    charges = Charges()
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("firestore"))
    services.backfill_service.cache_clear()
    with mock.patch.object(services, "open_storage", return_value=storage_through([charges])):
        charges.reset()
        page = client.get("/admin/backfill/")
        of_page = charges.reads.copy()
        charges.reset()
        poll = client.get("/admin/backfill/now/")
    if (page.status_code, poll.status_code) != (200, 200):
        raise AssertionError(f"The admin returned {page.status_code} and {poll.status_code}.")
    return of_page.total(), charges.reads.total()


def _metadata(bench: Bench) -> None:
    """Read what a plan needs: the metadata of the results of 130 districts on each day."""
    charges = Charges()
    with emulator(bench):
        storage = storage_through([charges]).results
        days = [date(2023, 1, 1) + timedelta(days=n) for n in range(bench.scaled(_METADATA_DAYS))]
        for day in days:
            storage.put([_result(day, f"{district:03d}") for district in range(130)])
        stored = 130 * len(days)
        bench.report("results", stored)
        for when in ("first", "later"):
            charges.reset()
            began = time.perf_counter()
            found = sum(1 for _ in storage.metadata(days[0], days[-1]))
            seconds = time.perf_counter() - began
            if found != stored:
                raise AssertionError(f"Found metadata of {found:,} of {stored:,} results.")
            bench.report(f"{when}-reads", charges.reads.total())
            bench.report(f"{when}-seconds", seconds)


def _result(day: date, district: str) -> Any:
    from backfill.domain import ProgramYear, Result

    return Result(
        date=day,
        district=district,
        program_year=ProgramYear.of(day),
        source_hash=secrets.token_hex(16),
        schema_version=1,
        input_digest=secrets.token_hex(16),
        job_id=UUID(int=1),
        computed_at=datetime.now(UTC),
        quality={},
        point=None,
        body=b"{}",
    )


def _resume(bench: Bench) -> None:
    with emulator(bench):
        measured(f"{__name__}:prepare", bench.scaled(resume.DAYS))
        claim = measured(f"{__name__}:claim")
    bench.report("outcomes", claim.value["settled"])
    bench.report("seconds", claim.value["seconds"])
    bench.report("peak", claim.peak_mb)


def prepare(days: int) -> None:
    """Store a job of 150 items a day, all of which are settled. Called in its own process."""
    resume.prepare_in(storage_through([]), days)


def claim() -> dict[str, Any]:
    """Claim the job in its own process. Returns the seconds and the number of settled items."""
    return resume.claim_in(storage_through([]))


DOCUMENTS = Section(
    "firestore",
    "Firestore emulator: documents read and written by a job at about 10 items per second",
    _documents,
    (
        Figure("items-per-second", "rate of the job", "items/s", digits=1, better=Better.HIGHER),
        count("ledger-writes", "writes of job and ledger per item", at_most(0.1), digits=3),
        count("schedule-writes", "writes of the request schedule per item", digits=3),
        count("snapshot-writes", "writes of snapshots per item", at_most(1), digits=3),
        count("slot-writes", "writes of the slot, total", at_most(3)),
        count("reads", "reads per item", digits=2),
        count("page-reads", "reads of the admin page"),
        count("poll-reads", "reads of a poll with changes", at_most(2)),
    ),
    is_waiting=True,
)

METADATA = Section(
    "firestore-metadata",
    "Firestore emulator: the metadata of the results of 130 districts on each day of a year",
    _metadata,
    (
        count("results", "results"),
        count("first-reads", "reads for their metadata, first time"),
        Figure("first-seconds", "duration", "s", digits=1),
        count("later-reads", "reads for their metadata, later", at_most(475)),
        Figure("later-seconds", "duration", "s", digits=1),
    ),
    is_in_full_run=False,
)

RESUME = Section(
    "firestore-resume",
    "Firestore emulator: resuming a job with a ledger of a million outcomes",
    _resume,
    (
        count("outcomes", "outcomes in the ledger"),
        Figure("seconds", "claim in a fresh process", "s", at_most(20), digits=1),
        Figure("peak", "peak memory of this process", "MB", at_most(120), is_compared=True),
    ),
    is_in_full_run=False,
)
