"""`manage.py backfill COMMAND`; see `backfill.cli`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backfill.cli.main import run
from backfill.cli.parser import HELP, add_arguments


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["command"]:
            self.print_help("manage.py", "backfill")
        elif code := run(options):
            sys.exit(code)
