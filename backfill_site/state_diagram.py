"""Writes the state diagram of a job into docs/architecture.md: `python -m backfill_site.state_diagram`."""

from __future__ import annotations

import re
from pathlib import Path

from backfill.domain import ENDED, TRANSITIONS, Status

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
_DIAGRAM = re.compile(r"(?<=```mermaid\n)stateDiagram-v2\n.*?(?=```)", re.DOTALL)


def page_with_diagram(page: str) -> str:
    """Return the page with the current diagram. Raises ValueError if the page has no state diagram."""
    if not _DIAGRAM.search(page):
        raise ValueError("The page has no state diagram.")
    return _DIAGRAM.sub(lambda _: state_diagram(), page)


def state_diagram() -> str:
    """Return the transition table as a Mermaid diagram."""
    lines = [
        f"[*] --> {Status.PENDING}: started",
        *(f"{before} --> {after}: {reason}" for (before, after), reason in TRANSITIONS.items()),
        *(f"{status} --> [*]" for status in Status if status in ENDED),
    ]
    return "\n    ".join(["stateDiagram-v2", *lines]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page_with_diagram(PAGE.read_text()))
