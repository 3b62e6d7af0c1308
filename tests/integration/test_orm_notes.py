"""Notes in Django's database: rows of the previous version, and a process that is killed within a change."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any
from uuid import uuid4

from django.db import connection

from backfill.domain import AuditEntry, Job, JobFilter, Note, Status
from backfill.storage import Storage
from tests.factories import NOW, AuditEntryFactory, JobFactory
from tests.integration.test_orm_constraints import created, on_both_databases


@on_both_databases
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


@on_both_databases
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
