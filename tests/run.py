"""Run every test: `python -m tests.run [--cov] [pytest options]`.

Tests that compute run all the time, one for each core and with a low priority, because the servers of the others have
deadlines. The others run in stages at the same time: tests that measure a pace or a delay (marker `paced`), three at a
time; then tests that mostly wait for other processes (marker `waits`), three for each core, with tests in a browser,
one at a time. Tests that provoke races (marker `alone`) run at the end, one at a time. More at a time would let servers
miss the deadlines of the tests on a machine with two cores. The runs share a template database, a Firestore emulator
and a fork server. `--cov` measures the coverage of the tests that compute; the other tests examine processes of their
own, which are not measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests import firestore_emulator, fork_server, shared

ROOT = Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1
FOLDERS = {
    "waits": ("tests/acceptance",),
    "paced": ("tests/acceptance",),
    "alone": ("tests/contract",),
}
"""Where tests with a marker may be: few folders, because each process of a run collects all of them."""

PACED_AT_ONCE = 3
"""Tests that measure a pace use little of a core each, so that three do not disturb each other."""

_COMPUTING = ("tests/unit", "tests/integration", "tests/contract")
_SLOWEST = 10
_LOW_PRIORITY = 5  # niceness


@dataclass(frozen=True)
class Run:
    """One pytest process with its workers."""

    title: str
    folders: tuple[str, ...]
    marked: str
    at_once: int
    distribution: tuple[str, ...] = ("--dist", "load", "--maxschedchunk", "1")
    niceness: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        return "-m", self.marked, "-n", str(self.at_once), *self.distribution


COMPUTING = Run("computing", _COMPUTING, "not alone", CORES, ("--dist", "worksteal"), _LOW_PRIORITY)
STAGES = (
    (Run("paced", FOLDERS["paced"], "paced", PACED_AT_ONCE),),
    (
        Run("waiting", FOLDERS["waits"], "waits and not paced", 3 * CORES),
        Run("browser", ("tests/browser",), "browser", 1),
    ),
)
"""The runs of a stage take place at the same time, and next to the run that computes."""

ALONE = Run("alone", FOLDERS["alone"], "alone", 0, ())
RUNS = (COMPUTING, *(run for stage in STAGES for run in stage), ALONE)


@dataclass(frozen=True)
class Outcome:
    run: Run
    status: int
    seconds: float
    cpu_seconds: float
    tests: tuple[tuple[float, str], ...]
    """Seconds and name of each."""


def main(arguments: Sequence[str]) -> int:
    with_coverage = "--cov" in arguments
    arguments = [argument for argument in arguments if argument != "--cov"]
    # Every process of the run would compile the project again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    shared.folder()
    began = time.monotonic()
    _prepare()
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor() as pool:
        computing = pool.submit(_ran, COMPUTING, arguments, with_coverage=with_coverage)
        for stage in STAGES:
            outcomes += pool.map(lambda run: _ran(run, arguments), stage)
        outcomes.append(computing.result())
    for outcome in outcomes[:-1]:
        print(f"\n{_log_of(outcome.run).read_text(errors='replace')}", flush=True)
    outcomes.append(_ran(ALONE, arguments))
    return _report(outcomes, time.monotonic() - began)


def _prepare() -> None:
    """Do what the processes of all runs would otherwise do at the same time, or with a low priority."""
    collecting = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", *folders], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        for folders in (("tests/unit",), ("tests/integration", "tests/contract", "tests/acceptance", "tests/browser"))
    ]  # pytest compiles the tests
    fork_server.address()
    with suppress(firestore_emulator.EmulatorMissing):  # the tests that need it say so
        firestore_emulator.shared_port()
    for process in collecting:
        process.wait()  # a run of the tests reports what is wrong


def _ran(run: Run, arguments: Sequence[str], *, with_coverage: bool = False) -> Outcome:
    """Run pytest. The output of the runs of the stages goes to a file, so that it is not mixed with other output."""
    coverage = ("--cov", "--cov-report=term") if with_coverage else ("-p", "no:pytest_cov", "-p", "no:schemathesis")
    report = shared.folder() / f"{run.title}.xml"
    options = (*run.options, f"--junitxml={report}", *coverage, *arguments)
    command = [sys.executable, "-m", "pytest", *run.folders, *options]
    print(f"\n{run.title}: {' '.join(command[2:])}", flush=True)
    began = time.monotonic()
    with nullcontext() if run in (COMPUTING, ALONE) else _log_of(run).open("wb") as log:
        process = subprocess.Popen(["nice", "-n", str(run.niceness), *command], cwd=ROOT, stdout=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Outcome(run, process.returncode, time.monotonic() - began, cpu_seconds, _tests_of(report))


def _log_of(run: Run) -> Path:
    return shared.folder() / f"{run.title}.log"


def _tests_of(report: Path) -> tuple[tuple[float, str], ...]:
    if not report.exists():
        return ()
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return tuple((float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}") for case in cases)


def _report(outcomes: Sequence[Outcome], seconds: float) -> int:
    print(f"\nThe {_SLOWEST} slowest tests:")
    for duration, name in sorted((test for outcome in outcomes for test in outcome.tests), reverse=True)[:_SLOWEST]:
        print(f"{duration:7.1f} s  {name}")
    print()
    for outcome in outcomes:
        verdict = "passed" if outcome.status == 0 else f"failed (pytest exited with {outcome.status})"
        print(
            f"{outcome.run.title:<10}{len(outcome.tests):5} tests  {outcome.seconds:6.0f} s  "
            f"{outcome.cpu_seconds:6.0f} s CPU  {verdict}"
        )
    print(
        f"{'total':<10}{sum(len(outcome.tests) for outcome in outcomes):5} tests  {seconds:6.0f} s  "
        f"{sum(outcome.cpu_seconds for outcome in outcomes):6.0f} s CPU"
    )
    return int(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
