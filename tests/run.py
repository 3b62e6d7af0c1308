"""Run every test: `python -m tests.run [--cov] [pytest options]`.

Three pytest runs follow each other: tests that compute, one for each core; tests that mostly wait, many at a time;
tests that measure a pace or provoke races, one at a time with nothing else running. The markers `waits` and `alone`
say which are which. The runs share a template database and a Firestore emulator. `--cov` measures coverage in the
first run; the other runs test processes of their own, which are not measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests import shared

ROOT = Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1
FOLDERS = {
    "waits": ("tests/acceptance",),
    "alone": ("tests/acceptance", "tests/contract"),
}
"""Where tests with a marker may be: few folders, because each process of a run collects all of them."""

_COMPUTING = ("tests/unit", "tests/integration", "tests/contract", "tests/browser")
_SLOWEST = 10


@dataclass(frozen=True)
class Phase:
    title: str
    folders: tuple[str, ...]
    options: tuple[str, ...]


PHASES = (
    Phase("computing", _COMPUTING, ("-m", "not alone and not waits", "-n", str(CORES), "--dist", "load")),
    Phase(
        "waiting",
        FOLDERS["waits"],
        ("-m", "waits and not alone", "-n", str(3 * CORES), "--dist", "load", "--maxschedchunk", "1"),
    ),
    Phase("alone", FOLDERS["alone"], ("-m", "alone", "-n", "0")),
)


@dataclass(frozen=True)
class Outcome:
    phase: Phase
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
    outcomes = []
    for phase in PHASES:
        is_measured = with_coverage and phase is PHASES[0]
        coverage = ("--cov", "--cov-report=term") if is_measured else ("-p", "no:pytest_cov", "-p", "no:schemathesis")
        outcomes.append(_ran(phase, (*coverage, *arguments)))
    return _report(outcomes)


def _ran(phase: Phase, options: Sequence[str]) -> Outcome:
    report = shared.folder() / f"{phase.title}.xml"
    command = [sys.executable, "-m", "pytest", *phase.folders, *phase.options, f"--junitxml={report}", *options]
    print(f"\n{phase.title}: {' '.join(command[2:])}", flush=True)
    began, used = time.monotonic(), os.times()
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()  # pytest is interrupted too, and stops the servers of its tests
        raise
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    return Outcome(phase, status, time.monotonic() - began, cpu, _tests_of(report))


def _tests_of(report: Path) -> tuple[tuple[float, str], ...]:
    if not report.exists():
        return ()
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return tuple((float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}") for case in cases)


def _report(outcomes: Sequence[Outcome]) -> int:
    print(f"\nThe {_SLOWEST} slowest tests:")
    for seconds, name in sorted((test for outcome in outcomes for test in outcome.tests), reverse=True)[:_SLOWEST]:
        print(f"{seconds:7.1f} s  {name}")
    print()
    for outcome in outcomes:
        verdict = "passed" if outcome.status == 0 else f"failed (pytest exited with {outcome.status})"
        print(
            f"{outcome.phase.title:<10}{len(outcome.tests):5} tests  {outcome.seconds:6.0f} s  "
            f"{outcome.cpu_seconds:6.0f} s CPU  {verdict}"
        )
    print(
        f"{'total':<10}{sum(len(outcome.tests) for outcome in outcomes):5} tests  "
        f"{sum(outcome.seconds for outcome in outcomes):6.0f} s  "
        f"{sum(outcome.cpu_seconds for outcome in outcomes):6.0f} s CPU"
    )
    return int(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
