"""A server, or a command, whose clock another process sets: `gunicorn tests.chaos.clock:application`.

The file named by CHAOS_CLOCK contains the number of seconds by which the wall clock is ahead. The monotonic clock is
not changed.

gRPC computes deadlines with Python's clock and compares them with the kernel's clock. On a real machine both clocks
are the same. Here the kernel's clock is not changed, so deadlines have to use it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from grpc import _channel

_POLL_SECONDS = 0.05


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time_machine.escape_hatch.time.time() + timeout


def follow(path: Path) -> None:
    """Keep the wall clock of this process ahead by the number of seconds in the file."""
    vars(_channel)["_deadline"] = _deadline
    clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    ahead = 0.0

    def check() -> None:
        nonlocal ahead
        wanted = float(path.read_text() or 0)
        if wanted != ahead:
            clock.shift(timedelta(seconds=wanted - ahead))
            ahead = wanted

    def poll() -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            check()

    check()
    threading.Thread(target=poll, name="chaos-clock", daemon=True).start()


follow(Path(os.environ["CHAOS_CLOCK"]))

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[1:]])
else:
    from backfill_site import wsgi

    application = wsgi.application
