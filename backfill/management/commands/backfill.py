"""`manage.py backfill VERB`: the tree of verbs and flags, and what becomes of errors."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backfill.cli.arguments import as_command_error
from backfill.domain import BOUNDS
from backfill.errors import BackfillError

_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Collect the history of the dashboards. Exit codes of --wait: 0 completed, 1 failed, "
        "2 completed with failed items, 130 cancelled or no longer watched."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")

        def verb(name: str, sentence: str, *flags: CommandParser) -> CommandParser:
            return commands.add_parser(name, help=sentence, description=sentence, parents=[_everywhere(), *flags])

        start = verb("start", "Start a job.", _plan(), _json(), _operator(), _wait())
        start.add_argument("--plan-id", metavar="ID", help="of a preview: start exactly that plan, or nothing")
        start.add_argument("--idempotency-key", metavar="KEY", help="the same key within 24 h starts no second job")
        verb("preview", "Show what a start would do, and start nothing.", _plan(), _json())
        verb("status", "Show a job: the active one, else the newest.", _job(is_optional=True), _json())
        listing = verb("list", "List jobs, the newest first.", _json(), _page())
        listing.add_argument("--status", action="append", default=[], help="repeatable, or a list with commas")
        listing.add_argument("--type", action="append", default=[], help="repeatable, or a list with commas")
        items = verb("items", "List how each item of a job was settled.", _job(), _json(), _page())
        items.add_argument("--district", metavar="ID")
        items.add_argument("--outcome", help="processed, failed or skipped")
        items.add_argument("--excerpts", action="store_true", help="print how each refused report begins")
        for name, sentence in (
            ("cancel", "Cancel a job: no new item begins, those in flight are finished."),
            ("pause", "Pause a job."),
            ("resume", "Go on with a paused job."),
        ):
            verb(name, f"{sentence} Without JOB_ID the active one.", _job(is_optional=True), _json(), _operator())
        retry = verb(
            "retry", "Start a job of exactly the failed items of an ended one.", _job(), _json(), _operator(), _wait()
        )
        retry.add_argument("--code", action="append", default=[], help="only failures of this cause; repeatable")
        retry.add_argument("--district", action="append", default=[], metavar="ID", help="repeatable")
        verb(
            "audit",
            "List who did what, the newest first: to a job, or at all.",
            _job(is_optional=True),
            _json(),
            _page(),
        )
        limits = verb("rate-limit", "Show the limits that the next job takes, or change them.", _json(), _operator())
        for name, (low, high) in BOUNDS.items():
            limits.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=f"{low:,} to {high:,}")
        taken = verb("export", "Write snapshots or analytics as CSV, JSON lines or Parquet.")
        taken.add_argument("--what", default="analytics", metavar="WHAT", help="analytics (default) or snapshots")
        taken.add_argument("--format", default="csv", metavar="FORMAT", help="csv (default), jsonl or parquet")
        taken.add_argument("--report", default="clubperformance", metavar="NAME", help="of snapshots: which rows")
        taken.add_argument("--from", metavar="DAY", help="the first snapshot date")
        taken.add_argument("--to", metavar="DAY", help="the last one")
        taken.add_argument("--district", action="append", default=[], metavar="ID", help="repeatable; none means all")
        taken.add_argument("--output", metavar="FILE", help="where to (default: standard output)")
        coverage = verb("coverage", "Show what history is stored, where the gaps are, and what fills them.", _json())
        coverage.add_argument("--from", metavar="DAY", help="the first day; whole months are shown")
        coverage.add_argument("--to", metavar="DAY", help="the last one")
        coverage.add_argument(
            "--district", action="append", default=[], metavar="ID", help="repeatable; none means all"
        )
        copy = verb("copy", "Copy everything from one store to another; to be called again if interrupted.")
        copy.add_argument("--from", metavar="STORE", required=True, help="orm or firestore")
        copy.add_argument("--to", metavar="STORE", required=True, help="orm or firestore")
        verb("work", "Run the worker here until Ctrl-C or SIGTERM.")
        verb(
            "prune",
            "Remove jobs that ended more than BACKFILL_RETENTION_DAYS ago, and audit entries older than "
            "BACKFILL_AUDIT_DAYS.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["verb"]:
            self.print_help("manage.py", "backfill")
            return
        try:
            code = self._run(options)
        except BackfillError as exc:
            raise as_command_error(exc) from exc
        except KeyboardInterrupt:
            is_copy = options["verb"] == "copy"
            then = "It goes on when it is called again." if is_copy else "See what runs with: manage.py backfill status"
            raise CommandError(f"Interrupted. {then}", returncode=_INTERRUPTED) from None
        except OSError as exc:
            if exc.errno not in {errno.EPIPE, errno.ENOSPC}:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in its buffer
            if exc.errno == errno.ENOSPC:
                raise CommandError(f"Standard output cannot be written: {exc.strerror}.") from exc
            # Else who read it has had enough, as with `| head`.
            code = _INTERRUPTED if options["verb"] == "copy" or options.get("wait") else 0
        if code:
            sys.exit(code)

    @staticmethod
    def _run(options: dict[str, Any]) -> int:
        from backfill import bootstrap  # with what it imports, help would be slow
        from backfill.cli.commands import Commands

        try:
            backfill_service = bootstrap.backfill_service()
            bootstrap.webhook_dispatcher(backfill_service)  # a worker needs it, and starts after the job is stored
        except ValueError as exc:  # a setting is none that there is
            raise CommandError(str(exc)) from exc
        return Commands(backfill_service, options).run(options["verb"])


def _flags() -> CommandParser:
    return CommandParser(add_help=False)


def _everywhere() -> CommandParser:
    """Django's own flags, which argparse would take before the verb only."""
    flags = _flags()
    for name in ("--traceback", "--no-color", "--force-color"):
        flags.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for name in ("--settings", "--pythonpath"):
        flags.add_argument(name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    flags.add_argument(
        "-v", "--verbosity", type=int, choices=range(4), default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    return flags


def _plan() -> CommandParser:
    flags = _flags()
    flags.add_argument(
        "--type", default="data-collection", metavar="TYPE", help="data-collection (default) or analytics-generation"
    )
    flags.add_argument("--from", metavar="DAY", help="the first snapshot date, like 2024-01-31")
    flags.add_argument("--to", metavar="DAY", help="the last one")
    flags.add_argument("--district", action="append", default=[], metavar="ID", help="repeatable; none means all")
    flags.add_argument("--cadence", default="daily", metavar="CADENCE", help="daily (default), month-ends or year-ends")
    flags.add_argument("--no-skip-existing", action="store_true", help="fetch what is stored already, too")
    return flags


def _json() -> CommandParser:
    flags = _flags()
    flags.add_argument("--json", action="store_true", help="print what the HTTP interface answers, and nothing else")
    return flags


def _operator() -> CommandParser:
    flags = _flags()
    flags.add_argument("--operator", metavar="NAME", help="who does it (default: your login name)")
    return flags


def _wait() -> CommandParser:
    flags = _flags()
    flags.add_argument("--wait", action="store_true", help="run or follow the job to its end under a progress bar")
    return flags


def _page() -> CommandParser:
    flags = _flags()
    flags.add_argument("--limit", default="20", metavar="N", help="1 to 100 (20)")
    flags.add_argument("--offset", default="0", metavar="N")
    return flags


def _job(*, is_optional: bool = False) -> CommandParser:
    flags = _flags()
    flags.add_argument("job_id", nargs="?" if is_optional else None, metavar="JOB_ID")
    return flags
