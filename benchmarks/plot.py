"""Draws docs/pictures/growth.svg from benchmarks/results.json: `python -m benchmarks.plot`.

Two charts show the time and the peak memory of each operation against the number of items. The picture has its own
background and follows the colour scheme of the reader.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any
from xml.sax.saxutils import escape

from benchmarks import results

PICTURE = results.ROOT / "docs" / "pictures" / "growth.svg"

_WIDTH, _HEIGHT = 900, 460
_TOP, _BOTTOM = 62, 400
_COLOURS = (
    ("#1f5fbf", "#7db1ff"),
    ("#b3401e", "#ff9a73"),
    ("#2e7d32", "#7ccf80"),
    ("#7b3fa0", "#cf9bf0"),
    ("#8a6d00", "#e3c04b"),
    ("#00798c", "#5fd0e0"),
    ("#a8326e", "#f58ec0"),
)
"""Colours of the operations in the light and in the dark scheme."""

_MARKS = ("circle", "square", "triangle", "diamond")

_STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
    .title { font-size: 15px; font-weight: 600; }
    .back { fill: #ffffff; stroke: #d0d7de; }
    .grid { stroke: #d8dee4; stroke-width: 1; }
    .axis { stroke: #6e7781; stroke-width: 1; }
    .line { fill: none; stroke-width: 2; }
    .link { stroke-width: 1; opacity: .6; }
"""

_DARK = """
      text { fill: #e6edf3; }
      .back { fill: #0d1117; stroke: #30363d; }
      .grid { stroke: #2b323b; }
      .axis { stroke: #8b949e; }
"""


@dataclass(frozen=True, slots=True)
class LogAxis:
    """A logarithmic axis that begins and ends at powers of ten."""

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> LogAxis:
        # A tenth of a decade of tolerance: 1,050 items belong to the decade that begins at 1,000.
        low, high = floor(log10(min(values)) + 0.1), ceil(log10(max(values)) - 0.1)
        return cls(low, max(high, low + 1), start, end)

    def at(self, value: float) -> float:
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


@dataclass(frozen=True, slots=True)
class LinearAxis:
    """An axis that begins at 0."""

    highest: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> LinearAxis:
        return cls(max(ceil(max(values) / _STEP) * _STEP, _STEP), start, end)

    def at(self, value: float) -> float:
        return self.start + value / self.highest * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        return [n * float(_STEP) for n in range(int(self.highest / _STEP) + 1)]


_STEP = 25
"""MB between two lines of the chart of the memory."""


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    value: str
    """The field of a point."""
    left: float
    right: float
    axis: type[LogAxis | LinearAxis]
    tick: Callable[[float], str]


def svg(series: Mapping[str, Any]) -> str:
    """Return the picture of the series of a growth section."""
    time = Chart("Time of the operation", "seconds", 80, 340, LogAxis, _seconds)
    memory = Chart("Peak memory of its process", "peak_mb", 534, 794, LinearAxis, _megabytes)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    dark = f"    @media (prefers-color-scheme: dark) {{{_DARK}{_colour_rules(1)}    }}\n"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">Time and peak memory of seven operations against the number of items</title>',
        f"<style>{_STYLE}{_colour_rules(0)}{dark}</style>",
        f'<rect class="back" x=".5" y=".5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="8"/>',
        *_drawn(time, series),
        *_drawn(memory, series),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _colour_rules(scheme: int) -> str:
    return "".join(
        f"    .s{n} {{ stroke: {colours[scheme]}; }} .f{n} {{ fill: {colours[scheme]}; }}\n"
        for n, colours in enumerate(_COLOURS)
    )


def _drawn(chart: Chart, series: Mapping[str, Any]) -> Iterator[str]:
    lines = {name: [(point["items"], point[chart.value]) for point in one["points"]] for name, one in series.items()}
    left, right = chart.left, chart.right
    across = LogAxis.over([x for line in lines.values() for x, _ in line], left, right)
    up = chart.axis.over([y for line in lines.values() for _, y in line], _BOTTOM, _TOP)
    yield f'<text class="title" x="{left}" y="32">{escape(chart.title)}</text>'
    for at in across.ticks:
        x = across.at(at)
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{at:,.0f}</text>'
    for at in up.ticks:
        y = up.at(at)
        yield f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{chart.tick(at)}</text>'
    yield f'<path class="axis" fill="none" d="M{left} {_TOP}V{_BOTTOM}H{right}"/>'
    yield f'<text x="{(left + right) / 2}" y="{_BOTTOM + 44}" text-anchor="middle">items</text>'
    ends = _spread([up.at(line[-1][1]) for line in lines.values()])
    for n, (name, line) in enumerate(lines.items()):
        points = [(across.at(x), up.at(y)) for x, y in line]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path class="line s{n}" d="M{path}"/>'
        yield from (_mark(_MARKS[n % len(_MARKS)], x, y, n) for x, y in points)
        x, y = points[-1]
        yield f'<path class="link s{n}" fill="none" d="M{x + 6:.1f} {y:.1f}L{right + 22} {ends[n]:.1f}"/>'
        yield f'<text x="{right + 26}" y="{ends[n] + 4:.1f}">{escape(name)}</text>'


def _mark(kind: str, x: float, y: float, n: int) -> str:
    match kind:
        case "circle":
            return f'<circle class="f{n}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        case "square":
            return f'<rect class="f{n}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'
        case "triangle":
            return f'<path class="f{n}" d="M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z"/>'
        case _:
            return f'<path class="f{n}" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z"/>'


def _spread(wanted: Sequence[float], gap: float = 18) -> list[float]:
    """Return positions near the wanted ones that are at least `gap` apart, in the same order, above the axis."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    placed = [0.0] * len(wanted)
    at = float("-inf")
    for n in order:
        at = placed[n] = max(wanted[n], at + gap)
    limit = float(_BOTTOM)
    for n in reversed(order):
        limit = placed[n] = min(placed[n], limit)
        limit -= gap
    return placed


def _seconds(value: float) -> str:
    return f"{1000 * value:g} ms" if value < 1 else f"{value:,.0f} s"


def _megabytes(value: float) -> str:
    return f"{value:.0f} MB"


def update() -> bool:
    """Draw the picture of the largest sizes that were measured. Returns False if none were."""
    sections = results.read()["sections"]
    for name in ("growth-million", "growth"):
        if series := sections.get(name, {}).get("series"):
            PICTURE.write_text(svg(series))
            return True
    return False


if __name__ == "__main__":
    if not update():
        sys.exit("benchmarks/results.json contains no growth. Run make bench SECTION=growth.")
