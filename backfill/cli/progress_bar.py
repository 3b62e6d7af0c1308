"""A job as it goes: a live bar on a terminal, a plain line now and then where there is none."""

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

_LINE_EVERY = 4.0
"""Seconds between two plain lines."""

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
    """Bar, percent, counts, pace, why. The bar takes the whole width, and is drawn on terminals only."""
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
        lines += [Text(formatting.pace(progress)), Text(formatting.why(job), style="dim")]
    return Group(*lines)


class ProgressDisplay(ABC):
    """Entered while a job is watched."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def show(self, job: Job) -> None: ...

    @abstractmethod
    def say(self, sentence: str) -> None:
        """Something that happened, and stays to be read."""


class LiveBar(ProgressDisplay):
    """Redrawn in place; what the worker of this process has to say appears above it."""

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

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)


class PlainLines(ProgressDisplay):
    """For a pipe or a log file: a line every few seconds, and whenever the status changes."""

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
            parts += [formatting.pace(job.progress), formatting.why(job)]
        self.say(" | ".join(parts))

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)
        self._console.file.flush()


class _LogAbove(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), soft_wrap=True)


def progress_display(console: Console) -> ProgressDisplay:
    """The one that suits where it is shown."""
    is_live = console.file.isatty() and not console.is_dumb_terminal
    return LiveBar(console) if is_live else PlainLines(console)
