"""Output of the commands: JSON or text on standard output, notes on standard error."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO, StringIO
from typing import IO, Any, cast

from rich.console import Console, RenderableType

from backfill.cli.arguments import Options
from backfill.domain.text import escaped

_PIPED_WIDTH = 160
"""Columns of output that is not a terminal."""


class ConsoleOutput:
    """With --json, standard output contains only the JSON document."""

    def __init__(self, options: Options) -> None:
        self.is_json: bool = options.get("json", False)
        self._file: IO[str] = options.get("stdout") or sys.stdout
        self.out = _console(self._file, options)
        # Python has no sys.stderr if it was started with a closed standard error.
        self.err = _console(options.get("stderr") or sys.stderr or StringIO(), options)

    @property
    def progress(self) -> Console:
        return self.err if self.is_json else self.out

    def say(self, *renderables: RenderableType) -> None:
        """Print text unless --json is set. Long lines are not wrapped, so that commands in them can be copied."""
        if not self.is_json:
            for renderable in renderables:
                if isinstance(renderable, str):
                    self.out.print(escaped(renderable), soft_wrap=True)
                else:
                    self.out.print(renderable)

    def note(self, message: str) -> None:
        """Print a message to standard error, also with --json."""
        self.err.print(escaped(message), soft_wrap=True)

    @contextmanager
    def binary_out(self) -> Iterator[IO[bytes]]:
        """Yield standard output as a binary stream for text. A terminal gets control characters as escape sequences."""
        binary = getattr(self._file, "buffer", None)
        if binary is not None:
            yield cast("IO[bytes]", _TerminalStream(binary)) if self._file.isatty() else binary
            binary.flush()
            getattr(binary, "raw", binary).write(b"")  # fails for a full device even if the output is empty
            return
        buffer = BytesIO()  # a replacement of standard output that accepts text only
        yield buffer
        self._file.write(buffer.getvalue().decode())

    def json(self, document: Any) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        # Control characters beyond ASCII are valid in JSON, but could control a terminal.
        self._file.write("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n")
        self._file.flush()


class _TerminalStream(BufferedIOBase):
    """Replaces the control characters in text that other systems wrote, but not line breaks."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._out.write(escaped(bytes(data).decode("utf-8", "replace")).encode())
        return len(data)


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
