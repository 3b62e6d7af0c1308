"""A server whose clock another process sets: `gunicorn tests.chaos.clock:application`, or a command under that clock.

The file that CHAOS_CLOCK names holds by how many seconds the clock is ahead. It is the wall clock that jumps; the
monotonic one goes on, as it does on a real machine.

gRPC computes deadlines by Python's clock for its core, which sees the kernel's. On a real machine both jump together;
here the kernel's does not, so that deadlines are made by it.
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

_LOOK_EVERY = 0.05


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time_machine.escape_hatch.time.time() + timeout


def follow(path: Path) -> None:
    """Keep this process's wall clock as the file says, from now on."""
    vars(_channel)["_deadline"] = _deadline
    clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    ahead = 0.0

    def look() -> None:
        nonlocal ahead
        wanted = float(path.read_text() or 0)
        if wanted != ahead:
            clock.shift(timedelta(seconds=wanted - ahead))
            ahead = wanted

    def keep_looking() -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            look()

    look()
    threading.Thread(target=keep_looking, name="chaos-clock", daemon=True).start()


follow(Path(os.environ["CHAOS_CLOCK"]))

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[1:]])
else:
    from backfill_site import wsgi

    application = wsgi.application
