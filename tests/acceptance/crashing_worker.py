"""`manage.py backfill work` in a process that is killed when it requests a certain report.

Run `python -m tests.acceptance.crashing_worker PART`, where the name of the report contains PART.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from django.core.management import execute_from_command_line

from backfill.dashboard.client import DashboardClient


def main(part: str) -> None:
    get = DashboardClient._get

    def get_or_crash(self: DashboardClient, path: str, subject: str) -> Any:
        if part in subject:
            os.kill(os.getpid(), signal.SIGKILL)
        return get(self, path, subject)

    DashboardClient._get = get_or_crash  # type: ignore[method-assign]
    execute_from_command_line(["manage.py", "backfill", "work"])


if __name__ == "__main__":
    main(sys.argv[1])
