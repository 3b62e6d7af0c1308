"""Output of the commands: JSON or text on standard output, notes on standard error."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, Any

from rich.console import Console, RenderableType

from backfill.cli.arguments import Options

_PIPED_WIDTH = 160
"""Columns of output that is not a terminal."""


class ConsoleOutput:
    """With --json, standard output contains only the JSON document."""

    def __init__(self, options: Options) -> None:
        self.is_json: bool = options.get("json", False)
        self._file: IO[str] = options.get("stdout") or sys.stdout
        self.out = _console(self._file, options)
        self.err = _console(options.get("stderr") or sys.stderr, options)

    @property
    def progress(self) -> Console:
        return self.err if self.is_json else self.out

    def say(self, *renderables: RenderableType) -> None:
        """Print text unless --json is set. Long lines are not wrapped, so that commands in them can be copied."""
        if not self.is_json:
            for renderable in renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, str))

    def note(self, message: str) -> None:
        """Print a message to standard error, also with --json."""
        self.err.print(message, soft_wrap=True)

    @contextmanager
    def binary_out(self) -> Iterator[IO[bytes]]:
        """Yield standard output as a binary stream."""
        binary = getattr(self._file, "buffer", None)
        if binary is not None:
            yield binary
            binary.flush()
            return
        buffer = BytesIO()  # a replacement of standard output that accepts text only
        yield buffer
        self._file.write(buffer.getvalue().decode())

    def json(self, document: Any) -> None:
        self._file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        self._file.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise an error as other writes do; the base class exits the process with code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _console(file: IO[str], options: Options) -> Console:
    """Return a console without markup, because texts come from other systems."""
    is_terminal = file.isatty()
    width = None if is_terminal or os.environ.get("COLUMNS") else _PIPED_WIDTH
    return _Console(
        file=file,
        width=width,
        force_terminal=is_terminal or options.get("force_color", False),
        no_color=options.get("no_color") or None,
        markup=False,
        emoji=False,
        highlight=False,
    )
