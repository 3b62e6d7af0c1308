"""Measures speed and memory, each section in its own process: `make bench`.

Writes benchmarks/results.json, the picture of the growth, and the figures in README.md and docs/. A missed target does
not fail, because machines differ. A figure that does not depend on the speed of the machine fails
`make bench CHECK=1` if it is more than 15 % worse than in benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import pages, plot, results
from benchmarks.comparison import Change, changes, table
from benchmarks.figures import Section
from benchmarks.registry import SECTIONS, section_named

Measure = Callable[[Section], "results.Json | None"]
"""Runs a section. Returns what it measured, or None if it failed."""


@dataclass
class Outcome:
    """What a run measured, and what it has to report."""

    content: results.Json
    """The new content of results.json."""
    rows: list[Change] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


def measured_all(sections: Sequence[Section], before: results.Json, measure: Measure) -> Outcome:
    """Run the sections that mostly wait at the same time, then the others one after the other."""

    def timed(section: Section) -> tuple[results.Json | None, results.Json]:
        began = time.monotonic()
        measured = measure(section)
        return measured, results.run_of(time.monotonic() - began)

    with ThreadPoolExecutor() as pool:
        waiting = {section.name: pool.submit(timed, section) for section in sections if section.is_waiting}
    outcome = Outcome(before)
    for section in sections:
        measured, run = waiting[section.name].result() if section.is_waiting else timed(section)
        if measured is None:
            outcome.failures.append(f"The section {section.name} failed.")
            continue
        outcome.content = results.with_section(outcome.content, section, measured, run)
        if "not_run" in measured:
            outcome.not_run.append(f"{section.name}: {measured['not_run']}")
            continue
        outcome.failures += measured["failures"]
        outcome.rows += changes(results.values(before, section.name), results.values(outcome.content, section.name))
    return outcome


def in_own_process(section: Section, scale: float) -> results.Json | None:
    """Run a section in its own process. Returns what it measured, or None if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.child", section.name, str(output), str(scale)]
        log = subprocess.PIPE if section.is_waiting else None  # its lines would mix with those of the others
        process = subprocess.run(command, cwd=results.ROOT, stdout=log, text=True, check=False)
        print(process.stdout or "", end="", flush=True)
        if process.returncode:
            return None
        measured: results.Json = json.loads(output.read_text())
        return measured


def main() -> int:
    options = _options()
    sections = [section_named(options.section)] if options.section else [s for s in SECTIONS if s.is_in_full_run]
    began = time.monotonic()
    outcome = measured_all(sections, results.read(), lambda section: in_own_process(section, options.scale))
    print(f"\nBefore and after (= is compared by CHECK=1)\n{table(outcome.rows)}")
    print(f"\nMeasured in {time.monotonic() - began:.0f} s.")
    for line in outcome.not_run:
        print(f"Not run: {line}")
    if not options.section:
        outside = ", ".join(section.name for section in SECTIONS if not section.is_in_full_run)
        print(f"Not part of a full run: {outside}. Run one with SECTION=name.")
    failures = outcome.failures
    if options.check:
        failures += [row.sentence for row in outcome.rows if row.is_too_much_worse]
    elif options.scale == 1:
        results.write(results.in_order(outcome.content, SECTIONS))
        plot.update()
        failures += pages.update()
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [section.name for section in SECTIONS]
    parser.add_argument("--section", choices=names, help="run only this section")
    parser.add_argument("--check", action="store_true", help="compare with benchmarks/results.json and do not write it")
    parser.add_argument(
        "--scale", type=float, default=1, help="measure less, to try out a section; benchmarks/results.json stays"
    )
    options = parser.parse_args()
    if not 0 < options.scale <= 1:
        parser.error("--scale must be above 0 and at most 1.")
    if options.check and options.scale != 1:
        parser.error("--check compares complete measurements; leave out --scale.")
    return options


if __name__ == "__main__":
    sys.exit(main())
