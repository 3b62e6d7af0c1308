"""`--wait`: run or follow a job to its end, with a worker in this process."""

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

_LOOK_EVERY = 0.5
"""Seconds between two looks at the job."""

_FAILURES_READ = 20_000
"""Failures that are grouped by cause at the end, at most."""


def exit_code(job: Job) -> int:
    """Of a job that ended: 0 completed, 1 failed, 2 completed with failed items, 130 cancelled."""
    if job.status is Status.CANCELLED:
        return EXIT_INTERRUPTED
    if job.status is Status.FAILED:
        return EXIT_FAILED
    return EXIT_FAILED_ITEMS if job.progress.failed else 0


def follow(service: BackfillService, console: ConsoleOutput, job: Job, *, is_verbose: bool) -> Job | None:
    """The ended job; None where this process was asked to stop before, and has said so.

    Whichever worker claims the job first runs it: the one of this process, or a server's. When this process stops,
    its worker gives the lease back, and any other goes on.
    """
    if not job.status.is_active:
        return job
    with StopSignals() as stop, _quiet(is_verbose):
        worker = bootstrap.new_worker(service)
        worker.start()
        try:
            with progress_display(console.watching) as display:
                ended = _watch(service, job.id, display, stop)
        finally:
            worker.stop()
    if ended is not None:
        return ended
    return _as_it_was_left(service, console, job.id)


def failures(service: BackfillService, job: Job) -> list[Outcome]:
    """The failed items, or the first of very many."""
    found: list[Outcome] = []
    while len(found) < min(job.progress.failed, _FAILURES_READ):
        page = service.items(job.id, OutcomeFilter(kind=OutcomeKind.FAILED), limit=1000, offset=len(found))
        if not page.rows:
            break
        found += page.rows
    return found


def _watch(service: BackfillService, job_id: UUID, display: ProgressDisplay, stop: StopSignals) -> Job | None:
    is_answering = True
    while True:
        try:
            job = service.job(job_id)
        except StorageUnavailable as exc:
            if is_answering:
                display.say(f"{exc.message} The job is safe; it is looked for again every {_LOOK_EVERY:g} s.")
            is_answering = False
        else:
            if not is_answering:
                display.say("The job store answers again.")
            is_answering = True
            display.show(job)
            if not job.status.is_active:
                return job
        if stop.wait(_LOOK_EVERY):
            return None


def _as_it_was_left(service: BackfillService, console: ConsoleOutput, job_id: UUID) -> Job | None:
    """The job where it ended while the worker stopped."""
    try:
        job = service.job(job_id)
    except StorageUnavailable as exc:
        console.note(exc.message)
    else:
        if not job.status.is_active:
            return job
    console.note(
        f"Stopped watching; job {job_id} goes on wherever a worker runs. Cancel it with: {COMMAND} cancel {job_id}"
    )
    return None


@contextmanager
def _quiet(is_verbose: bool) -> Iterator[None]:
    """The worker's own log shows troubles only, since the display shows the rest; -v 2 shows all of it."""
    logger = logging.getLogger("backfill")
    before = logger.level
    if not is_verbose:
        logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)
