"""`copy`: what is said of it."""

from __future__ import annotations

from django.core.management.base import CommandError

from backfill.cli.arguments import Options
from backfill.cli.output import ConsoleOutput
from backfill.errors import CorruptRecord
from backfill.transfer.copy import copied

EXIT_LEFT_OUT = 2
"""Something could not be copied, and was told and left out."""


def run_copy(console: ConsoleOutput, options: Options) -> int:
    """The exit code."""
    left_out = 0

    def tell(problem: CorruptRecord) -> None:
        console.note(f"Left out: {problem.message}")

    try:
        for each in copied(options["from"], options["to"], tell):
            left_out += each.left_out
            console.say(
                f"{each.kind}: {each.copied:,} copied, {each.there:,} there already, {each.left_out:,} left out"
            )
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    return EXIT_LEFT_OUT if left_out else 0
