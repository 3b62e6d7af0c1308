"""Inserts figures into README.md and docs/: `python -m benchmarks.pages`.

A figure stands between two comments, which are invisible on the rendered page, also in tables:

    <!-- figure: resume.seconds -->2.71 s<!-- /figure -->

`section.name` are the figures of benchmarks/results.json, `chaos.name` those of the report of `make chaos` in
docs/reliability.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import results
from benchmarks.campaign import campaign_figures

_MARKED = re.compile(r"<!-- figure: (?P<name>[\w.-]+) -->(?P<text>.*?)<!-- /figure -->", re.DOTALL)
_GENERATED = re.compile(
    r"<!-- (?P<block>chaos|settings table|operations|common|objects|commands|others)\b.*?<!-- /(?P=block) -->",
    re.DOTALL,
)
"""Blocks that another command writes as a whole."""
_CODE = re.compile(r"```.*?```|(?:(?<=\n\n) {4}[^\n]*\n)(?:(?: {4}[^\n]*)?\n)*|`[^`\n]*`", re.DOTALL)
_LINK_TARGET = re.compile(r"\]\([^)]*\)")

MEASURED = re.compile(
    r"(?<![\w.,-])\d[\d,]*(?:\.\d+)? ?(?:s|ms|\u00b5s|KB|MB|GB|bytes|%|\w+/s)(?![\w/-])"
    r"|(?<![\w.,-])\d+\.\d+ (?:an item|times)\b"
)
"""A number with an abbreviated unit. Settings and constants are written with words, such as 15 seconds."""


def pages(root: Path = results.ROOT) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def figures(root: Path = results.ROOT) -> dict[str, str]:
    """Return the texts of all figures by name; `section.date`, `.machine` and `.stores` describe the run."""
    content = results.read(root / "benchmarks" / "results.json")
    texts = {name: value.text for name, value in results.values(content).items()}
    for name, stored in content["sections"].items():
        if "figures" in stored:
            texts |= {f"{name}.{field}": text for field, text in _descriptions(stored).items()}
    campaign = campaign_figures((root / "docs" / "reliability.md").read_text())
    return {**texts, **{f"chaos.{name}": text for name, text in campaign.items()}}


def _descriptions(stored: results.Json) -> dict[str, str]:
    machine = stored["machine"]
    return {
        "date": stored["date"],
        "machine": f"{machine['cores']} cores, {machine['cpu']}, {machine['system']}, Python {machine['python']}",
        "stores": ", ".join(f"{name} {version}".strip() for name, version in stored["stores"].items()),
    }


def inserted(page: str, texts: Mapping[str, str]) -> str:
    """Return the page with the present texts of its figures. Raises KeyError for a figure that nothing measures."""

    def text_of(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in texts:
            raise KeyError(f"Nothing measures the figure {name!r}.")
        return f"<!-- figure: {name} -->{texts[name]}<!-- /figure -->"

    return _MARKED.sub(text_of, page)


def unmarked(page: str) -> Iterator[str]:
    """Yield the lines with a number and an abbreviated unit outside of markers, code and generated blocks.

    Also yields the rows of tables in which a column whose title contains `measured` has digits outside of
    markers.
    """
    text = without_markers(page)
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            header = []
        elif not header:
            header = cells
        columns = [cell for name, cell in zip(header, cells, strict=False) if "measured" in name]
        if MEASURED.search(line) or any(re.search(r"\d", cell) for cell in columns):
            yield line.strip()


def without_markers(page: str) -> str:
    """Return the text of a page without marked figures, code, targets of links and generated blocks."""
    for pattern in (_GENERATED, _CODE, _MARKED, _LINK_TARGET):
        page = pattern.sub("", page)
    return page


def update(root: Path = results.ROOT) -> list[str]:
    """Rewrite the figures of all pages. Returns messages about figures that nothing measures."""
    texts, problems = figures(root), []
    for path in pages(root):
        before = path.read_text()
        try:
            after = inserted(before, texts)
        except KeyError as exc:
            problems.append(f"{path.name}: {exc.args[0]}")
            continue
        if after != before:
            path.write_text(after)
            print(f"Updated the figures of {path.name}.")
    return problems


if __name__ == "__main__":
    found = update()
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
