"""The contract of every job storage. The fixture `storage` is parametrized by adapter (R1.1, R1.5)."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from threading import Barrier, BrokenBarrierError
from uuid import uuid4

import pytest

from backfill.domain import (
    ACTIVE,
    ENDED,
    Cadence,
    CrashIsolation,
    DistrictProgress,
    IdempotencyKey,
    ItemError,
    Job,
    JobConfig,
    JobFilter,
    JobType,
    Lease,
    LimiterReport,
    LimiterState,
    Note,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Plan,
    ProgramYear,
    Progress,
    RateLimits,
    Segment,
    SnapshotFilter,
    Status,
    StoredLimits,
    WaitReason,
    WebhookEvent,
    WebhookEvents,
    WebhookEventType,
    WorkItem,
)
from backfill.errors import CorruptRecord, InvalidJobState, JobConflict, JobNotFound, StorageUnavailable
from backfill.storage import (
    AuditStorage,
    CalendarStorage,
    ControlStorage,
    JobStorage,
    LedgerStorage,
    ResultStorage,
    SnapshotStorage,
    Storage,
    TargetStorage,
)
from tests.contract.backends import Backend
from tests.factories import (
    DAY,
    NOW,
    AuditEntryFactory,
    CalendarMonthFactory,
    JobFactory,
    OutcomeFactory,
    PlanFactory,
    ProgressFactory,
    ResultFactory,
    SnapshotFactory,
    named_job,
)

Wait = Callable[[], None]
ITEM = WorkItem(DAY, "01")
PROGRESS_WITH_ALL_FIELDS = Progress(
    total_items=6,
    expected_skips=2,
    processed=1,
    failed=1,
    skipped={"stored": 1, "unchanged": 1},
    current_item="2024-01-31/F",
    last_item=ITEM.key,
    last_item_at=NOW + timedelta(microseconds=1),
    limiter=LimiterReport(
        state=LimiterState.BACKING_OFF,
        requests_made=7,
        requests_this_minute=3,
        waiting_until=NOW + timedelta(microseconds=2),
        reason="The dashboard answered 503.",
        waits_for=WaitReason.RETRY,
        answers={"200": 5, "503": 2},
        waited={"down": 1.25},
        pace=29.85,
        latency=0.125,
        down_since=NOW,
    ),
    districts={
        "all": DistrictProgress(total=2),
        "01": DistrictProgress(
            total=2, processed=1, failed=1, skipped=0, last_error='Cafe "A\u00e9\u4e16", no', is_in_progress=True
        ),
    },
    errors=(
        ItemError(item_key=ITEM.key, code="HTML_PAGE", message="A page\ncame.", at=NOW, is_retryable=True, attempts=5),
    ),
    minutes=((NOW.replace(second=0, microsecond=0), 4), (NOW.replace(minute=27, second=0, microsecond=0), 0)),
)
JOB_WITH_ALL_FIELDS = Job(
    id=uuid4(),
    job_type=JobType.ANALYTICS_GENERATION,
    status=Status.CANCELLED,
    config=JobConfig(
        start_date=DAY,
        end_date=DAY,
        target_districts=("01", "F"),
        cadence=Cadence.MONTH_ENDS,
        skip_existing=False,
        rate_limits=RateLimits(
            max_requests_per_minute=59, max_concurrent=2, min_delay_ms=501, max_delay_ms=29_999, backoff_multiplier=1.75
        ),
    ),
    created_at=NOW,
    created_by="operator \u00e9",
    progress=PROGRESS_WITH_ALL_FIELDS,
    progressed_at=NOW + timedelta(microseconds=3),
    lease=Lease(owner="host-1", expires_at=NOW + timedelta(microseconds=4)),
    crash_isolation=CrashIsolation(items=(ITEM.key, "2024-01-31/F"), deaths=2, suspects={ITEM.key: 2}),
    token=2**40,
    started_at=NOW + timedelta(microseconds=5),
    ended_at=NOW + timedelta(microseconds=6),
    cancelled_at=NOW + timedelta(microseconds=7),
    resumed_at=NOW + timedelta(microseconds=8),
    resume_count=3,
    takeovers=2,
    takeover_seconds=21.5,
    retry_of=uuid4(),
    webhook_events=WebhookEvents(
        ended=WebhookEvent(
            event=WebhookEventType.ENDED,
            at=NOW + timedelta(microseconds=6),
            sentence="It is cancelled \u00e9.",
            due_at=NOW + timedelta(microseconds=9),
            attempts=3,
        ),
        held=WebhookEvent(
            event=WebhookEventType.HELD, at=NOW, sentence="The dashboard answered 503.", due_at=None, attempts=1
        ),
        held_since=NOW + timedelta(microseconds=1),
        hold_ended_at=NOW + timedelta(microseconds=2),
    ),
    error="All 6 items failed.",
    segments=2,
    idempotency=IdempotencyKey(key="k" * 64, fingerprint="f" * 32),
    notes=(
        Note(at=NOW, operator="operator \u00e9", text="The close of May \u2014 \u00c9t\u00e9 \U0001f642"),
        Note(at=NOW + timedelta(microseconds=10), operator="other", text='100 % \\ _done_ "quoted"'),
    ),
    revision=12,
)


def keep_active(active: Job) -> None:
    """Keep the active job, as the argument `displace`."""


def created(storage: Storage, job: Job | None = None, plan: Plan | None = None) -> Job:
    return storage.jobs.create(job or JobFactory.build(), plan or PlanFactory.build(), displace=keep_active).job


def changed(job: Job, **changes: object) -> Callable[[Job], Job]:
    return lambda stored: replace(stored, **changes)  # type: ignore[arg-type]


# Create and read


def test_a_job_is_stored_with_every_field_to_the_microsecond(storage: Storage) -> None:
    """R1.1, R1.2, R1.5"""
    with_default = [f.name for f in fields(Job) if f.compare and getattr(JOB_WITH_ALL_FIELDS, f.name) == f.default]
    assert not with_default, "every field of the job of this test must differ from its default"
    assert created(storage, JOB_WITH_ALL_FIELDS) == JOB_WITH_ALL_FIELDS
    assert storage.jobs.get(JOB_WITH_ALL_FIELDS.id) == JOB_WITH_ALL_FIELDS


@pytest.mark.parametrize("reason", [None, *WaitReason])
def test_each_wait_reason_is_stored(storage: Storage, reason: WaitReason | None) -> None:
    progress = Progress(total_items=1, limiter=LimiterReport(waits_for=reason))
    job = created(storage, JobFactory.build(progress=progress))
    assert storage.jobs.get(job.id).progress.limiter.waits_for is reason  # type: ignore[union-attr]


def test_a_new_job_with_default_values_is_stored(storage: Storage) -> None:
    """R1.2: it is stored when `create` returns."""
    job = JobFactory.build(config=JobConfig(start_date=None, end_date=None))
    assert created(storage, job) == job
    assert storage.jobs.get(job.id) == job


def test_times_are_returned_in_utc(storage: Storage) -> None:
    job = created(storage)
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert stored.created_at.tzinfo is UTC or stored.created_at.utcoffset() == timedelta(0)


def test_texts_that_a_database_cannot_store_do_not_stop_a_job(storage: Storage) -> None:
    """An error message may quote a response of the dashboard that contains a NUL character."""
    job = created(storage)
    progress = replace(
        PROGRESS_WITH_ALL_FIELDS,
        districts={"01": DistrictProgress(total=1, last_error="came as \x00\x00")},
        errors=(replace(PROGRESS_WITH_ALL_FIELDS.errors[0], message="begins with `\x00PNG`"),),
    )
    stored = storage.jobs.update(job.id, changed(job, progress=progress, error="broke on \x00")).after
    for text in (stored.error, stored.progress.errors[0].message, stored.progress.districts["01"].last_error):
        assert text.startswith(("broke on ", "begins with `", "came as "))


def test_the_result_for_an_unknown_job_is_none(storage: Storage) -> None:
    created(storage)
    assert storage.jobs.get(uuid4()) is None


def test_a_plan_is_stored_unchanged(storage: Storage) -> None:
    plan = replace(PlanFactory.build(), unpublished_dates=4, skipped={"stored": 3}, requests=17)
    job = created(storage, plan=plan)
    stored = storage.jobs.plan(job.id)
    assert stored == plan
    assert stored.digest == plan.digest


def test_the_plan_of_an_unknown_job_is_refused(storage: Storage) -> None:
    with pytest.raises(JobNotFound):
        storage.jobs.plan(uuid4())


# One active job


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_a_second_job_is_refused_with_an_error_that_names_the_active_job(storage: Storage, status: Status) -> None:
    """R3.1, R3.3: for every active status, including paused."""
    progress = ProgressFactory.build(total_items=8, processed=2)
    first = created(storage, JobFactory.build(status=status, progress=progress))
    second = JobFactory.build()
    with pytest.raises(JobConflict, match=str(first.id)) as refused:
        created(storage, second)
    assert refused.value.details is not None
    assert refused.value.details["jobId"] == str(first.id)
    assert refused.value.details["status"] == str(status)
    assert refused.value.details["progress"] == {"totalItems": 8, "settledItems": 2, "percent": 25.0}
    assert storage.jobs.get(second.id) is None
    assert storage.jobs.get(first.id) == storage.jobs.active() == first


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_job_can_be_created_after_one_that_has_ended(storage: Storage, status: Status) -> None:
    """R3.1"""
    created(storage, JobFactory.build(status=status, ended_at=NOW))
    second = created(storage)
    assert storage.jobs.active() == second


def test_a_job_that_is_created_after_the_end_of_another_is_the_active_job(storage: Storage) -> None:
    """R3.1, R3.3"""
    first = created(storage)
    assert storage.jobs.active() == first
    storage.jobs.update(first.id, lambda job: job.cancel_requested(NOW))
    assert storage.jobs.active() is None
    second = created(storage)
    assert storage.jobs.active() == second


def test_a_stale_job_is_displaced_and_the_new_job_is_stored_in_one_transaction(storage: Storage) -> None:
    """R3.4"""
    later = NOW + timedelta(minutes=11)
    stale = created(storage, JobFactory.build(status=Status.RUNNING, progress=PROGRESS_WITH_ALL_FIELDS, token=4))
    new = storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda job: job.displaced(later)).job
    displaced = storage.jobs.get(stale.id)
    assert displaced is not None
    assert (displaced.status, displaced.ended_at, displaced.token) == (Status.FAILED, later, 5)
    assert displaced.revision == stale.revision + 1
    assert "11 minutes" in displaced.error
    assert displaced.progress.errors == PROGRESS_WITH_ALL_FIELDS.errors
    assert storage.jobs.active() == new


def test_a_job_that_makes_progress_is_not_displaced(storage: Storage) -> None:
    """R3.4"""
    soon = NOW + timedelta(minutes=9)
    moving = created(storage, JobFactory.build(status=Status.RUNNING))
    with pytest.raises(JobConflict):
        storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=lambda job: job.displaced(soon))
    assert storage.jobs.get(moving.id) == moving


def test_a_stale_job_is_not_displaced_if_the_new_job_cannot_be_stored(storage: Storage) -> None:
    """R3.4: both changes are made or neither; here a job with the same id exists already."""
    later = NOW + timedelta(minutes=11)
    ended = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    stale = created(storage, JobFactory.build(status=Status.RUNNING))
    with pytest.raises((StorageUnavailable, JobConflict)):
        storage.jobs.create(
            replace(ended, status=Status.PENDING), PlanFactory.build(), displace=lambda job: job.displaced(later)
        )
    assert storage.jobs.get(stale.id) == stale
    assert storage.jobs.get(ended.id) == ended


def test_an_error_of_displace_changes_nothing(storage: Storage) -> None:
    def broken(_: Job) -> Job:
        raise InvalidJobState("No.")

    active = created(storage)
    new = JobFactory.build()
    with pytest.raises(InvalidJobState):
        storage.jobs.create(new, PlanFactory.build(), displace=broken)
    assert storage.jobs.get(active.id) == active
    assert storage.jobs.get(new.id) is None


def test_concurrent_threads_create_one_job(storage: Storage) -> None:
    """R3.1, R3.3: the storage decides."""
    jobs = [JobFactory.build() for _ in range(6)]

    def attempt(job: Job) -> str:
        try:
            return str(created(storage, job).id)
        except JobConflict as exc:
            return named_job(exc)
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(len(jobs)) as pool:
        named = set(pool.map(attempt, jobs))
    active = storage.jobs.active()
    assert active is not None
    assert named == {str(active.id)}
    assert storage.jobs.page(JobFilter(), limit=10, offset=0).total == 1


# Update


def test_an_update_stores_the_change_increases_the_revision_and_returns_the_stored_job(storage: Storage) -> None:
    """R1.1"""
    job = created(storage)
    stored = storage.jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after
    assert stored.revision == job.revision + 1
    assert stored == replace(job.claimed("host-1", NOW), revision=stored.revision)
    assert storage.jobs.get(job.id) == stored
    again = storage.jobs.update(
        job.id, lambda held: held.recorded(held.token, PROGRESS_WITH_ALL_FIELDS, 1, NOW, is_progress=True)
    ).after
    assert again.revision == job.revision + 2
    assert again.progress == PROGRESS_WITH_ALL_FIELDS
    assert storage.jobs.get(job.id) == again


def test_every_field_except_id_and_revision_can_be_updated(storage: Storage) -> None:
    job = created(storage)
    after = storage.jobs.update(job.id, lambda _: replace(JOB_WITH_ALL_FIELDS, id=job.id)).after
    assert after == replace(JOB_WITH_ALL_FIELDS, id=job.id, revision=after.revision)
    assert storage.jobs.get(job.id) == after


def test_an_error_in_the_change_prevents_the_write_of_job_and_segment(storage: Storage) -> None:
    def refused(_: Job) -> Job:
        raise InvalidJobState("No.")

    job = created(storage)
    first = Segment(0, (OutcomeFactory.build(),))
    storage.jobs.update(job.id, changed(job, segments=1), segment=first)
    before = storage.jobs.get(job.id)
    for number in (0, 1):
        with pytest.raises(InvalidJobState):
            storage.jobs.update(job.id, refused, segment=Segment(number, tuple(OutcomeFactory.build_batch(3))))
    assert storage.jobs.get(job.id) == before
    assert list(storage.ledger.segments(job.id)) == [first]


def test_an_update_of_an_unknown_job_is_refused_and_its_segment_is_not_stored(storage: Storage) -> None:
    unknown = uuid4()
    with pytest.raises(JobNotFound, match=str(unknown)):
        storage.jobs.update(unknown, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
    assert list(storage.ledger.segments(unknown)) == []


def test_concurrent_updates_of_many_threads_are_all_stored(storage: Storage) -> None:
    job = created(storage)

    def add(_: int) -> None:
        try:
            for _round in range(10):
                storage.jobs.update(job.id, lambda job: replace(job, resume_count=job.resume_count + 1))
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.resume_count, after.revision) == (40, 40)


def interleaved(storage: Storage, first: Callable[[Wait], object], second: Callable[[Wait], object]) -> None:
    """Run two writes concurrently. A change that calls its argument waits a moment for the other to do the same.

    If both changes can run at the same time, one write is lost. If they cannot, the first continues after the moment.
    """
    inside = Barrier(2)

    def wait() -> None:
        with suppress(BrokenBarrierError):
            inside.wait(0.3)

    def run(write: Callable[[Wait], object]) -> None:
        try:
            write(wait)
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(run, first), pool.submit(run, second)]:
            running.result(20)


def test_no_change_is_computed_from_a_job_that_a_concurrent_update_replaces(storage: Storage) -> None:
    """R1.1, R3.3"""

    def resume_once_more(wait: Wait) -> None:
        def change(job: Job) -> Job:
            wait()
            return replace(job, resume_count=job.resume_count + 1)

        storage.jobs.update(job.id, change)

    job = created(storage)
    interleaved(storage, resume_once_more, resume_once_more)
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.resume_count, after.revision) == (2, 2)


def test_a_displacement_includes_a_concurrent_update(storage: Storage) -> None:
    """R3.3, R3.4: the update is not lost."""

    def displace(wait: Wait) -> None:
        def make_room(active: Job) -> Job:
            wait()  # until the update begins
            wait()  # until it is done, if the storage admits it
            return active.cancel_requested(NOW)

        storage.jobs.create(JobFactory.build(), PlanFactory.build(), displace=make_room)

    def resume_once_more(wait: Wait) -> None:
        def change(job: Job) -> Job:
            return replace(job, resume_count=job.resume_count + 1)

        wait()
        storage.jobs.update(job.id, change)
        wait()

    job = created(storage)
    interleaved(storage, displace, resume_once_more)
    after = storage.jobs.get(job.id)
    assert after is not None
    assert (after.status, after.resume_count) == (Status.CANCELLED, 1)


# The ledger


def test_segments_are_read_complete_and_in_order(storage: Storage) -> None:
    """R1.1"""
    job = created(storage)
    outcomes = [
        Outcome(ITEM, OutcomeKind.PROCESSED, NOW, attempts=1),
        Outcome(WorkItem(DAY, "all"), OutcomeKind.SKIPPED, NOW + timedelta(microseconds=1), "stored", "", 0),
        Outcome(
            WorkItem(DAY, "F"),
            OutcomeKind.FAILED,
            NOW + timedelta(microseconds=2),
            "HTML_PAGE",
            "A \x00 \u00e9",
            5,
            is_retryable=True,
        ),
    ]
    segments = [Segment(n, (outcome,)) for n, outcome in enumerate(outcomes)] + [Segment(3, tuple(outcomes))]
    for segment in (segments[2], segments[0], segments[3], segments[1]):
        storage.jobs.update(job.id, changed(job, segments=4), segment=segment)
    assert list(storage.ledger.segments(job.id)) == segments


def test_a_full_segment_of_rejected_reports_keeps_all_their_excerpts(storage: Storage) -> None:
    """500 texts of 2 KB that cannot be compressed; the limit for a document of Firestore is 1 MiB."""
    rng = random.Random(7)
    letters = [chr(number) for number in range(33, 127)]
    outcomes = tuple(
        OutcomeFactory.build(kind=OutcomeKind.FAILED, reason="NOT_CSV", excerpt="".join(rng.choices(letters, k=2048)))
        for _ in range(500)
    )
    job = created(storage)
    for count in (499, 500):
        storage.jobs.update(job.id, changed(job, segments=1), segment=Segment(0, outcomes[:count]))
    assert list(storage.ledger.segments(job.id)) == [Segment(0, outcomes)]
    (last,) = storage.ledger.outcomes(job.id, OutcomeFilter(), limit=10, offset=499).rows
    assert last.excerpt == outcomes[-1].excerpt


def test_many_segments_are_read_in_order(storage: Storage) -> None:
    job = created(storage)
    for number in range(45):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    assert [segment.number for segment in storage.ledger.segments(job.id)] == list(range(45))


def test_a_segment_that_is_written_again_is_replaced(storage: Storage) -> None:
    """A write whose answer was lost can be repeated."""
    job = created(storage)
    outcomes = tuple(OutcomeFactory.build_batch(5))
    for count in (1, 3, 3, 5):
        storage.jobs.update(job.id, changed(job, segments=1), segment=Segment(0, outcomes[:count]))
    assert list(storage.ledger.segments(job.id)) == [Segment(0, outcomes)]
    assert storage.ledger.outcomes(job.id, OutcomeFilter(), limit=10, offset=0).total == 5


def test_segments_are_read_one_at_a_time(storage: Storage, backend: Backend) -> None:
    """A later segment that is unreadable has no effect before it is read."""
    job = created(storage)
    for number in range(3):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    backend.damage_segment(job.id, 2)
    reading = storage.ledger.segments(job.id)
    assert [next(reading).number, next(reading).number] == [0, 1]
    with pytest.raises(CorruptRecord, match=f"segment 2 of job {job.id}"):
        next(reading)


def test_a_partly_read_iterator_of_segments_does_not_block_a_write(storage: Storage) -> None:
    job = created(storage)
    for number in range(30):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    reading = storage.ledger.segments(job.id)
    next(reading)
    del reading
    assert storage.jobs.update(job.id, changed(job, segments=30)).after.segments == 30


def test_a_job_can_be_written_while_its_segments_are_read_and_others_write(storage: Storage) -> None:
    """R10.1: a runner that resumes a job renews its lease while it reads the ledger."""

    def write_from_another_thread() -> None:
        storage.control.report_worker(NOW)
        storage.control.disconnect()

    job, read = created(storage), []
    for number in range(30):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    for segment in storage.ledger.segments(job.id):
        read.append(segment.number)
        if segment.number in {5, 25}:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(write_from_another_thread).result()
            assert storage.jobs.update(job.id, changed(job, segments=segment.number)).after.segments == segment.number
    assert read == list(range(30))


PAGES = [(1, 0), (50, 0), (6, 4), (3, 5), (6, 11), (6, 22), (1, 24), (3, 25), (3, 40)]


def test_a_page_of_outcomes_is_a_slice_of_the_ledger(storage: Storage) -> None:
    """R1.1: with and without filters, for many limits and offsets."""
    kinds = list(OutcomeKind)
    outcomes = [
        OutcomeFactory.build(
            item=WorkItem(DAY, ("01", "02", "F")[n % 3]),
            kind=kinds[n * n % 7 % 3],
            reason=("TIMEOUT", "NO_ROWS", "SERVER_ERROR")[n % 3],
        )
        for n in range(25)
    ]
    job = created(storage)
    start = 0
    for number, size in enumerate((5, 1, 0, 12, 7)):
        segment = Segment(number, tuple(outcomes[start : start + size]))
        storage.jobs.update(job.id, lambda job: job, segment=segment)
        start += size
    assert start == len(outcomes)
    filters = [
        OutcomeFilter(district=d, kind=k, codes=frozenset(c))
        for d in (None, "01", "F", "99")
        for k in (None, *kinds)
        for c in ((), ("TIMEOUT",), ("TIMEOUT", "NO_ROWS"))
    ]
    for wanted in filters:
        matching = [outcome for outcome in outcomes if wanted.matches(outcome)]
        for (limit, offset), newest_first in product(PAGES, (False, True)):
            page = storage.ledger.outcomes(job.id, wanted, limit=limit, offset=offset, newest_first=newest_first)
            expected = (matching[::-1] if newest_first else matching)[offset : offset + limit]
            assert (list(page.rows), page.total) == (expected, len(matching)), (wanted, limit, offset, newest_first)


def test_an_unreadable_job_is_shown_as_failed_and_does_not_block_a_new_job(storage: Storage, backend: Backend) -> None:
    job = created(storage)
    backend.damage_job(job.id)
    assert storage.jobs.active() is None
    unreadable = storage.jobs.get(job.id)
    assert unreadable is not None
    assert (unreadable.status, str(job.id) in unreadable.error, "cannot be read" in unreadable.error) == (
        Status.FAILED,
        True,
        True,
    )
    other = created(storage)
    assert {row.id for row in storage.jobs.page(JobFilter(), limit=5, offset=0).rows} == {job.id, other.id}
    active = storage.jobs.active()
    assert active is not None
    assert active.id == other.id


def test_a_new_job_can_be_created_if_the_active_job_is_unreadable(storage: Storage, backend: Backend) -> None:
    job = created(storage)
    backend.damage_job(job.id)
    other = created(storage)
    active = storage.jobs.active()
    assert active is not None
    assert active.id == other.id


def test_the_ledger_of_another_job_is_not_shown(storage: Storage) -> None:
    first = created(storage)
    storage.jobs.update(first.id, lambda job: job.cancel_requested(NOW), segment=Segment(0, (OutcomeFactory.build(),)))
    second = created(storage)
    assert list(storage.ledger.segments(second.id)) == []
    assert storage.ledger.outcomes(second.id, OutcomeFilter(), limit=5, offset=0).total == 0
    assert storage.ledger.outcomes(uuid4(), OutcomeFilter(), limit=5, offset=0).total == 0


@pytest.mark.parametrize("wanted", [OutcomeFilter(), OutcomeFilter(district="01")], ids=["all", "district"])
def test_the_error_for_an_unreadable_segment_on_a_page_names_the_segment(
    storage: Storage, backend: Backend, wanted: OutcomeFilter
) -> None:
    job = created(storage)
    storage.jobs.update(job.id, lambda job: job, segment=Segment(7, (OutcomeFactory.build(),)))
    backend.damage_segment(job.id, 7)
    with pytest.raises(CorruptRecord, match=f"segment 7 of job {job.id}"):
        storage.ledger.outcomes(job.id, wanted, limit=5, offset=0)


def test_the_error_for_an_unreadable_plan_names_its_job(storage: Storage, backend: Backend) -> None:
    job = created(storage)
    backend.damage_plan(job.id)
    with pytest.raises(CorruptRecord, match=f"plan of job {job.id}"):
        storage.jobs.plan(job.id)
    assert storage.jobs.get(job.id) == job


# Lists


def ended_jobs(storage: Storage, count: int) -> list[Job]:
    """Ended jobs, newest first, of alternating type and status."""
    statuses = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    jobs = [
        JobFactory.build(
            created_at=NOW + timedelta(microseconds=n),
            status=statuses[n % 3],
            job_type=list(JobType)[n % 2],
            ended_at=NOW,
        )
        for n in range(count)
    ]
    for job in jobs:
        created(storage, job)
    return jobs[::-1]


def test_a_list_of_jobs_is_newest_first(storage: Storage) -> None:
    """R1.6"""
    jobs = ended_jobs(storage, 7)
    for limit, offset in ((3, 0), (3, 3), (3, 6), (100, 0), (5, 7)):
        page = storage.jobs.page(JobFilter(), limit=limit, offset=offset)
        assert (list(page.rows), page.total) == (jobs[offset : offset + limit], 7)


def test_a_list_of_jobs_can_be_filtered(storage: Storage) -> None:
    """R1.6"""
    jobs = ended_jobs(storage, 7)
    middle = jobs[3].created_at
    filters: list[tuple[JobFilter, Callable[[Job], bool]]] = [
        (JobFilter(statuses=frozenset({Status.FAILED})), lambda job: job.status is Status.FAILED),
        (
            JobFilter(statuses=frozenset({Status.FAILED, Status.CANCELLED})),
            lambda job: job.status is not Status.COMPLETED,
        ),
        (JobFilter(statuses=frozenset({Status.PAUSED})), lambda _: False),
        (
            JobFilter(job_types=frozenset({JobType.ANALYTICS_GENERATION})),
            lambda job: job.job_type is JobType.ANALYTICS_GENERATION,
        ),
        (JobFilter(created_from=middle), lambda job: job.created_at >= middle),
        (JobFilter(created_to=middle), lambda job: job.created_at < middle),
        (
            JobFilter(
                statuses=frozenset({Status.COMPLETED}),
                job_types=frozenset({JobType.DATA_COLLECTION}),
                created_from=middle,
            ),
            lambda job: (
                job.status is Status.COMPLETED and job.job_type is JobType.DATA_COLLECTION and job.created_at >= middle
            ),
        ),
    ]
    for wanted, matches in filters:
        matching = [job for job in jobs if matches(job)]
        assert matching == [job for job in jobs if wanted.matches(job)], wanted
        page = storage.jobs.page(wanted, limit=2, offset=0)
        assert (list(page.rows), page.total) == (matching[:2], len(matching)), wanted
        assert list(storage.jobs.page(wanted, limit=2, offset=2).rows) == matching[2:4], wanted


def test_jobs_of_the_same_instant_have_the_same_order_on_every_page(storage: Storage) -> None:
    """R1.6"""
    for _ in range(9):
        created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    whole = [job.id for job in storage.jobs.page(JobFilter(), limit=100, offset=0).rows]
    by_two = [job.id for n in range(0, 9, 2) for job in storage.jobs.page(JobFilter(), limit=2, offset=n).rows]
    assert by_two == whole
    assert len(set(whole)) == 9


def test_a_list_of_jobs_omits_districts_and_errors(storage: Storage) -> None:
    created(storage, JOB_WITH_ALL_FIELDS)
    listed = storage.jobs.page(JobFilter(), limit=1, offset=0).rows[0]
    assert listed == replace(JOB_WITH_ALL_FIELDS, progress=replace(PROGRESS_WITH_ALL_FIELDS, districts={}, errors=()))


def test_the_newest_job_of_an_idempotency_key_is_found(storage: Storage) -> None:
    def keyed(key: str, hours: int) -> Job:
        return created(
            storage,
            JobFactory.build(
                status=Status.COMPLETED,
                ended_at=NOW,
                created_at=NOW + timedelta(hours=hours),
                idempotency=IdempotencyKey(key=key, fingerprint=f"{key}{hours}"),
                progress=PROGRESS_WITH_ALL_FIELDS,
            ),
        )

    keyed("a", 0)
    newest = keyed("a", 2)
    other = keyed("b", 3)
    created(storage, JobFactory.build(created_at=NOW + timedelta(hours=4)))
    assert storage.jobs.by_idempotency_key("a", NOW) == newest
    assert storage.jobs.by_idempotency_key("a", newest.created_at) == newest
    assert storage.jobs.by_idempotency_key("a", newest.created_at + timedelta(microseconds=1)) is None
    assert storage.jobs.by_idempotency_key("b", NOW) == other
    assert storage.jobs.by_idempotency_key("c", NOW) is None


# Retention


def test_only_jobs_that_ended_before_the_limit_are_deleted_with_plan_and_ledger(storage: Storage) -> None:
    """R1.7"""

    def ended(status: Status, at: datetime) -> Job:
        job = created(storage, JobFactory.build(status=status, ended_at=at))
        storage.jobs.update(job.id, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
        return job

    old = [ended(status, NOW - timedelta(microseconds=1)) for status in sorted(ENDED)]
    kept = [ended(Status.COMPLETED, NOW), ended(Status.FAILED, NOW + timedelta(days=1))]
    assert storage.jobs.delete_finished(NOW) == 3
    for job in old:
        assert storage.jobs.get(job.id) is None
        assert list(storage.ledger.segments(job.id)) == []
        with pytest.raises(JobNotFound):
            storage.jobs.plan(job.id)
    for job in kept:
        assert storage.jobs.get(job.id) == job
        assert len(list(storage.ledger.segments(job.id))) == 1
        assert storage.jobs.plan(job.id) == PlanFactory.build()
    assert storage.jobs.delete_finished(NOW) == 0


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_an_active_job_of_any_age_is_not_deleted(storage: Storage, status: Status) -> None:
    """R1.7"""
    job = created(storage, JobFactory.build(status=status, created_at=NOW - timedelta(days=1000)))
    assert storage.jobs.delete_finished(NOW + timedelta(days=1000)) == 0
    assert storage.jobs.get(job.id) == job


def test_the_deletion_of_a_job_keeps_its_snapshots(storage: Storage) -> None:
    """R1.7"""
    job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    snapshot = SnapshotFactory.build(job_id=job.id)
    storage.snapshots.put(snapshot)
    assert storage.jobs.delete_finished(NOW + timedelta(days=1)) == 1
    assert storage.snapshots.get(snapshot.date, snapshot.district) == snapshot


# Rate limits

CHANGED_LIMITS = StoredLimits(
    limits=RateLimits(
        max_requests_per_minute=7, max_concurrent=1, min_delay_ms=1000, max_delay_ms=2000, backoff_multiplier=1.5
    ),
    updated_at=NOW,
    updated_by="operator",
)


def test_rate_limits_are_the_defaults_until_they_are_set(storage: Storage) -> None:
    """R12.5"""
    assert storage.control.rate_limits() == StoredLimits()
    assert storage.control.update_rate_limits(lambda _: CHANGED_LIMITS).after == CHANGED_LIMITS
    assert storage.control.rate_limits() == CHANGED_LIMITS
    assert (
        storage.control.update_rate_limits(lambda limits: replace(limits, updated_by="another")).after.limits
        == CHANGED_LIMITS.limits
    )
    assert storage.control.rate_limits() == replace(CHANGED_LIMITS, updated_by="another")


def test_rate_limits_are_stored_independently_of_jobs(storage: Storage) -> None:
    """R12.5: a job has its own copy, and its deletion does not change the stored limits."""
    job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    storage.control.update_rate_limits(lambda _: CHANGED_LIMITS)
    assert storage.jobs.get(job.id) == job
    storage.jobs.delete_finished(NOW + timedelta(days=1))
    assert storage.control.rate_limits() == CHANGED_LIMITS


def test_an_error_in_a_change_of_rate_limits_leaves_them_unchanged(storage: Storage) -> None:
    """R12.5"""

    def refused(limits: StoredLimits) -> StoredLimits:
        return replace(limits, limits=limits.limits.changed({"max_concurrent": 0}))

    for before in (StoredLimits(), CHANGED_LIMITS):
        if before != StoredLimits():
            storage.control.update_rate_limits(lambda _: CHANGED_LIMITS)
        with pytest.raises(Exception, match="maxConcurrent"):
            storage.control.update_rate_limits(refused)
        assert storage.control.rate_limits() == before


def test_concurrent_changes_of_rate_limits_are_all_stored(storage: Storage) -> None:
    """R12.5: including the first changes."""

    def raise_delay(wait: Wait) -> None:
        def change(stored: StoredLimits) -> StoredLimits:
            wait()
            return replace(stored, limits=replace(stored.limits, max_delay_ms=stored.limits.max_delay_ms + 1))

        storage.control.update_rate_limits(change)

    for rounds in (1, 2):
        interleaved(storage, raise_delay, raise_delay)
        assert storage.control.rate_limits().limits.max_delay_ms == RateLimits().max_delay_ms + 2 * rounds


# Failures

CALLS: dict[str, Callable[[Storage], object]] = {
    # Before a job is active.
    "snapshots.put_imported": lambda storage: storage.snapshots.put_imported([SnapshotFactory.build()]),
    "jobs.create": created,
    "jobs.update": lambda storage: storage.jobs.update(uuid4(), lambda job: job).after,
    "jobs.get": lambda storage: storage.jobs.get(uuid4()),
    "jobs.active": lambda storage: storage.jobs.active(),
    "jobs.by_idempotency_key": lambda storage: storage.jobs.by_idempotency_key("a", NOW),
    "jobs.page": lambda storage: storage.jobs.page(JobFilter(), limit=1, offset=0),
    "jobs.plan": lambda storage: storage.jobs.plan(uuid4()),
    "ledger.segments": lambda storage: list(storage.ledger.segments(uuid4())),
    "ledger.outcomes": lambda storage: storage.ledger.outcomes(uuid4(), OutcomeFilter(), limit=1, offset=0),
    "jobs.delete_finished": lambda storage: storage.jobs.delete_finished(NOW),
    "jobs.with_webhook_event_due": lambda storage: storage.jobs.with_webhook_event_due(NOW),
    "control.counters": lambda storage: storage.control.counters(),
    "control.rate_limits": lambda storage: storage.control.rate_limits(),
    "control.update_rate_limits": lambda storage: storage.control.update_rate_limits(lambda limits: limits),
    "audit.page": lambda storage: storage.audit.page(None, limit=1, offset=0),
    "audit.add": lambda storage: storage.audit.add([AuditEntryFactory.build()]),
    "audit.delete_before": lambda storage: storage.audit.delete_before(NOW),
    "control.report_worker": lambda storage: storage.control.report_worker(NOW),
    "control.worker_seen_at": lambda storage: storage.control.worker_seen_at(),
    "control.update_schedule": lambda storage: storage.control.update_schedule(lambda schedule: schedule),
    "control.ping": lambda storage: storage.control.ping(),
    "snapshots.put": lambda storage: storage.snapshots.put(SnapshotFactory.build()),
    "snapshots.get": lambda storage: storage.snapshots.get(DAY, "01"),
    "snapshots.get_several": lambda storage: storage.snapshots.get_several(DAY, ["01", "02"]),
    "snapshots.page": lambda storage: storage.snapshots.page(SnapshotFilter(), limit=1, offset=0),
    "snapshots.editions": lambda storage: list(storage.snapshots.editions(DAY, DAY)),
    "calendars.months": lambda storage: storage.calendars.months(DAY, DAY),
    "calendars.save": lambda storage: storage.calendars.save(CalendarMonthFactory.build()),
    "calendars.update_claim": lambda storage: storage.calendars.update_claim(lambda claim: claim),
    "snapshots.metadata": lambda storage: list(storage.snapshots.metadata(DAY, DAY)),
    "snapshots.days": lambda storage: list(storage.snapshots.days(DAY, DAY)),
    "snapshots.span": lambda storage: storage.snapshots.span(),
    "results.put": lambda storage: storage.results.put([ResultFactory.build()]),
    "results.get": lambda storage: storage.results.get(DAY, "01"),
    "results.get_several": lambda storage: storage.results.get_several(DAY, ["01", "02"]),
    "results.metadata": lambda storage: list(storage.results.metadata(DAY, DAY)),
    "results.points": lambda storage: storage.results.points([(DAY, "01")]),
    "results.series": lambda storage: storage.results.series("01", ProgramYear.of(DAY)),
    "results.years": lambda storage: list(storage.results.years("01")),
    "targets.target": lambda storage: storage.targets.target(),
    "targets.update_target": lambda storage: storage.targets.update_target(lambda target: target),
    "targets.keeper": lambda storage: storage.targets.keeper(),
    "targets.update_keeper": lambda storage: storage.targets.update_keeper(lambda state: state),
}

PORTS = (
    JobStorage,
    LedgerStorage,
    AuditStorage,
    ControlStorage,
    SnapshotStorage,
    ResultStorage,
    CalendarStorage,
    TargetStorage,
)
"""In the order of the fields of Storage."""


def test_every_method_of_every_port_is_tested_on_an_unavailable_store() -> None:
    ports = {
        f"{field.name}.{name}"
        for field, port in zip(fields(Storage), PORTS, strict=True)
        for name in port.__abstractmethods__
    }
    assert set(CALLS) == ports - {"control.disconnect"}


def test_no_port_has_more_than_nine_methods() -> None:
    assert all(len(port.__abstractmethods__) <= 9 for port in PORTS)


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_an_unavailable_store_raises_one_error_and_works_again_afterwards(
    storage: Storage,
    backend: Backend,
    call: Callable[[Storage], object],
) -> None:
    """R1.1: every driver error is translated to StorageUnavailable, and no broken connection is used again."""
    storage.control.ping()
    with backend.unavailable():
        for _ in range(2):
            with pytest.raises(StorageUnavailable) as error:
                call(storage)
            assert error.value.__cause__ is not None
            assert error.value.is_retryable
    storage.control.ping()
    assert storage.jobs.active() is None
    job = created(storage)
    assert storage.jobs.active() == job


def test_a_thread_can_disconnect_and_continue(storage: Storage) -> None:
    job = created(storage)
    storage.control.disconnect()
    assert storage.jobs.get(job.id) == job
    storage.control.disconnect()
    storage.control.disconnect()


def test_a_ping_of_an_available_store_changes_nothing(storage: Storage) -> None:
    storage.control.ping()
    assert storage.control.rate_limits() == StoredLimits()
