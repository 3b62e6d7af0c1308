"""Progress of a command that counts: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

_LINE_EVERY = 4.0
"""Seconds before the first line, and between two lines."""


class CountDisplay:
    def __init__(self, console: Console) -> None:
        self._console = console
        is_live = console.file.isatty() and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if is_live else None
        self._next = time.monotonic() + _LINE_EVERY

    def show(self, sentence: str, done: int, total: int) -> None:
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(Group(Text(sentence), ProgressBar(total=max(total, 1), completed=done)), refresh=True)
        elif time.monotonic() >= self._next and done < total:
            self._next = time.monotonic() + _LINE_EVERY
            self._console.print(sentence, soft_wrap=True)

    def stop(self) -> None:
        """Remove the bar. It is shown again by the next `show`."""
        if self._live is not None and self._live.is_started:
            self._live.stop()
