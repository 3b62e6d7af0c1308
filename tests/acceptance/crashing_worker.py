"""`manage.py backfill work` in a process that is killed, as by the kernel, whenever it asks for a certain report.

Run as `python -m tests.acceptance.crashing_worker PART`, where PART is what the report string contains.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from django.core.management import execute_from_command_line

from backfill.dashboard.client import DashboardClient


def main(part: str) -> None:
    ask = DashboardClient._get

    def ask_or_die(self: DashboardClient, path: str, subject: str) -> Any:
        if part in subject:
            os.kill(os.getpid(), signal.SIGKILL)
        return ask(self, path, subject)

    DashboardClient._get = ask_or_die  # type: ignore[method-assign]
    execute_from_command_line(["manage.py", "backfill", "work"])


if __name__ == "__main__":
    main(sys.argv[1])
