"""The file benchmarks/results.json: what `make bench` measured, and where."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Better, Figure, Section

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of results.json with its declaration."""

    figure: Figure
    value: float

    @property
    def text(self) -> str:
        return self.figure.text(self.value)


def read(path: Path = RESULTS) -> Json:
    """Return the content of the file; without the file a content without sections."""
    if not path.exists():
        return {"sections": {}}
    content: Json = json.loads(path.read_text())
    return content


def write(content: Json, path: Path = RESULTS) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def with_section(content: Json, section: Section, measured: Json, run: Json) -> Json:
    """Return the content with what a section measured.

    `measured` is the JSON of a `Bench`, or `{"not_run": reason}`: then the former figures stay, with their date.
    `run` contains the date, the commit, the duration and the machine.
    """
    former = content["sections"].get(section.name, {})
    if "not_run" in measured:
        new = {**former, "title": section.title, "not_run": {"date": run["date"], "reason": measured["not_run"]}}
    else:
        new = {
            "title": section.title,
            "date": run["date"],
            "commit": run["commit"],
            "seconds": run["seconds"],
            "machine": run["machine"],
            "stores": measured["stores"],
            "figures": {
                figure.name: _described(figure, measured["figures"][figure.name]) for figure in section.figures
            },
        }
        if measured.get("series"):
            new["series"] = measured["series"]
    return {**content, "sections": {**content["sections"], section.name: new}}


def in_order(content: Json, sections: Iterable[Section]) -> Json:
    """Return the content with only these sections, in their order."""
    stored = content["sections"]
    return {
        **content,
        "sections": {section.name: stored[section.name] for section in sections if section.name in stored},
    }


def _described(figure: Figure, value: float) -> Json:
    return {
        "title": figure.title,
        "value": value,
        "unit": figure.unit,
        "digits": figure.digits,
        "target": figure.target.limit if figure.target else None,
        "better": figure.direction.value,
        "compared": figure.is_compared,
    }


def values(content: Json, section: str = "") -> dict[str, Value]:
    """Return the figures by `section.name`, of one section or of all."""
    names = [section] if section else content["sections"]
    return {
        f"{stored_in}.{name}": value
        for stored_in in names
        for name, value in _values(content["sections"].get(stored_in, {})).items()
    }


def _values(stored: Json) -> dict[str, Value]:
    """Return the figures of a section by name; without figures if the section never ran."""
    return {
        name: Value(
            Figure(
                name,
                one["title"],
                one["unit"],
                digits=one["digits"],
                better=Better(one["better"]),
                is_compared=one["compared"],
            ),
            one["value"],
        )
        for name, one in stored.get("figures", {}).items()
    }


def machine() -> Json:
    """Describe this machine. Contains neither its name nor a path."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def run_of(seconds: float) -> Json:
    """Return the description of a run that just ended."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "seconds": round(seconds, 1),
        "machine": machine(),
    }


def _commit() -> str:
    """Return the commit of the code; it ends with `+` if the code was changed since. Empty without Git."""
    try:
        head = _git("rev-parse", "--short", "HEAD").strip()
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "requirements.txt")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}+" if changed else head


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],  # noqa: S607 - the Git of the developer
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
