"""Progress of reading the dashboard's calendar: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.core.management.base import CommandError
from rich.console import Console

from backfill.cli import formatting
from backfill.cli.count_display import CountDisplay
from backfill.domain import CalendarAccess, CalendarProgress

_EXIT_INTERRUPTED = 130


class _Display:
    def __init__(self, console: Console) -> None:
        self._count = CountDisplay(console)
        self.progress: CalendarProgress | None = None

    def show(self, progress: CalendarProgress) -> None:
        self.progress = progress
        self._count.show(_sentence(progress), progress.stored, progress.needed)

    def stop(self) -> None:
        self._count.stop()


@contextmanager
def calendar_progress(console: Console) -> Iterator[CalendarAccess]:
    """Yield access to the calendar without a time limit; its progress is shown on `console`.

    Ctrl-C while pages are read raises CommandError; the pages are kept.
    """
    display = _Display(console)
    try:
        yield CalendarAccess(report=display.show)
    except KeyboardInterrupt:
        if (progress := display.progress) is None or progress.is_complete:
            raise
        raise CommandError(
            f"Interrupted. {progress.stored:,} of {formatting.count(progress.needed, 'calendar page')} are stored. No "
            "job was started. Run the command again to continue.",
            returncode=_EXIT_INTERRUPTED,
        ) from None
    finally:
        display.stop()


def _sentence(progress: CalendarProgress) -> str:
    text = f"Reading the dashboard's calendar: {progress.stored:,} of {formatting.count(progress.needed, 'page')}"
    if progress.is_complete:
        return text
    return f"{text}, about {formatting.length(timedelta(seconds=progress.seconds_left))} left"
