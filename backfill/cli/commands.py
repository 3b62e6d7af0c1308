"""The verbs of the command line: read the options, call one method of the service, show what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.core.management.base import CommandError

from backfill import bootstrap
from backfill.cli import arguments, formatting, tables
from backfill.cli.arguments import Options
from backfill.cli.copy import run_copy
from backfill.cli.coverage_table import coverage_view
from backfill.cli.export import run_export
from backfill.cli.formatting import COMMAND
from backfill.cli.output import ConsoleOutput
from backfill.cli.stop_signals import StopSignals
from backfill.cli.watch import EXIT_INTERRUPTED, exit_code, failures, follow
from backfill.domain import Job, JobFilter, JobType, Outcome, OutcomeFilter, OutcomeKind, Status, parsed_district
from backfill.serializers import values
from backfill.service.commands import BackfillService, Started


class Commands:
    """Each method is a verb, and returns the exit code."""

    def __init__(self, service: BackfillService, options: Options) -> None:
        self._service, self._options = service, options
        self._console = ConsoleOutput(options)

    def run(self, verb: str) -> int:
        run: Callable[[], int] = getattr(self, verb.replace("-", "_"))
        return run()

    # Beginning.

    def start(self) -> int:
        started = self._service.start(
            arguments.request(self._options),
            by=arguments.actor(self._options),
            idempotency_key=self._options["idempotency_key"] or "",
        )
        return self._begun(started)

    def retry(self) -> int:
        started = self._service.retry(
            arguments.job_id(self._options["job_id"]),
            by=arguments.actor(self._options),
            codes=self._options["code"],
            districts=arguments.districts(self._options["district"]),
        )
        return self._begun(started)

    def preview(self) -> int:
        preview = self._service.preview(arguments.request(self._options))
        if self._console.is_json:
            self._console.json({"preview": values.preview(preview)})
        else:
            self._console.say(*tables.preview_view(preview, self._start_arguments()))
        return 0

    def _start_arguments(self) -> Sequence[str]:
        """The arguments with which `start` plans the same."""
        options = self._options
        given = [
            ("--type", options["type"]),
            ("--from", options["from"]),
            ("--to", options["to"]),
            *(("--district", district) for district in options["district"]),
            ("--cadence", options["cadence"]),
        ]
        words = [word for flag, value in given if value is not None for word in (flag, value)]
        return [*words, "--no-skip-existing"] if options["no_skip_existing"] else words

    def _begun(self, started: Started) -> int:
        job = started.job
        if not started.is_new:
            self._console.note(f"This Idempotency-Key has started job {job.id} before; no other one was started.")
        if self._options["wait"]:
            return self._followed(job)
        if self._console.is_json:
            self._show(job)
        else:
            self._console.say(
                f"Job {job.id} is {job.status}: {formatting.count(job.progress.total_items, 'item')}.",
                f"A worker picks it up: a server's, or the one of {COMMAND} work",
                f"Watch it with: {COMMAND} status",
            )
        return 0

    def _followed(self, job: Job) -> int:
        console = self._console
        console.watching.print(
            f"Job {job.id}: Ctrl-C stops watching and leaves the job to any other worker.", soft_wrap=True
        )
        ended = follow(self._service, console, job, is_verbose=self._options["verbosity"] > 1)
        if ended is None:
            return EXIT_INTERRUPTED
        if console.is_json:
            self._show(ended)
        else:
            console.say(*tables.summary_view(ended, failures(self._service, ended), console.out, datetime.now(UTC)))
        return exit_code(ended)

    # Watching.

    def status(self) -> int:
        job = self._wanted() or self._newest()
        if job is None:
            if self._console.is_json:
                self._console.json(None)
            self._console.say("Nothing is running.")
        else:
            if not self._options["job_id"] and not job.status.is_active:
                self._console.say("Nothing is running. The newest job:")
            self._show(job)
        return 0

    def list(self) -> int:
        limit, offset = arguments.page(self._options)
        wanted = JobFilter(
            statuses=arguments.several_of(Status, self._options["status"], "--status"),
            job_types=arguments.several_of(JobType, self._options["type"], "--type"),
        )
        page = self._service.jobs(wanted, limit=limit, offset=offset)
        now = datetime.now(UTC)
        if self._console.is_json:
            self._console.json(values.page("jobs", page, values.listed_job, limit=limit, offset=offset, now=now))
        elif not page.total:
            self._console.say("There are no such jobs.")
        else:
            self._console.say(tables.jobs_table(page.rows, self._console.out, now))
            self._say_which(len(page.rows), offset, page.total, "job")
        return 0

    def items(self) -> int:
        limit, offset = arguments.page(self._options)
        job_id = arguments.job_id(self._options["job_id"])
        district, outcome = self._options["district"], self._options["outcome"]
        wanted = OutcomeFilter(
            district=parsed_district(district) if district is not None else None,
            kind=arguments.one_of(OutcomeKind, outcome, "--outcome") if outcome else None,
        )
        page = self._service.items(job_id, wanted, limit=limit, offset=offset)
        if self._console.is_json:
            self._console.json(
                values.page("items", page, values.item, limit=limit, offset=offset, now=datetime.now(UTC))
            )
        elif not page.total:
            self._console.say(f"Job {job_id} has settled no such items.")
        else:
            self._console.say(tables.items_table(page.rows, self._console.out))
            self._say_which(len(page.rows), offset, page.total, "item")
            self._say_excerpts([outcome for outcome in page.rows if outcome.excerpt])
        return 0

    def _say_excerpts(self, refused: Sequence[Outcome]) -> None:
        if refused and not self._options["excerpts"]:
            items = formatting.count(len(refused), "item")
            self._console.say(f"--excerpts prints how the refused report of {items} begins.")
            return
        for outcome in refused:
            self._console.say(f"\n{outcome.item.key} ({outcome.reason}) begins:")
            self._console.say(tables.excerpt(outcome))

    def audit(self) -> int:
        limit, offset = arguments.page(self._options)
        named = self._options["job_id"]
        page = self._service.audit(arguments.job_id(named) if named else None, limit=limit, offset=offset)
        if self._console.is_json:
            self._console.json(
                values.page("entries", page, values.audit_entry, limit=limit, offset=offset, now=datetime.now(UTC))
            )
        elif not page.total:
            self._console.say("Nobody has done anything yet.")
        else:
            self._console.say(tables.audit_view(page.rows, self._console.out))
            self._say_which(len(page.rows), offset, page.total, "action")
        return 0

    def coverage(self) -> int:
        first, last = arguments.day(self._options["from"], "--from"), arguments.day(self._options["to"], "--to")
        now = datetime.now(UTC)
        districts = arguments.districts(self._options["district"])
        coverage = self._service.history.coverage(first, last, now.date(), districts)
        if self._console.is_json:
            self._console.json({"coverage": values.coverage(coverage), "metadata": values.metadata(now)})
        else:
            self._console.say(*coverage_view(coverage, self._console.out))
        return 0

    def copy(self) -> int:
        return run_copy(self._console, self._options)

    def export(self) -> int:
        return run_export(self._service.history, self._console, self._options)

    def _say_which(self, shown: int, offset: int, total: int, name: str) -> None:
        if shown < total:
            stretch = f"{offset + 1:,} to {offset + shown:,}" if shown else "none"
            self._console.say(f"Shown: {stretch} of {formatting.count(total, name)}; more with --offset and --limit.")

    # Steering.

    def cancel(self) -> int:
        cancelled = self._service.cancel(self._target(), by=arguments.actor(self._options))
        if self._console.is_json:
            self._show(cancelled.job, previousStatus=str(cancelled.previous_status))
        else:
            job = cancelled.job
            follows = "; the items in flight are finished first" if job.status.is_active else ""
            self._console.say(
                f"Job {job.id} is {job.status}{follows}. It was {cancelled.previous_status}, with "
                f"{job.progress.settled_items:,} of {job.progress.total_items:,} items settled."
            )
        return 0

    def pause(self) -> int:
        return self._steered(self._service.pause, "Go on with: {command} resume {job}")

    def resume(self) -> int:
        return self._steered(self._service.resume, "A worker goes on with it. Watch it with: {command} status {job}")

    def _steered(self, steer: Callable[..., Job], follows: str) -> int:
        job = steer(self._target(), by=arguments.actor(self._options))
        if self._console.is_json:
            self._show(job)
        else:
            self._console.say(f"Job {job.id} is {job.status}. {follows.format(command=COMMAND, job=job.id)}")
        return 0

    # Limits, work, housekeeping.

    def rate_limit(self) -> int:
        changes = arguments.limit_changes(self._options)
        if changes:
            stored = self._service.change_rate_limits(changes, by=arguments.actor(self._options))
        else:
            stored = self._service.rate_limits()
        if self._console.is_json:
            self._console.json({"config": values.stored_limits(stored)})
        else:
            self._console.say(*tables.limits_view(stored))
            if changes:
                self._console.say("The next job takes these limits; a running one keeps its own.")
        return 0

    def work(self) -> int:
        with StopSignals() as stop:
            worker = bootstrap.new_worker(self._service)
            worker.start()
            self._console.note("The worker runs. Ctrl-C or SIGTERM stops it; a job it runs is left to the next one.")
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

    # Which job is meant, and how it is shown.

    def _wanted(self) -> Job | None:
        """The job that was named, else the active one."""
        named = self._options["job_id"]
        if named:
            return self._service.job(arguments.job_id(named))
        active = self._service.active()
        return self._service.job(active.id) if active else None  # with its districts and errors

    def _newest(self) -> Job | None:
        rows = self._service.jobs(JobFilter(), limit=1, offset=0).rows
        return self._service.job(rows[0].id) if rows else None

    def _target(self) -> UUID:
        """Of a verb that changes a job: the one that was named, else the active one."""
        named = self._options["job_id"]
        if named:
            return arguments.job_id(named)
        active = self._service.active()
        if active is None:
            raise CommandError("Nothing is running. Name a job, or list them with: manage.py backfill list")
        return active.id

    def _show(self, job: Job, **more: str) -> None:
        now = datetime.now(UTC)
        if self._console.is_json:
            self._console.json({**values.job(job), **more, "metadata": values.metadata(now)})
        else:
            self._console.say(*tables.job_view(job, self._console.out, now))
