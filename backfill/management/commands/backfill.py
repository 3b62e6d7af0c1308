"""`manage.py backfill COMMAND`; see `backfill.cli`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backfill.cli.main import check_output_error, run
from backfill.cli.parser import HELP, add_arguments


class HelpParser(CommandParser):
    """Reports a help text that cannot be written. argparse ignores the error."""

    def _print_message(self, message: str, file: Any = None) -> None:
        out = file or sys.stderr
        if message and out is not None:
            out.write(message)
            out.flush()


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.__class__ = HelpParser  # Django creates the parser; it also creates those of the commands by this class
        add_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except OSError as exc:
            try:
                check_output_error(exc)
            except CommandError as error:
                sys.stderr.write(f"CommandError: {error}\n")
                sys.exit(error.returncode)

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["command"]:
            self.print_help("manage.py", "backfill")
        elif code := run(options):
            sys.exit(code)
