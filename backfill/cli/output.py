"""Where the command line writes: JSON or text for humans on standard output, notes on standard error."""

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
"""Columns where there is no terminal that says how many it has."""


class ConsoleOutput:
    """`out` is silent to humans under --json: standard output then carries the JSON and nothing else."""

    def __init__(self, options: Options) -> None:
        self.is_json: bool = options.get("json", False)
        self._file: IO[str] = options.get("stdout") or sys.stdout
        self.out = _console(self._file, options)
        self.err = _console(options.get("stderr") or sys.stderr, options)

    @property
    def watching(self) -> Console:
        """Where progress is shown."""
        return self.err if self.is_json else self.out

    def say(self, *renderables: RenderableType) -> None:
        """For humans; a long line is left to the terminal to wrap, so that a command in it can be copied."""
        if not self.is_json:
            for renderable in renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, str))

    def note(self, sentence: str) -> None:
        """On standard error, also under --json."""
        self.err.print(sentence, soft_wrap=True)

    @contextmanager
    def binary_out(self) -> Iterator[IO[bytes]]:
        """Standard output for bytes."""
        binary = getattr(self._file, "buffer", None)
        if binary is not None:
            yield binary
            binary.flush()
            return
        held = BytesIO()  # a stand-in for standard output that takes text only
        yield held
        self._file.write(held.getvalue().decode())

    def json(self, shape: Any) -> None:
        self._file.write(json.dumps(shape, indent=2, ensure_ascii=False) + "\n")
        self._file.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """As any write does; a Console would end the process here, as if the verb had failed."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _console(file: IO[str], options: Options) -> Console:
    """Without markup, since what is shown holds the words of others."""
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
