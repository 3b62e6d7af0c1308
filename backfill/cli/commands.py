"""The commands: each converts its options, calls the service and prints the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from keyword import iskeyword
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from backfill import bootstrap
from backfill.cli import arguments, formatting, tables
from backfill.cli.arguments import Options
from backfill.cli.calendar_progress import calendar_progress
from backfill.cli.changes import run_changes
from backfill.cli.coverage_table import coverage_view
from backfill.cli.dataset import run_dataset
from backfill.cli.formatting import COMMAND
from backfill.cli.imports import run_import
from backfill.cli.keep import run_keep
from backfill.cli.output import ConsoleOutput
from backfill.cli.stop_signals import StopSignals
from backfill.cli.transfer import run_backup, run_copy, run_export
from backfill.cli.watch import EXIT_INTERRUPTED, exit_code, failures, follow
from backfill.domain import (
    Job,
    JobFilter,
    JobOutcome,
    JobRequest,
    JobType,
    Outcome,
    OutcomeFilter,
    OutcomeKind,
    Status,
    parsed_district,
)
from backfill.service.commands import BackfillService
from backfill.service.creation import Started
from backfill.service.pagination import ListPage


class Commands:
    """Each public method but `run` is a command and returns the exit code."""

    def __init__(self, service: BackfillService, options: Options) -> None:
        self._service, self._options = service, options
        self._console = ConsoleOutput(options)

    def run(self, command: str) -> int:
        name = command.replace("-", "_")
        run: Callable[[], int] = getattr(self, f"{name}_" if iskeyword(name) else name)
        return run()

    def start(self) -> int:
        with calendar_progress(self._console.err) as access:
            started = self._service.start(
                self._request(),
                by=arguments.actor(self._options),
                idempotency_key=self._options["idempotency_key"] or "",
                note=self._options["note"],
                access=access,
            )
        return self._report_started(started)

    def retry(self) -> int:
        with calendar_progress(self._console.err) as access:
            started = self._service.retry(
                arguments.job_id(self._options["job_id"]),
                by=arguments.actor(self._options),
                codes=self._options["code"],
                districts=arguments.districts(self._options["district"]),
                note=self._options["note"],
                access=access,
            )
        return self._report_started(started)

    def preview(self) -> int:
        with calendar_progress(self._console.err) as access:
            preview = self._service.preview(self._request(), access)
        if self._console.is_json:
            from backfill.serializers.previews import PreviewSerializer

            self._console.json({"preview": PreviewSerializer.render(preview)})
        else:
            self._console.say(*tables.preview_view(preview))
        return 0

    def _request(self) -> JobRequest:
        like = self._options["like"]
        job = self._service.job(arguments.job_id(like)) if like else None
        return arguments.request(self._options, JobRequest.like(job) if job else None)

    def _report_started(self, started: Started) -> int:
        job = started.job
        if not started.is_new:
            self._console.note(f"This Idempotency-Key has already started job {job.id}; no other job was started.")
        if self._options["wait"]:
            return self._follow(job)
        if self._console.is_json:
            self._show(job)
        else:
            self._console.say(
                f"Job {job.id} is {job.status}: {formatting.count(job.progress.total_items, 'item')}.",
                f"It starts as soon as a worker is free: in a server, or in {COMMAND} work",
                f"Show its progress with: {COMMAND} status",
            )
        return 0

    def _follow(self, job: Job) -> int:
        console = self._console
        console.progress.print(
            f"Job {job.id}: Ctrl-C stops watching; another worker continues the job.", soft_wrap=True
        )
        ended = follow(self._service, console, job, is_verbose=self._options["verbosity"] > 1)
        if ended is None:
            return EXIT_INTERRUPTED
        if console.is_json:
            self._show(ended)
        else:
            console.say(*tables.summary_view(ended, failures(self._service, ended), console.out, datetime.now(UTC)))
        return exit_code(ended)

    def status(self) -> int:
        job = self._named_or_active() or self._newest()
        if job is None:
            if self._console.is_json:
                self._console.json(None)
            self._console.say("No job is running.")
        else:
            if not self._options["job_id"] and not job.status.is_active:
                self._console.say("No job is running. The newest job:")
            self._show(job)
        return 0

    def list(self) -> int:
        pagination = arguments.page(self._options)
        job_filter = JobFilter(
            statuses=arguments.several_of(Status, self._options["status"], "--status"),
            job_types=arguments.several_of(JobType, self._options["type"], "--type"),
            outcomes=arguments.several_of(JobOutcome, self._options["outcome"], "--outcome"),
            created_by=self._options["created_by"],
            text=self._options["search"],
        )
        page = self._service.jobs(job_filter, **pagination)
        now = datetime.now(UTC)
        if self._console.is_json:
            from backfill.serializers.jobs import JobPageSerializer

            self._console.json(JobPageSerializer.render(page))
        elif not page.total:
            self._console.say("No jobs found.")
        else:
            self._console.say(tables.jobs_table(page.rows, self._console.out, now))
            self._say_page(page, "job")
        return 0

    def items(self) -> int:
        pagination = arguments.page(self._options)
        job_id = arguments.job_id(self._options["job_id"])
        district, outcome = self._options["district"], self._options["outcome"]
        outcome_filter = OutcomeFilter(
            district=parsed_district(district) if district is not None else None,
            kind=arguments.one_of(OutcomeKind, outcome, "--outcome") if outcome else None,
            codes=frozenset(code.strip() for text in self._options["code"] for code in text.split(",") if code.strip()),
        )
        newest_first = self._options["newest_first"]
        page = self._service.items(job_id, outcome_filter, newest_first=newest_first, **pagination)
        if self._console.is_json:
            from backfill.serializers.items import ItemPageSerializer

            self._console.json(ItemPageSerializer.render(page))
        elif not page.total:
            self._console.say(f"Job {job_id} has no such outcomes.")
        else:
            self._console.say(tables.items_table(page.rows, self._console.out))
            self._say_page(page, "item")
            self._say_excerpts([outcome for outcome in page.rows if outcome.excerpt])
        return 0

    def _say_excerpts(self, rejected: Sequence[Outcome]) -> None:
        if rejected and not self._options["excerpts"]:
            items = formatting.count(len(rejected), "item")
            self._console.say(f"--excerpts prints the beginning of the rejected report of {items}.")
            return
        for outcome in rejected:
            self._console.say(f"\nBeginning of the report of {outcome.item.key} ({outcome.reason}):")
            self._console.say(tables.excerpt(outcome))

    def audit(self) -> int:
        pagination = arguments.page(self._options)
        named = self._options["job_id"]
        page = self._service.audit(arguments.job_id(named) if named else None, **pagination)
        if self._console.is_json:
            from backfill.serializers.audit import AuditPageSerializer

            self._console.json(AuditPageSerializer.render(page))
        elif not page.total:
            self._console.say("There are no audit entries.")
        else:
            self._console.say(tables.audit_view(page.rows, self._console.out))
            self._say_page(page, "action")
        return 0

    def coverage(self) -> int:
        first, last = arguments.day(self._options["from"], "--from"), arguments.day(self._options["to"], "--to")
        now = datetime.now(UTC)
        districts = arguments.districts(self._options["district"])
        if self._options["read_calendar"]:
            with calendar_progress(self._console.err) as access:
                self._service.read_calendar(first, last, access)
        coverage = self._service.history.coverage(first, last, now.date(), districts)
        if self._console.is_json:
            from backfill.serializers.coverage import CoverageResponseSerializer

            self._console.json(CoverageResponseSerializer.render(coverage))
        else:
            self._console.say(*coverage_view(coverage, self._console.out))
        return 0

    def keep(self) -> int:
        return run_keep(self._service, self._console, self._options)

    def changes(self) -> int:
        return run_changes(self._service.history.changes, self._console, self._options)

    def backup(self) -> int:
        return run_backup(self._console, self._options)

    def copy(self) -> int:
        return run_copy(self._console, self._options)

    def import_(self) -> int:
        return run_import(self._service, self._console, self._options)

    def export(self) -> int:
        if self._options["dataset"] is not None:
            return run_dataset(self._service.history, self._console, self._options)
        return run_export(self._service.history, self._console, self._options)

    def _say_page(self, page: ListPage[Any], name: str) -> None:
        shown, total = len(page.rows), formatting.count(page.total, name)
        if shown == page.total:
            return
        if page.offset is None:
            more = f"more with --cursor {page.next_cursor}" if page.next_cursor else "these are the last"
            self._console.say(f"Shown: {shown:,} of {total}; {more}.")
        else:
            rows = f"{page.offset + 1:,} to {page.offset + shown:,}" if shown else "none"
            self._console.say(f"Shown: {rows} of {total}; more with --offset and --limit.")

    def cancel(self) -> int:
        cancelled = self._service.cancel(
            self._target_id(), by=arguments.actor(self._options), note=self._options["note"]
        )
        if self._console.is_json:
            from backfill.serializers.jobs import CancelledJobSerializer

            self._console.json(CancelledJobSerializer.render(cancelled))
        else:
            job = cancelled.job
            remaining = "; items in flight finish or are aborted within 5 s" if job.status.is_active else ""
            self._console.say(
                f"Job {job.id} is {job.status}{remaining}. It was {cancelled.previous_status}, with "
                f"{job.progress.settled_items:,} of {job.progress.total_items:,} items settled."
            )
        return 0

    def pause(self) -> int:
        pause = partial(self._service.pause, note=self._options["note"])
        return self._change(pause, "Resume it with: {command} resume {job}")

    def note(self) -> int:
        job_id = arguments.job_id(self._options["job_id"])
        job = self._service.add_note(job_id, self._options["text"], by=arguments.actor(self._options))
        if self._console.is_json:
            self._show(job)
        else:
            self._console.say(f"The note was added to job {job.id}.")
        return 0

    def resume(self) -> int:
        return self._change(self._service.resume, "A worker continues it. Show it with: {command} status {job}")

    def try_now(self) -> int:
        return self._change(
            self._service.try_now, "It sends its next request now. Show it with: {command} status {job}"
        )

    def _change(self, change: Callable[..., Job], advice: str) -> int:
        job = change(self._target_id(), by=arguments.actor(self._options))
        if self._console.is_json:
            self._show(job)
        else:
            self._console.say(f"Job {job.id} is {job.status}. {advice.format(command=COMMAND, job=job.id)}")
        return 0

    def rate_limit(self) -> int:
        changes = arguments.limit_changes(self._options)
        if changes:
            stored = self._service.change_rate_limits(changes, by=arguments.actor(self._options))
        else:
            stored = self._service.rate_limits()
        if self._console.is_json:
            from backfill.serializers.rate_limits import StoredRateLimitsSerializer

            self._console.json({"config": StoredRateLimitsSerializer.render(stored)})
        else:
            self._console.say(*tables.limits_view(stored))
            if changes:
                self._console.say("These limits apply to the next job; a running job keeps its own.")
        return 0

    def work(self) -> int:
        with StopSignals() as stop:
            worker = bootstrap.new_worker(self._service)
            worker.start()
            self._console.note("The worker runs. Ctrl-C or SIGTERM stops it; another worker can continue its job.")
            stop.wait()
            worker.stop()
        self._console.note("The worker has stopped.")
        return 0

    def prune(self) -> int:
        removed = self._service.prune()
        days = self._service.config.retention.days
        self._console.say(
            f"{formatting.count(removed, 'job')} that ended more than {days} days ago "
            f"{'was' if removed == 1 else 'were'} removed."
        )
        return 0

    def _named_or_active(self) -> Job | None:
        named = self._options["job_id"]
        if named:
            return self._service.job(arguments.job_id(named))
        active = self._service.active()
        return self._service.job(active.id) if active else None  # active() omits districts and errors

    def _newest(self) -> Job | None:
        rows = self._service.jobs(JobFilter(), limit=1, offset=0).rows
        return self._service.job(rows[0].id) if rows else None

    def _target_id(self) -> UUID:
        """Return the id of the named or active job without loading the job."""
        named = self._options["job_id"]
        if named:
            return arguments.job_id(named)
        active = self._service.active()
        if active is None:
            raise CommandError("No job is running. Name a job, or list jobs with: manage.py backfill list")
        return active.id

    def _show(self, job: Job) -> None:
        if self._console.is_json:
            from backfill.serializers.jobs import JobSerializer

            self._console.json(JobSerializer.render(job))
        else:
            self._console.say(*tables.job_view(job, self._console.out, datetime.now(UTC)))
