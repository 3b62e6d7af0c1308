"""Progress of reading the dashboard's calendar: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.core.management.base import CommandError
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from backfill.cli import formatting
from backfill.domain import CalendarAccess, CalendarProgress

_LINE_EVERY = 4.0
"""Seconds before the first line, and between two lines."""

_EXIT_INTERRUPTED = 130


class _Display:
    def __init__(self, console: Console) -> None:
        self._console = console
        is_live = console.file.isatty() and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if is_live else None
        self._next = time.monotonic() + _LINE_EVERY
        self.progress: CalendarProgress | None = None

    def show(self, progress: CalendarProgress) -> None:
        self.progress = progress
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            bar = ProgressBar(total=max(progress.needed, 1), completed=progress.stored)
            self._live.update(Group(Text(_sentence(progress)), bar), refresh=True)
        elif time.monotonic() >= self._next and not progress.is_complete:
            self._next = time.monotonic() + _LINE_EVERY
            self._console.print(_sentence(progress), soft_wrap=True)

    def stop(self) -> None:
        if self._live is not None and self._live.is_started:
            self._live.stop()


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
