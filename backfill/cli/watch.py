"""`--wait`: watches a job until it ends, with a worker in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from backfill import bootstrap
from backfill.cli.formatting import COMMAND
from backfill.cli.output import ConsoleOutput
from backfill.cli.progress_bar import ProgressDisplay, progress_display
from backfill.cli.stop_signals import StopSignals
from backfill.domain import Job, Outcome, OutcomeFilter, OutcomeKind, Status
from backfill.errors import StorageUnavailable
from backfill.service.commands import BackfillService

EXIT_FAILED = 1
EXIT_FAILED_ITEMS = 2
EXIT_INTERRUPTED = 130

_POLL_SECONDS = 0.5

_MAX_FAILURES = 20_000
"""Maximum number of failures that are read for the summary by cause."""


def exit_code(job: Job) -> int:
    """Return the exit code of an ended job: 0 completed, 1 failed, 2 completed with failed items, 130 cancelled."""
    if job.status is Status.CANCELLED:
        return EXIT_INTERRUPTED
    if job.status is Status.FAILED:
        return EXIT_FAILED
    return EXIT_FAILED_ITEMS if job.progress.failed else 0


def follow(service: BackfillService, console: ConsoleOutput, job: Job, *, is_verbose: bool) -> Job | None:
    """Return the ended job, or None if a signal stopped this process before; a message was printed then.

    The first worker that claims the job runs it: that of this process or another one. When this process stops, its
    worker releases the job.
    """
    if not job.status.is_active:
        return job
    with StopSignals() as stop, _quiet(is_verbose):
        worker = bootstrap.new_worker(service)
        worker.start()
        try:
            with progress_display(console.progress) as display:
                ended = _watch(service, job.id, display, stop)
        finally:
            worker.stop()
    if ended is not None:
        return ended
    return _after_stop(service, console, job.id)


def failures(service: BackfillService, job: Job) -> list[Outcome]:
    """Return at most _MAX_FAILURES failed items."""
    rows: list[Outcome] = []
    while len(rows) < min(job.progress.failed, _MAX_FAILURES):
        page = service.items(job.id, OutcomeFilter(kind=OutcomeKind.FAILED), limit=1000, offset=len(rows))
        if not page.rows:
            break
        rows += page.rows
    return rows


def _watch(service: BackfillService, job_id: UUID, display: ProgressDisplay, stop: StopSignals) -> Job | None:
    is_available = True
    while True:
        try:
            job = service.job(job_id)
        except StorageUnavailable as exc:
            if is_available:
                display.say(f"{exc.message} The job is safe; this command tries again every {_POLL_SECONDS:g} s.")
            is_available = False
        else:
            if not is_available:
                display.say("The job store is available again.")
            is_available = True
            display.show(job)
            if not job.status.is_active:
                return job
        if stop.wait(_POLL_SECONDS):
            return None


def _after_stop(service: BackfillService, console: ConsoleOutput, job_id: UUID) -> Job | None:
    """Return the job if it ended while the worker stopped."""
    try:
        job = service.job(job_id)
    except StorageUnavailable as exc:
        console.note(exc.message)
    else:
        if not job.status.is_active:
            return job
    console.note(
        f"Stopped watching. Any other worker continues job {job_id}. Cancel it with: {COMMAND} cancel {job_id}"
    )
    return None


@contextmanager
def _quiet(is_verbose: bool) -> Iterator[None]:
    """Log warnings and errors of the worker only, unless -v 2 is set; the display shows the progress."""
    logger = logging.getLogger("backfill")
    before = logger.level
    if not is_verbose:
        logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)
