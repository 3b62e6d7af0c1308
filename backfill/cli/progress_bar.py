"""Progress of a job: a live bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from backfill.cli import formatting
from backfill.domain import Job, Status
from backfill.domain.text import escaped

_LINE_EVERY = 4.0
"""Seconds between two lines."""

_STYLES = {
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "yellow",
    Status.CANCELLING: "yellow",
    Status.PAUSED: "yellow",
    Status.PAUSING: "yellow",
    Status.RUNNING: "cyan",
    Status.PENDING: "dim",
}

logger = logging.getLogger("backfill")


def status_text(status: Status) -> Text:
    return Text(str(status), style=_STYLES[status])


def bar(job: Job, *, is_drawn: bool = True) -> RenderableType:
    """Return bar, percentage, counts, rate and status message; `is_drawn` is False if there is no terminal."""
    progress = job.progress
    lines: list[RenderableType] = [Text(f"Job {job.id} ({job.job_type}) is ") + status_text(job.status)]
    percent = f"{progress.percent:.1f} %"
    if is_drawn:
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(ratio=1)
        line.add_column(justify="right", width=7)
        line.add_row(ProgressBar(total=100, completed=progress.percent), percent)
        lines += [line, Text(formatting.settled(progress))]
    else:
        lines.append(Text(f"{percent}, {formatting.settled(progress)}"))
    if job.status.is_active:
        lines += [Text(formatting.pace(progress)), Text(formatting.status_message(job), style="dim")]
    return Group(*lines)


class ProgressDisplay(ABC):
    """A context manager for the time while a job is watched."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def show(self, job: Job) -> None: ...

    @abstractmethod
    def say(self, message: str) -> None:
        """Print a message that stays on the screen."""


class LiveBar(ProgressDisplay):
    """A bar that is updated in place; log messages of the worker in this process appear above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._log = _LogAbove(console)

    def __enter__(self) -> Self:
        self._handlers = logger.handlers[:]
        logger.handlers = [self._log]
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        logger.handlers = self._handlers

    def show(self, job: Job) -> None:
        self._live.update(bar(job), refresh=True)

    def say(self, message: str) -> None:
        self._console.print(message, soft_wrap=True)


class PlainLines(ProgressDisplay):
    """A line every few seconds and at each change of status, for a pipe or a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._console.file.flush()

    def show(self, job: Job) -> None:
        now = time.monotonic()
        if job.status is self._status and (now < self._next or not job.status.is_active):
            return
        self._status, self._next = job.status, now + _LINE_EVERY
        parts = [f"{job.status} {job.progress.percent:.1f} %", formatting.settled(job.progress)]
        if job.status.is_active:
            parts += [formatting.pace(job.progress), formatting.status_message(job)]
        self.say(" | ".join(parts))

    def say(self, message: str) -> None:
        self._console.print(message, soft_wrap=True)
        self._console.file.flush()


class _LogAbove(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(escaped(self.format(record)), soft_wrap=True)


def progress_display(console: Console) -> ProgressDisplay:
    is_live = console.file.isatty() and not console.is_dumb_terminal
    return LiveBar(console) if is_live else PlainLines(console)
