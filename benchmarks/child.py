"""`python -m benchmarks.child SECTION OUTPUT SCALE`: runs a section in this process and writes what it measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.environment import environment
from benchmarks.figures import NotAvailable
from benchmarks.registry import section_named


def main(name: str, output: str, scale: str) -> None:
    bench = Bench(section_named(name), float(scale))
    print(f"\n{bench.section.title} ({name})", flush=True)
    try:
        with environment(bench):
            bench.section.run(bench)
    except NotAvailable as exc:
        bench.note(f"Not run: {exc}")
        Path(output).write_text(json.dumps({"not_run": str(exc)}))
        return
    if bench.missing:
        raise AssertionError(f"The section {name!r} did not report: {', '.join(bench.missing)}.")
    Path(output).write_text(json.dumps(bench.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
