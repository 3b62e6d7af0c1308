"""The figures of the report that `make chaos` writes to docs/reliability.md."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"<!-- chaos:.*?-->(?P<report>.*?)<!-- /chaos -->", re.DOTALL)
_COMMAND = re.compile(r"`make chaos [^`]*`")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*(?:\.\d+)?(?: s)?")

ROWS = {
    "scenarios": ("scenarios",),
    "kills": ("kills",),
    "jobs, items, requests": ("jobs", "items", "requests"),
    "items lost, duplicated": ("lost", "duplicated"),
    "items quarantined after three kills in a row": ("quarantined",),
    "jobs stuck": ("stuck",),
    "requests over the limit in any 60 s": ("over-limit",),
    "repeated items per takeover, maximum": ("repeated",),
    "resume after kill -9: median, maximum": ("resume-after-kill", "resume-after-kill-worst", "takeovers"),
    "resume after SIGTERM: median, maximum": ("resume-after-stop", "resume-after-stop-worst", "clean-stops"),
    "last new item after a cancel, 99th percentile": ("cancel", "cancels"),
    "100 concurrent starts, one job each time": ("concurrent-starts",),
}
"""The rows of the report, and the names of their first numbers."""


def campaign_figures(page: str) -> dict[str, str]:
    """Return the texts of the figures by name, and the command that measured them as `command`.

    A row that the campaign did not write has no figures.
    """
    block = _BLOCK.search(page)
    report = block["report"] if block else ""
    command = _COMMAND.search(report)
    cells = [line.strip("| ").split(" | ") for line in report.splitlines()]
    numbers = {
        name: number
        for row, *texts in cells
        if row in ROWS and texts
        for name, number in zip(ROWS[row], _NUMBER.findall(texts[0]), strict=False)
    }
    return {**numbers, "command": command[0]} if command else numbers
