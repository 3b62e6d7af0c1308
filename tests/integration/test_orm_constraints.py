"""Tests of the ORM adapter alone: constraints, queries, and failures of SQLite and PostgreSQL."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from backfill.domain import (
    ACTIVE,
    ENDED,
    Job,
    JobFilter,
    OutcomeFilter,
    OutcomeKind,
    Segment,
    SnapshotFilter,
    Status,
)
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.storage import ADAPTERS, Storage, open_storage
from tests.contract.backends import ORM_BACKENDS, OrmBackend, PostgresBackend, SqliteBackend
from tests.factories import DAY, NOW, JobFactory, OutcomeFactory, PlanFactory, SnapshotFactory

on_both_databases = pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def created(storage: Storage, job: Job | None = None) -> Job:
    return storage.jobs.create(job or JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job


# Constraints of the database


@on_both_databases
@pytest.mark.parametrize("first", sorted(ACTIVE))
def test_a_database_constraint_admits_one_active_job(storage: Storage, first: Status) -> None:
    """R3.1, R3.3: for every pair of statuses."""
    from backfill.models import BackfillJob

    created(storage, JobFactory.build(status=first))
    for status in sorted(ACTIVE):
        row = BackfillJob.objects.get()
        row.pk, row.status = uuid4(), status
        with pytest.raises(IntegrityError):
            row.save(force_insert=True)
    for status in sorted(ENDED):
        row = BackfillJob.objects.get(status=first)
        row.pk, row.status = uuid4(), status
        row.save(force_insert=True)
    assert BackfillJob.objects.count() == 1 + len(ENDED)


@on_postgresql
def test_a_create_is_repeated_if_the_conflicting_job_has_ended_meanwhile(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3.1: another job is created between the check and the insert, and ends before the conflict is reported."""
    from backfill.storage.orm.jobs import OrmJobStorage

    make_room, active = OrmJobStorage._displace_active, OrmJobStorage.active
    first = JobFactory.build()

    def create_another() -> None:
        try:
            created(storage, first)
        finally:
            storage.control.disconnect()

    def make_room_and_create_another(jobs: OrmJobStorage, displace: Any) -> Any:
        monkeypatch.setattr(OrmJobStorage, "_displace_active", make_room)
        room = make_room(jobs, displace)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(create_another).result(10)
        return room

    def active_after_the_end(jobs: OrmJobStorage) -> Job | None:
        jobs.update(first.id, lambda job: job.cancel_requested(NOW))
        return active(jobs)

    monkeypatch.setattr(OrmJobStorage, "_displace_active", make_room_and_create_another)
    monkeypatch.setattr(OrmJobStorage, "active", active_after_the_end)
    job = created(storage)
    monkeypatch.undo()
    assert storage.jobs.active() == job
    assert storage.jobs.page(JobFilter(), limit=5, offset=0).total == 2


@on_both_databases
def test_the_constraint_contains_exactly_the_active_statuses(storage: Storage) -> None:
    """R3.1: a new active status must be added to the constraint."""
    from backfill.models import BackfillJob

    (constraint,) = BackfillJob._meta.constraints
    ((lookup, statuses),) = constraint.condition.children  # type: ignore[attr-defined]
    assert lookup == "status__in"
    assert set(statuses) == ACTIVE
    assert not ACTIVE & ENDED
    assert set(Status) == ACTIVE | ENDED


@on_both_databases
def test_a_database_constraint_admits_each_segment_and_each_snapshot_once(storage: Storage) -> None:
    from backfill.models import Checkpoint, StoredSnapshot

    job = created(storage)
    storage.jobs.update(job.id, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
    storage.snapshots.put(SnapshotFactory.build())
    for row in (Checkpoint.objects.get(), StoredSnapshot.objects.get()):
        row.pk = None
        with pytest.raises(IntegrityError):
            row.save(force_insert=True)


@on_both_databases
def test_the_migrations_match_the_models(storage: Storage) -> None:
    call_command("makemigrations", "backfill", check=True, dry_run=True, verbosity=0)


def test_an_unknown_adapter_is_refused_with_the_names_of_the_adapters() -> None:
    """R1.1"""
    with pytest.raises(ValueError, match=r"'papyrus'.*orm"):
        open_storage("papyrus")
    assert "orm" in ADAPTERS


# Queries


@contextmanager
def captured_statements() -> Iterator[list[str]]:
    """Capture the statements of the block."""
    statements: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements += [query["sql"] for query in captured.captured_queries]


def steps_of(statement: str) -> str:
    """Return SQLite's query plan."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        return " ".join(row[3] for row in cursor.fetchall())


@on_both_databases
def test_lists_do_not_read_plans_details_or_reports(storage: Storage) -> None:
    job = created(storage)
    storage.snapshots.put(SnapshotFactory.build())
    with captured_statements() as statements:
        storage.jobs.page(JobFilter(), limit=5, offset=0)
        storage.jobs.active()
        storage.snapshots.page(SnapshotFilter(), limit=5, offset=0)
        list(storage.snapshots.editions(DAY, DAY))
    assert statements
    for column in ("plan", "detail", "content"):
        assert not [statement for statement in statements if f'"{column}"' in statement]
    with captured_statements() as statements:
        storage.jobs.get(job.id)
        storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))
    assert not [statement for statement in statements if '"plan"' in statement]


@on_both_databases
def test_a_page_of_the_ledger_reads_only_the_segments_that_it_shows(storage: Storage) -> None:
    """A ledger of a million outcomes has two thousand segments."""
    job = created(storage)
    for number in range(12):
        outcomes = OutcomeFactory.build_batch(10, kind=OutcomeKind.FAILED if number == 7 else OutcomeKind.PROCESSED)
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, tuple(outcomes)))
    for wanted, offset in ((OutcomeFilter(), 52), (OutcomeFilter(kind=OutcomeKind.FAILED), 2)):
        with captured_statements() as statements:
            page = storage.ledger.outcomes(job.id, wanted, limit=5, offset=offset)
        assert len(page.rows) == 5
        assert len([statement for statement in statements if '"outcomes"' in statement]) == 1


@on_both_databases
def test_a_page_over_many_segments_is_read_with_one_query(storage: Storage) -> None:
    job = created(storage)
    for number in range(12):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, tuple(OutcomeFactory.build_batch(2))))
    with captured_statements() as statements:
        page = storage.ledger.outcomes(job.id, OutcomeFilter(), limit=20, offset=3)
    assert len(page.rows) == 20
    assert len([statement for statement in statements if '"outcomes"' in statement]) == 1


@on_sqlite
def test_the_editions_of_a_range_are_read_from_the_index_alone(storage: Storage) -> None:
    with captured_statements() as statements:
        list(storage.snapshots.editions(DAY, DAY))
    (statement,) = statements
    assert "COVERING INDEX backfill_snapshot_keys" in steps_of(statement)
    assert "TEMP B-TREE" not in steps_of(statement)


@on_sqlite
def test_the_span_of_stored_dates_is_read_from_both_ends_of_an_index(storage: Storage) -> None:
    """The span of half a million snapshots takes less than a millisecond."""
    with captured_statements() as statements:
        storage.snapshots.span()
    (statement,) = statements
    assert statement.count("LIMIT 1") == 2
    assert steps_of(statement).count("COVERING INDEX") == 2
    assert "TEMP B-TREE" not in steps_of(statement)


@on_sqlite
def test_the_newest_jobs_are_found_without_sorting(storage: Storage) -> None:
    """R1.6"""
    with captured_statements() as statements:
        storage.jobs.page(JobFilter(), limit=20, offset=0)
    (listing,) = (statement for statement in statements if "ORDER BY" in statement)
    assert "USING INDEX backfill_job_newest" in steps_of(listing)
    assert "TEMP B-TREE" not in steps_of(listing)


@on_both_databases
def test_jobs_are_deleted_without_reading_their_plans_and_outcomes(storage: Storage) -> None:
    """R1.7"""
    for _ in range(3):
        job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
        storage.jobs.update(job.id, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
    with captured_statements() as statements:
        assert storage.jobs.delete_finished(NOW.replace(year=2030)) == 3
    assert not [s for s in statements if '"plan"' in s or '"outcomes"' in s]


# Damaged columns


@on_both_databases
def test_a_job_can_be_written_after_an_unreadable_segment_and_a_write_of_another_thread(
    storage: Storage, backend: OrmBackend
) -> None:
    """The runner must be able to fail the job. SQLite refuses a write while a query is partly read."""
    job = created(storage)
    for number in range(30):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    backend.damage_segment(job.id, 0)

    def write_from_another_thread() -> None:
        try:
            storage.control.report_worker(NOW)
        finally:
            storage.control.disconnect()

    with pytest.raises(CorruptRecord) as error:  # the exception keeps its traceback, and with it the query, alive
        list(storage.ledger.segments(job.id))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write_from_another_thread).result(10)
    after = storage.jobs.update(job.id, lambda job: replace(job, error=error.value.message)).after
    assert "segment 0" in after.error


@on_both_databases
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("progress", {}),
        ("progress", []),
        ("detail", {"districts": {"01": [1]}, "errors": []}),
        ("config", {"x": 1}),
        ("status", "napping"),
        ("job_type", "gardening"),
    ],
)
def test_an_unreadable_ended_job_is_shown_as_failed_with_the_reason(
    storage: Storage, column: str, value: object
) -> None:
    from backfill.models import BackfillJob

    job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    BackfillJob.objects.update(**{column: value})
    stored = storage.jobs.get(job.id)
    assert stored is not None
    assert (stored.status, stored.error.startswith(f"Job {job.id} cannot be read")) == (Status.FAILED, True)


@on_both_databases
@pytest.mark.parametrize("value", [{"clubperformance": {}}, {"poems": {"rows": 1, "bytes": 1, "hash": ""}}, [], None])
def test_the_error_for_an_unreadable_description_names_the_snapshot(storage: Storage, value: object) -> None:
    from backfill.models import StoredSnapshot

    storage.snapshots.put(SnapshotFactory.build())
    StoredSnapshot.objects.update(reports=value if value is not None else "none")
    with pytest.raises(CorruptRecord, match=f"snapshot {DAY}/01"):
        storage.snapshots.get(DAY, "01")
    with pytest.raises(CorruptRecord, match=f"snapshot {DAY}/01"):
        storage.snapshots.page(SnapshotFilter(), limit=1, offset=0)


# Failures of SQLite


def with_options(backend: SqliteBackend, **options: Any) -> SqliteBackend:
    """Return the same file with other options of the connection."""
    return replace(backend, database={**backend.database, "OPTIONS": {**backend.database["OPTIONS"], **options}})


@on_sqlite
def test_a_new_file_is_opened_in_wal_mode(storage: Storage) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@on_sqlite
def test_a_file_that_another_program_has_locked_is_unavailable_until_it_is_unlocked(
    storage: Storage,
    backend: SqliteBackend,
) -> None:
    job = created(storage)
    with with_options(backend, timeout=0.05).opened() as with_short_timeout:
        with closing(sqlite3.connect(backend.database["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert with_short_timeout.jobs.get(job.id) == job  # readers do not wait
            for write in (
                with_short_timeout.control.ping,
                lambda: with_short_timeout.jobs.update(job.id, lambda job: job).after,
                lambda: with_short_timeout.snapshots.put(SnapshotFactory.build()),
            ):
                with pytest.raises(StorageUnavailable, match="locked"):
                    write()
            other.execute("ROLLBACK")
        with_short_timeout.control.ping()
        assert with_short_timeout.snapshots.put(SnapshotFactory.build())


@on_sqlite
def test_a_read_only_file_can_be_read_and_is_unavailable_for_writes(
    storage: Storage,
    backend: SqliteBackend,
) -> None:
    job = created(storage)
    read_only = with_options(backend, init_command="PRAGMA query_only=ON;")
    with read_only.opened() as stored:
        assert stored.jobs.get(job.id) == job
        for write in (
            stored.control.ping,
            lambda: stored.jobs.update(job.id, lambda job: job.cancel_requested(NOW)).after,
            lambda: stored.control.update_rate_limits(lambda limits: limits),
        ):
            with pytest.raises(StorageUnavailable, match="readonly"):
                write()
    assert storage.jobs.get(job.id) == job


@pytest.fixture
def unclosed_connections() -> Iterator[None]:
    """Collect the connections that Django leaves open if one of their first statements fails.

    Python 3.13 warns about each when it is collected, which would otherwise be during another test.
    """
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed database", ResourceWarning)
        gc.collect()


@on_sqlite
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.usefixtures("unclosed_connections")
def test_a_file_without_tables_or_with_other_content_is_unavailable(
    storage: Storage,
    backend: SqliteBackend,
    tmp_path: Path,
) -> None:
    """This happens without `migrate`, or with a damaged disk."""
    (tmp_path / "broken").write_bytes(b"This is no database." * 500)
    errors = {"empty": "no such table", "broken": "not a database", "missing/file": "unable to open"}
    for name, message in errors.items():
        other = replace(backend, database={**backend.database, "NAME": str(tmp_path / name)})
        with other.opened() as stored:
            for call in (
                stored.control.ping,
                stored.jobs.active,
                lambda: stored.jobs.update(uuid4(), lambda job: job).after,
            ):
                with pytest.raises(StorageUnavailable, match=message):
                    call()


@on_sqlite
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.usefixtures("unclosed_connections")
def test_a_file_with_damaged_pages_raises_an_error(storage: Storage, backend: SqliteBackend, tmp_path: Path) -> None:
    job = created(storage)
    for number in range(30):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, tuple(OutcomeFactory.build_batch(200))))
    connection.close()
    copy = Path(shutil.copy(backend.database["NAME"], tmp_path / "copy"))
    content = bytearray(copy.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    copy.write_bytes(content)
    broken = replace(backend, database={**backend.database, "NAME": str(copy)})
    with broken.opened() as stored, pytest.raises((StorageUnavailable, CorruptRecord)):
        list(stored.ledger.segments(job.id))


# Failures of PostgreSQL


@pytest.fixture
def server(backend: PostgresBackend) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(backend.server, autocommit=True) as server:
        yield server


@on_postgresql
def test_an_ended_connection_causes_one_error_and_the_next_call_opens_another(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    job = created(storage)
    for call in (
        lambda: storage.jobs.get(job.id),
        lambda: storage.jobs.update(job.id, lambda job: job).after,
        lambda: storage.snapshots.put(SnapshotFactory.build()),
        storage.control.ping,
    ):
        backend.end_connections(server)
        with pytest.raises(StorageUnavailable):
            call()
        call()


@on_postgresql
def test_a_connection_that_ends_during_a_change_rolls_it_back(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    def interrupted(job: Job) -> Job:
        backend.end_connections(server)
        return job.cancel_requested(NOW)

    job = created(storage)
    with pytest.raises(StorageUnavailable):
        storage.jobs.update(job.id, interrupted, segment=Segment(0, (OutcomeFactory.build(),)))
    assert storage.jobs.get(job.id) == job
    assert list(storage.ledger.segments(job.id)) == []


@on_postgresql
def test_a_connection_that_ends_while_a_ledger_is_read_causes_one_error(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    job = created(storage)
    for number in range(45):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    reading = storage.ledger.segments(job.id)
    next(reading)
    backend.end_connections(server)
    with pytest.raises(StorageUnavailable):
        list(reading)
    assert len(list(storage.ledger.segments(job.id))) == 45


@on_postgresql
def test_a_ping_detects_a_read_only_server(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    """A standby is read-only, for example after a failed failover."""
    job = created(storage)
    name = sql.Identifier(backend.database["NAME"])
    server.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    try:
        storage.control.disconnect()
        assert storage.jobs.get(job.id) == job
        for write in (
            storage.control.ping,
            lambda: storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW)).after,
        ):
            with pytest.raises(StorageUnavailable, match="read-only"):
                write()
    finally:
        server.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
        storage.control.disconnect()
    storage.control.ping()


@on_both_databases
def test_a_takeover_waits_for_a_write_in_progress(storage: Storage, backend: OrmBackend) -> None:
    """R3.3: a write under a fence commits before the takeover, or it is refused."""
    from backfill.models import BackfillJob
    from backfill.storage import Fence
    from backfill.storage.orm.database import atomic, check_fence

    job = created(storage)
    held = storage.jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after
    later = NOW.replace(hour=12)

    def take_over() -> int:
        try:
            return storage.jobs.update(job.id, lambda job: job.claimed("host-2", later)).after.token
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(1) as pool:
        with atomic():
            check_fence(Fence(job.id, held.token))
            taking = pool.submit(take_over)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.2)
            assert BackfillJob.objects.get().token == held.token
        assert taking.result(timeout=10) == held.token + 1


@on_both_databases
def test_an_update_of_a_deleted_job_is_refused(storage: Storage) -> None:
    """R1.7"""
    job = created(storage, JobFactory.build(status=Status.FAILED, ended_at=NOW))
    storage.jobs.delete_finished(NOW.replace(year=2030))
    with pytest.raises(JobNotFound):
        storage.jobs.update(job.id, lambda job: job)


@on_postgresql
def test_a_process_that_freezes_in_a_transaction_blocks_others_for_a_few_seconds_only(storage: Storage) -> None:
    """R10.1: found by the chaos campaign: a runner froze during a write and blocked takeovers and cancels."""
    from backfill.models import BackfillJob

    job = created(storage)
    is_inside, can_continue = Event(), Event()

    def freeze() -> None:
        try:
            with transaction.atomic():
                BackfillJob.objects.select_for_update().get(pk=job.id)
                is_inside.set()
                can_continue.wait(60)
                BackfillJob.objects.filter(pk=job.id).update(error="written too late")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(freeze)
        assert is_inside.wait(10)
        began = time.monotonic()
        try:
            claimed = storage.jobs.update(job.id, lambda job: job.claimed("runner", NOW)).after
        finally:
            can_continue.set()
        assert time.monotonic() - began < 15
        with pytest.raises(DatabaseError, match="idle-in-transaction"):
            frozen.result(10)
    assert storage.jobs.get(job.id) == claimed
