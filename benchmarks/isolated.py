"""Run a function in a new process, so that its memory and caches are its own.

`measured("benchmarks.sections.resume:claim", 1000)` starts `python -m benchmarks.isolated`, which uses the database of
the section.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from benchmarks.environment import migrated, sqlite

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Measured:
    value: Any
    """What the function returned, as a JSON value."""
    seconds: float
    """Duration of the call, without the start of the process."""
    peak_mb: float
    """Peak memory of the process, with Python, Django and the modules of the service."""
    increase_mb: float
    """How far the peak is above the memory before the call."""


def measured(function: str, *arguments: Any, has_own_database: bool = False) -> Measured:
    """Call `module:function` with JSON arguments in a new process. Raises CalledProcessError if it fails.

    With `has_own_database` the process uses a new SQLite database instead of that of the section.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.isolated", function, json.dumps(arguments), str(output)]
        subprocess.run([*command, "own"] if has_own_database else command, check=True)
        return Measured(**json.loads(output.read_text()))


def memory_mb() -> float:
    """Return the memory of this process now; on systems without /proc its peak."""
    return _status("VmRSS")


def peak_mb() -> float:
    """Return the peak memory of this process.

    Linux inherits `ru_maxrss` from the process that started this one, so `VmHWM` is read instead.
    """
    return _status("VmHWM")


def _status(name: str) -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def main(name: str, arguments: str, output: str, *own: str) -> None:
    with _own_database() if own else nullcontext():
        django.setup()
        function = _function(name)
        before, began = memory_mb(), time.perf_counter()
        value = function(*json.loads(arguments))
        seconds, peak = time.perf_counter() - began, peak_mb()
    Path(output).write_text(
        json.dumps({"value": value, "seconds": seconds, "peak_mb": peak, "increase_mb": max(peak - before, 0)})
    )


@contextmanager
def _own_database() -> Iterator[None]:
    with sqlite() as url, migrated(url):
        yield


if __name__ == "__main__":
    main(*sys.argv[1:])
