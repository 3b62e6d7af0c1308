"""The commands and options of `manage.py backfill`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from django.core.management.base import CommandParser

from backfill.cli.keep import ACTIONS
from backfill.domain import BOUNDS, JobType

HELP = (
    "Collect the history of the dashboards. Exit codes of --wait: 0 completed, 1 failed, "
    "2 completed with failed items, 130 cancelled or interrupted."
)

_REPEATABLE_LIST = "repeatable, or a comma-separated list"
_DISTRICTS = "repeatable; default: all districts"


def add_arguments(parser: CommandParser) -> None:
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, description: str, *options: CommandParser) -> CommandParser:
        return subparsers.add_parser(
            name, help=description, description=description, parents=[_django_options(), *options]
        )

    start = command("start", "Start a job.", _plan(), _json(), _operator(), _note(), _wait())
    start.add_argument("--plan-id", metavar="ID", help="start only if the plan is still the one of this preview")
    start.add_argument("--idempotency-key", metavar="KEY", help="the same key within 24 h starts no second job")
    command("preview", "Show what a start would do. No job is started.", _plan(), _json())
    command("status", "Show a job (default: the active job, otherwise the newest).", _job(is_optional=True), _json())
    jobs = command("list", "List jobs, newest first.", _json(), _page())
    jobs.add_argument("--status", action="append", default=[], help=f"such as running; {_REPEATABLE_LIST}")
    jobs.add_argument("--type", action="append", default=[], help=f"{' or '.join(JobType)}; {_REPEATABLE_LIST}")
    outcomes = "succeeded, completed-with-failures, failed or cancelled"
    jobs.add_argument("--outcome", action="append", default=[], help=f"{outcomes}; {_REPEATABLE_LIST}")
    jobs.add_argument("--created-by", metavar="NAME", default="", help="the operator who started the jobs")
    jobs.add_argument("--search", metavar="TEXT", default="", help="the beginning of the job id, or a part of a note")
    items = command("items", "List the outcomes of the items of a job.", _job(), _json(), _page())
    items.add_argument("--district", metavar="ID", help="only items of this district; all: the summaries")
    items.add_argument("--outcome", help="processed, failed or skipped")
    items.add_argument("--code", action="append", default=[], help=f"only failures with this code; {_REPEATABLE_LIST}")
    items.add_argument("--newest-first", action="store_true", help="list the items that were settled last first")
    items.add_argument("--excerpts", action="store_true", help="print the beginning of each rejected report")
    for name, description, options in (
        ("cancel", "Cancel a job. No new item starts; items in flight finish or are aborted within 5 s.", [_note()]),
        ("pause", "Pause a job.", [_note()]),
        ("resume", "Resume a paused job.", []),
        ("try-now", "End the wait of a job, for example after a long Retry-After: its next request is sent now.", []),
    ):
        text = f"{description} The default is the active job."
        command(name, text, _job(is_optional=True), _json(), _operator(), *options)
    note = command("note", "Add a note to a job, which may have ended.", _job(), _json(), _operator())
    note.add_argument("text", metavar="TEXT", help="one line of at most 500 characters")
    retry = command(
        "retry", "Start a job of the failed items of an ended job.", _job(), _json(), _operator(), _note(), _wait()
    )
    retry.add_argument("--code", action="append", default=[], help="only failures with this code; repeatable")
    retry.add_argument("--district", action="append", default=[], metavar="ID", help="only these districts; repeatable")
    command("audit", "List audit entries, newest first.", _job(is_optional=True), _json(), _page())
    limits = command("rate-limit", "Show or change the rate limits of future jobs.", _json(), _operator())
    for name, (low, high) in BOUNDS.items():
        limits.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=f"{low:,} to {high:,}")
    changes = command("changes", "Show what changed in a district between two stored dates.", _json())
    changes.add_argument("--district", metavar="ID", required=True, help="an id, such as 91 or F")
    changes.add_argument("--from", metavar="DAY", required=True, help="the earlier stored date, like 2024-01-31")
    changes.add_argument("--to", metavar="DAY", required=True, help="the later stored date")
    changes.add_argument("--csv", action="store_true", help="print a row for each club, for spreadsheets")
    coverage = command(
        "coverage", "Show the stored history, its gaps and the commands that fill them.", _range(), _json()
    )
    coverage.add_argument(
        "--read-calendar", action="store_true", help="first read the dashboard's calendar of the unknown months"
    )
    _add_keep(command)
    _add_transfers(command)
    command("work", "Run a worker until Ctrl-C or SIGTERM.")
    command(
        "prune",
        "Remove jobs that ended more than BACKFILL_RETENTION_DAYS ago, and audit entries older than "
        "BACKFILL_AUDIT_DAYS.",
    )


def _add_keep(command: Callable[..., CommandParser]) -> None:
    keep = command(
        "keep",
        "Show, set, switch off or check the coverage target: the history that the service keeps complete.",
        _json(),
        _operator(),
        _note(),
    )
    keep.add_argument("action", nargs="?", choices=ACTIONS, default="show", metavar="ACTION", help=", ".join(ACTIONS))
    keep.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="RULE",
        help='set: "START [CADENCE] [analytics] [districts=91,F]"; START is a date or program-year; repeatable; '
        "replaces all rules",
    )
    keep.add_argument("--daily-at", metavar="HH:MM", help="set: the time of the daily check in BACKFILL_TIME_ZONE")
    keep.add_argument("--monthly-requests", metavar="N", help="set: the most requests in a month, or none")
    keep.add_argument(
        "--preview", action="store_true", help="set: show what the first check would start; store nothing"
    )


def _add_transfers(command: Callable[..., CommandParser]) -> None:
    """Add the commands that read and write files and stores."""
    export = command(
        "export", "Write snapshots or analytics as CSV, JSON lines or Parquet, or all as tables.", _range()
    )
    export.add_argument("--what", metavar="WHAT", help="analytics (default) or snapshots")
    export.add_argument(
        "--format", metavar="FORMAT", help="csv (default), jsonl or parquet; of a dataset parquet (default) or csv"
    )
    export.add_argument(
        "--report",
        metavar="NAME",
        help="the report of the snapshots (default: clubperformance); its cells are written raw",
    )
    export.add_argument(
        "--for-spreadsheets",
        action="store_true",
        help="CSV: write a byte order mark, and an apostrophe before texts that a spreadsheet would evaluate",
    )
    export.add_argument("--output", metavar="FILE", help="default: standard output")
    export.add_argument(
        "--dataset",
        metavar="FOLDER",
        help="write the whole history as typed tables, one file for each table and program year; unchanged files stay",
    )
    imports = command(
        "import",
        "Store exports of the dashboard that were saved elsewhere. Repeat the command if it is interrupted.",
        _json(),
        _operator(),
    )
    imports.add_argument(
        "path", metavar="PATH", nargs="+", help="a folder, CSV file, or zip, tar or gzip archive; names have no meaning"
    )
    imports.add_argument("--dry-run", action="store_true", help="show what would be stored; store nothing")
    backup = command("backup", "Write a SQLite database to a new file. Servers and jobs go on meanwhile.")
    backup.add_argument("file", metavar="FILE", help="must not exist")
    copy = command("copy", "Copy all data from one store to another. Repeat the command if it is interrupted.")
    copy.add_argument("--from", metavar="STORE", required=True, help="orm or firestore")
    copy.add_argument("--to", metavar="STORE", required=True, help="orm or firestore")


def _options() -> CommandParser:
    return CommandParser(add_help=False)


def _django_options() -> CommandParser:
    """Django's own options. Without this, argparse accepts them before the command only."""
    options = _options()
    for name in ("--traceback", "--no-color", "--force-color"):
        options.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for name in ("--settings", "--pythonpath"):
        options.add_argument(name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    options.add_argument(
        "-v", "--verbosity", type=int, choices=range(4), default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    return options


def _range() -> CommandParser:
    options = _options()
    options.add_argument("--from", metavar="DAY", help="the first snapshot date, like 2024-01-31")
    options.add_argument("--to", metavar="DAY", help="the last snapshot date")
    options.add_argument("--district", action="append", default=[], metavar="ID", help=_DISTRICTS)
    return options


def _plan() -> CommandParser:
    options = CommandParser(add_help=False, parents=[_range()])
    default, *others = JobType
    options.add_argument("--type", metavar="TYPE", help=f"{default} (default) or {', '.join(others)}")
    options.add_argument("--cadence", metavar="CADENCE", help="daily (default), month-ends or year-ends")
    options.add_argument(
        "--skip-existing",
        action=argparse.BooleanOptionalAction,
        help="skip stored items (default), or fetch them again",
    )
    options.add_argument(
        "--like", metavar="JOB_ID", help="take the settings of this job, except those that are given as options"
    )
    return options


def _json() -> CommandParser:
    options = _options()
    options.add_argument("--json", action="store_true", help="print the response of the HTTP API only")
    return options


def _operator() -> CommandParser:
    options = _options()
    options.add_argument("--operator", metavar="NAME", help="name for the audit log (default: your login name)")
    return options


def _note() -> CommandParser:
    options = _options()
    options.add_argument("--note", metavar="TEXT", default="", help="one line about why, at most 500 characters")
    return options


def _wait() -> CommandParser:
    options = _options()
    options.add_argument("--wait", action="store_true", help="run the job and show its progress until it ends")
    return options


def _page() -> CommandParser:
    options = _options()
    options.add_argument("--limit", default="20", metavar="N", help="1 to 100 (default: 20)")
    options.add_argument("--offset", default="0", metavar="N", help="how many to leave out (default: 0)")
    options.add_argument("--cursor", default="", metavar="TEXT", help="nextCursor of the page before (see --json)")
    return options


def _job(*, is_optional: bool = False) -> CommandParser:
    options = _options()
    options.add_argument("job_id", nargs="?" if is_optional else None, metavar="JOB_ID")
    return options
