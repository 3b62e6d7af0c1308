"""A server whose clock another process sets: `gunicorn tests.chaos.clock:application`, or a command under that clock.

The file named by CHAOS_CLOCK contains by how many seconds the wall clock is ahead. The monotonic clock does not jump.

gRPC computes deadlines with Python's clock and compares them with the kernel's. On a real machine both clocks jump;
here the kernel's does not, so that deadlines must use it.
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
    """Keep the wall clock of this process as far ahead as the file says."""
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
