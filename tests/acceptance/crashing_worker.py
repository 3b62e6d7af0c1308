"""`manage.py backfill work` in a process that kills itself at a certain point.

Run `python -m tests.acceptance.crashing_worker --at-report PART` for a kill at the request of a report whose name
contains PART, or `python -m tests.acceptance.crashing_worker --after-results` for a kill after results were stored.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import django
from django.core.management import execute_from_command_line

from backfill.dashboard.client import DashboardClient


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at_report(part: str) -> None:
    get = DashboardClient._get

    def get_or_crash(self: DashboardClient, path: str, subject: str) -> Any:
        if part in subject:
            crash()
        return get(self, path, subject)

    DashboardClient._get = get_or_crash  # type: ignore[method-assign]


def crash_after_results() -> None:
    django.setup()
    from backfill.storage.orm.results import OrmResultStorage

    put = OrmResultStorage.put

    def put_and_crash(self: OrmResultStorage, *args: Any, **kwargs: Any) -> None:
        put(self, *args, **kwargs)
        crash()

    OrmResultStorage.put = put_and_crash  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    match arguments:
        case ["--at-report", part]:
            crash_at_report(part)
        case ["--after-results"]:
            crash_after_results()
        case _:
            sys.exit(__doc__)
    execute_from_command_line(["manage.py", "backfill", "work"])


if __name__ == "__main__":
    main(sys.argv[1:])
