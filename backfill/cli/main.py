"""Runs a command of `manage.py backfill` and translates its errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from backfill.cli.arguments import as_command_error
from backfill.errors import BackfillError

_INTERRUPTED = 130

_REPEATABLE = frozenset({"copy", "import"})
"""Commands that continue where they were interrupted."""


def run(options: Mapping[str, Any]) -> int:
    """Return the exit code. Raises CommandError with a message for the operator."""
    command = options["command"]
    if sys.stdout is None and options.get("stdout") is None:
        raise CommandError("Standard output is closed. Redirect it to a file, or to /dev/null.")
    try:
        return _run(command, options)
    except BackfillError as exc:
        raise as_command_error(exc) from exc
    except KeyboardInterrupt:
        advice = (
            "Run the command again to continue." if command in _REPEATABLE else "Check with: manage.py backfill status"
        )
        raise CommandError(f"Interrupted. {advice}", returncode=_INTERRUPTED) from None
    except OSError as exc:
        check_output_error(exc)
        # The reader has closed the pipe, as `| head` does, or the terminal is gone.
        return _INTERRUPTED if command in _REPEATABLE or options.get("wait") else 0


def check_output_error(error: OSError) -> None:
    """Return if the reader of standard output has gone. Raises CommandError if it is full, and any other error."""
    if error.errno not in {errno.EPIPE, errno.ENOSPC, errno.EIO}:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discards the rest of the buffer at exit
    if error.errno == errno.ENOSPC:
        raise CommandError(f"Standard output cannot be written: {error.strerror}.") from error


def _run(command: str, options: Mapping[str, Any]) -> int:
    # Imported here to keep --help fast.
    from backfill import bootstrap
    from backfill.cli.commands import Commands

    try:
        service = bootstrap.backfill_service()
        bootstrap.webhook_dispatcher(service)  # reports invalid settings before a job is started
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    return Commands(service, options).run(command)
