"""A Dask cluster of real processes: a scheduler and workers, which tests can kill, freeze and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.harness import kill_group
from tests.shared import free_port

ROOT = Path(__file__).resolve().parent.parent


class DaskCluster:
    """A cluster on a free port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self, *, workers: int = 1) -> None:
        """Start the processes and return immediately. Workers wait for their scheduler."""
        self._scheduler = self._spawn(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--dashboard-address", ":0"
        )
        self._workers += [
            self._spawn("dask_worker", self.address, "--nthreads", "1", "--no-dashboard") for _ in range(workers)
        ]

    def kill(self) -> None:
        """Kill all processes."""
        for process in (self._scheduler, *self._workers):
            if process is not None:
                kill_group(process)
        self._scheduler, self._workers = None, []

    def freeze(self) -> None:
        """Stop the scheduler with SIGSTOP. The kernel still accepts connections and data for it."""
        assert self._scheduler is not None
        os.killpg(self._scheduler.pid, signal.SIGSTOP)

    def _spawn(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *options],
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "DASK_TEMPORARY_DIRECTORY": str(self._folder),
                    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
