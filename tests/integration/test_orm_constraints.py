"""What is the ORM adapter's own: the constraints, the queries, and how each of the two databases fails."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
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
    AuditEntry,
    Job,
    JobFilter,
    Note,
    OutcomeFilter,
    OutcomeKind,
    Segment,
    SnapshotFilter,
    Status,
)
from backfill.errors import CorruptRecord, JobNotFound, StorageUnavailable
from backfill.storage import ADAPTERS, Storage, open_storage
from tests.contract.backends import ORM_BACKENDS, OrmBackend, PostgresBackend, SqliteBackend
from tests.factories import DAY, NOW, AuditEntryFactory, JobFactory, OutcomeFactory, PlanFactory, SnapshotFactory

on_both = pytest.mark.parametrize("backend", ORM_BACKENDS, indirect=True)
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def created(storage: Storage, job: Job | None = None) -> Job:
    return storage.jobs.create(job or JobFactory.build(), PlanFactory.build(), displace=lambda _: None).job


# Constraints: they hold whatever the code above them does


@on_both
@pytest.mark.parametrize("first", sorted(ACTIVE))
def test_the_database_itself_admits_one_active_job(storage: Storage, first: Status) -> None:
    """R3.1, R3.3: whatever the two statuses are."""
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
def test_where_the_one_who_came_first_has_ended_by_then_there_is_room(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R3.1: another job comes to be between the look for room and the insert, and ends before it is looked for."""
    from backfill.storage.orm.jobs import OrmJobStorage

    make_room, active = OrmJobStorage._make_room, OrmJobStorage.active
    first = JobFactory.build()

    def another_comes() -> None:
        try:
            created(storage, first)
        finally:
            storage.control.disconnect()

    def overtaken(jobs: OrmJobStorage, displace: Any) -> Any:
        monkeypatch.setattr(OrmJobStorage, "_make_room", make_room)
        room = make_room(jobs, displace)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(another_comes).result(10)
        return room

    def ended_by_then(jobs: OrmJobStorage) -> Job | None:
        jobs.update(first.id, lambda job: job.cancel_requested(NOW))
        return active(jobs)

    monkeypatch.setattr(OrmJobStorage, "_make_room", overtaken)
    monkeypatch.setattr(OrmJobStorage, "active", ended_by_then)
    job = created(storage)
    monkeypatch.undo()
    assert storage.jobs.active() == job
    assert storage.jobs.page(JobFilter(), limit=5, offset=0).total == 2


@on_both
def test_a_row_that_the_previous_version_inserts_is_a_job_without_notes(storage: Storage) -> None:
    """The previous version does not name the columns that were added since."""
    from backfill.models import BackfillJob

    job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    added = {"notes", "note_text"}
    columns = ", ".join(str(f.column) for f in BackfillJob._meta.concrete_fields if f.name not in {"id", *added})
    other = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO backfill_backfilljob (id, {columns}) SELECT %s, {columns} FROM backfill_backfilljob",  # noqa: S608
            [other.hex if connection.vendor == "sqlite" else other],
        )
    assert storage.jobs.get(other) == replace(job, id=other)
    assert storage.jobs.page(JobFilter(text=str(other)), limit=1, offset=0).total == 1
    noted = storage.jobs.update(other, lambda job: job.noted(Note(at=NOW, operator="ann", text="later"))).after
    assert storage.jobs.get(other) == noted


@on_both
def test_a_process_that_is_killed_within_a_change_leaves_neither_note_nor_entry(storage: Storage) -> None:
    """The status, the note and the audit entry are one transaction."""
    from backfill.storage.orm import audit as audit_log

    job = created(storage)

    def cancelled(held: Job) -> Job:
        return held.cancel_requested(NOW).noted(Note(at=NOW, operator="ann", text="wrong year"))

    def entry(*_: Job) -> AuditEntry:
        return AuditEntryFactory.build(job_id=job.id)

    storage.control.disconnect()
    pid = os.fork()
    if pid == 0:
        append = audit_log.append

        def append_and_die(entries: Any) -> None:
            append(entries)
            os.kill(os.getpid(), signal.SIGKILL)

        audit_log.append = append_and_die
        try:
            storage.jobs.update(job.id, cancelled, audit=entry)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert (storage.jobs.get(job.id), storage.audit.page(job.id, limit=1, offset=0).total) == (job, 0)
    assert storage.jobs.update(job.id, cancelled, audit=entry).after.note == "wrong year"
    assert storage.audit.page(job.id, limit=1, offset=0).total == 1


@on_both
def test_the_constraint_and_the_rules_speak_of_the_same_statuses(storage: Storage) -> None:
    """R3.1: a status that is added to the rules must be added to the constraint."""
    from backfill.models import BackfillJob

    (constraint,) = BackfillJob._meta.constraints
    ((lookup, statuses),) = constraint.condition.children  # type: ignore[attr-defined]
    assert lookup == "status__in"
    assert set(statuses) == ACTIVE
    assert not ACTIVE & ENDED
    assert set(Status) == ACTIVE | ENDED


@on_both
def test_a_segment_and_a_snapshot_are_stored_once(storage: Storage) -> None:
    from backfill.models import Checkpoint, StoredSnapshot

    job = created(storage)
    storage.jobs.update(job.id, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
    storage.snapshots.put(SnapshotFactory.build())
    for row in (Checkpoint.objects.get(), StoredSnapshot.objects.get()):
        row.pk = None
        with pytest.raises(IntegrityError):
            row.save(force_insert=True)


@on_both
def test_the_migrations_are_those_of_the_models(storage: Storage) -> None:
    call_command("makemigrations", "backfill", check=True, dry_run=True, verbosity=0)


def test_an_unknown_adapter_is_refused_and_the_known_ones_are_named() -> None:
    """R1.1"""
    with pytest.raises(ValueError, match=r"'papyrus'.*orm"):
        open_storage("papyrus")
    assert "orm" in ADAPTERS


# What is asked of the database


@contextmanager
def asked() -> Iterator[list[str]]:
    """The statements that are sent within."""
    statements: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements += [query["sql"] for query in captured.captured_queries]


def steps_of(statement: str) -> str:
    """How SQLite would go about it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        return " ".join(row[3] for row in cursor.fetchall())


@on_both
def test_lists_read_neither_plans_nor_details_nor_reports(storage: Storage) -> None:
    job = created(storage)
    storage.snapshots.put(SnapshotFactory.build())
    with asked() as statements:
        storage.jobs.page(JobFilter(), limit=5, offset=0)
        storage.jobs.active()
        storage.snapshots.page(SnapshotFilter(), limit=5, offset=0)
        list(storage.snapshots.editions(DAY, DAY))
    assert statements
    for column in ("plan", "detail", "content"):
        assert not [statement for statement in statements if f'"{column}"' in statement]
    with asked() as statements:
        storage.jobs.get(job.id)
        storage.jobs.update(job.id, lambda job: job.cancel_requested(NOW))
    assert not [statement for statement in statements if '"plan"' in statement]


@on_both
def test_a_page_of_the_ledger_unpacks_the_segments_that_it_shows(storage: Storage) -> None:
    """A ledger of a million outcomes has two thousand segments."""
    job = created(storage)
    for number in range(12):
        outcomes = OutcomeFactory.build_batch(10, kind=OutcomeKind.FAILED if number == 7 else OutcomeKind.PROCESSED)
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, tuple(outcomes)))
    for wanted, offset in ((OutcomeFilter(), 52), (OutcomeFilter(kind=OutcomeKind.FAILED), 2)):
        with asked() as statements:
            page = storage.ledger.outcomes(job.id, wanted, limit=5, offset=offset)
        assert len(page.rows) == 5
        assert len([statement for statement in statements if '"outcomes"' in statement]) == 1


@on_both
def test_a_page_over_many_segments_is_asked_for_at_once(storage: Storage) -> None:
    job = created(storage)
    for number in range(12):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, tuple(OutcomeFactory.build_batch(2))))
    with asked() as statements:
        page = storage.ledger.outcomes(job.id, OutcomeFilter(), limit=20, offset=3)
    assert len(page.rows) == 20
    assert len([statement for statement in statements if '"outcomes"' in statement]) == 1


@on_sqlite
def test_what_is_stored_of_a_range_is_answered_from_the_index_alone(storage: Storage) -> None:
    with asked() as statements:
        list(storage.snapshots.editions(DAY, DAY))
    (statement,) = statements
    assert "COVERING INDEX backfill_snapshot_keys" in steps_of(statement)
    assert "TEMP B-TREE" not in steps_of(statement)


@on_sqlite
def test_the_span_of_what_is_stored_is_taken_from_the_ends_of_an_index(storage: Storage) -> None:
    """Of half a million snapshots, in less than a millisecond."""
    with asked() as statements:
        storage.snapshots.span()
    (statement,) = statements
    assert statement.count("LIMIT 1") == 2
    assert steps_of(statement).count("COVERING INDEX") == 2
    assert "TEMP B-TREE" not in steps_of(statement)


@on_sqlite
def test_the_newest_jobs_are_found_without_sorting(storage: Storage) -> None:
    """R1.6"""
    with asked() as statements:
        storage.jobs.page(JobFilter(), limit=20, offset=0)
    (listing,) = (statement for statement in statements if "ORDER BY" in statement)
    assert "USING INDEX backfill_job_newest" in steps_of(listing)
    assert "TEMP B-TREE" not in steps_of(listing)


@on_both
def test_jobs_with_their_plans_are_removed_without_being_read(storage: Storage) -> None:
    """R1.7"""
    for _ in range(3):
        job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
        storage.jobs.update(job.id, lambda job: job, segment=Segment(0, (OutcomeFactory.build(),)))
    with asked() as statements:
        assert storage.jobs.delete_finished(NOW.replace(year=2030)) == 3
    assert not [s for s in statements if '"plan"' in s or '"outcomes"' in s]


# Damage of columns that a person may have edited


@on_both
def test_who_meets_a_segment_that_cannot_be_read_can_write_though_another_wrote_meanwhile(
    storage: Storage, backend: OrmBackend
) -> None:
    """So that the job is failed at once. SQLite refuses to write while a query is half read."""
    job = created(storage)
    for number in range(30):
        storage.jobs.update(job.id, lambda job: job, segment=Segment(number, (OutcomeFactory.build(),)))
    backend.damage_segment(job.id, 0)

    def another_writes() -> None:
        try:
            storage.control.report_worker(NOW)
        finally:
            storage.control.disconnect()

    with pytest.raises(CorruptRecord) as met:  # the exception is held, and with it what it came from
        list(storage.ledger.segments(job.id))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(another_writes).result(10)
    after = storage.jobs.update(job.id, lambda job: replace(job, error=met.value.message)).after
    assert "segment 0" in after.error


@on_both
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
def test_an_ended_job_that_cannot_be_read_is_a_failed_one_that_says_so(
    storage: Storage, column: str, value: object
) -> None:
    from backfill.models import BackfillJob

    job = created(storage, JobFactory.build(status=Status.COMPLETED, ended_at=NOW))
    BackfillJob.objects.update(**{column: value})
    shown = storage.jobs.get(job.id)
    assert shown is not None
    assert (shown.status, shown.error.startswith(f"Job {job.id} cannot be read")) == (Status.FAILED, True)


@on_both
@pytest.mark.parametrize("value", [{"clubperformance": {}}, {"poems": {"rows": 1, "bytes": 1, "hash": ""}}, [], None])
def test_a_snapshot_whose_description_cannot_be_read_is_named(storage: Storage, value: object) -> None:
    from backfill.models import StoredSnapshot

    storage.snapshots.put(SnapshotFactory.build())
    StoredSnapshot.objects.update(reports=value if value is not None else "none")
    with pytest.raises(CorruptRecord, match=f"snapshot {DAY}/01"):
        storage.snapshots.get(DAY, "01")
    with pytest.raises(CorruptRecord, match=f"snapshot {DAY}/01"):
        storage.snapshots.page(SnapshotFilter(), limit=1, offset=0)


# How SQLite fails


def with_options(backend: SqliteBackend, **options: Any) -> SqliteBackend:
    """The same file, opened otherwise."""
    return replace(backend, database={**backend.database, "OPTIONS": {**backend.database["OPTIONS"], **options}})


@on_sqlite
def test_a_new_file_is_opened_in_wal_mode(storage: Storage) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@on_sqlite
def test_a_file_that_another_program_holds_locked_is_unavailable_until_it_is_let_go(
    storage: Storage,
    backend: SqliteBackend,
) -> None:
    job = created(storage)
    with with_options(backend, timeout=0.05).opened() as impatient:
        with closing(sqlite3.connect(backend.database["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert impatient.jobs.get(job.id) == job  # readers do not wait
            for write in (
                impatient.control.ping,
                lambda: impatient.jobs.update(job.id, lambda job: job).after,
                lambda: impatient.snapshots.put(SnapshotFactory.build()),
            ):
                with pytest.raises(StorageUnavailable, match="locked"):
                    write()
            other.execute("ROLLBACK")
        impatient.control.ping()
        assert impatient.snapshots.put(SnapshotFactory.build())


@on_sqlite
def test_a_file_that_may_only_be_read_is_read_and_unavailable_for_writing(
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


@on_sqlite
def test_a_file_without_tables_or_that_is_no_database_is_unavailable(
    storage: Storage,
    backend: SqliteBackend,
    tmp_path: Path,
) -> None:
    """As where `migrate` was forgotten, or a disk broke."""
    (tmp_path / "broken").write_bytes(b"This is no database." * 500)
    said = {"empty": "no such table", "broken": "not a database", "missing/file": "unable to open"}
    for name, sentence in said.items():
        other = replace(backend, database={**backend.database, "NAME": str(tmp_path / name)})
        with other.opened() as stored:
            for ask in (
                stored.control.ping,
                stored.jobs.active,
                lambda: stored.jobs.update(uuid4(), lambda job: job).after,
            ):
                with pytest.raises(StorageUnavailable, match=sentence):
                    ask()


@on_sqlite
def test_a_file_that_was_broken_in_the_middle_says_so(storage: Storage, backend: SqliteBackend, tmp_path: Path) -> None:
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


# How PostgreSQL fails


@pytest.fixture
def server(backend: PostgresBackend) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(backend.server, autocommit=True) as server:
        yield server


@on_postgresql
def test_a_connection_that_was_ended_is_one_error_and_the_next_call_has_a_new_one(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    job = created(storage)
    for ask in (
        lambda: storage.jobs.get(job.id),
        lambda: storage.jobs.update(job.id, lambda job: job).after,
        lambda: storage.snapshots.put(SnapshotFactory.build()),
        storage.control.ping,
    ):
        backend.end_connections(server)
        with pytest.raises(StorageUnavailable):
            ask()
        ask()


@on_postgresql
def test_a_connection_that_ends_in_the_middle_of_a_change_leaves_everything_as_it_was(
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
def test_a_connection_that_ends_while_a_ledger_is_read_is_one_error(
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
def test_a_server_that_only_reads_is_noticed_by_a_ping(
    storage: Storage,
    backend: PostgresBackend,
    server: psycopg.Connection[Any],
) -> None:
    """As a standby is, after a failover that went wrong."""
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


@on_both
def test_a_takeover_waits_for_a_write_that_is_under_way(storage: Storage, backend: OrmBackend) -> None:
    """R3.3: a write under a fence commits before the job can be taken over, or is refused; never after."""
    from backfill.models import BackfillJob
    from backfill.storage import Fence
    from backfill.storage.orm.database import check_fence, transacting

    job = created(storage)
    held = storage.jobs.update(job.id, lambda job: job.claimed("host-1", NOW)).after
    later = NOW.replace(hour=12)

    def take_over() -> int:
        try:
            return storage.jobs.update(job.id, lambda job: job.claimed("host-2", later)).after.token
        finally:
            storage.control.disconnect()

    with ThreadPoolExecutor(1) as pool:
        with transacting():
            check_fence(Fence(job.id, held.token))
            taking = pool.submit(take_over)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.2)
            assert BackfillJob.objects.get().token == held.token
        assert taking.result(timeout=10) == held.token + 1


@on_both
def test_an_update_of_a_job_that_was_removed_meanwhile_is_refused(storage: Storage) -> None:
    """R1.7"""
    job = created(storage, JobFactory.build(status=Status.FAILED, ended_at=NOW))
    storage.jobs.delete_finished(NOW.replace(year=2030))
    with pytest.raises(JobNotFound):
        storage.jobs.update(job.id, lambda job: job)


@on_postgresql
def test_a_process_that_freezes_within_a_transaction_holds_nobody_up_for_long(storage: Storage) -> None:
    """R10.1. Found by the campaign: a runner was stopped while it wrote, and nobody could take over or cancel."""
    from backfill.models import BackfillJob

    job = created(storage)
    is_inside, is_over = Event(), Event()

    def freeze() -> None:
        try:
            with transaction.atomic():
                BackfillJob.objects.select_for_update().get(pk=job.id)
                is_inside.set()
                is_over.wait(60)
                BackfillJob.objects.filter(pk=job.id).update(error="from the dead")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(freeze)
        assert is_inside.wait(10)
        began = time.monotonic()
        try:
            claimed = storage.jobs.update(job.id, lambda job: job.claimed("runner", NOW)).after
        finally:
            is_over.set()
        assert time.monotonic() - began < 15
        with pytest.raises(DatabaseError, match="idle-in-transaction"):
            frozen.result(10)
    assert storage.jobs.get(job.id) == claimed
