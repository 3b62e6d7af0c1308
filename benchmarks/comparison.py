"""Figures before and after a run, and those that became worse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.figures import Better, Figure
from benchmarks.results import Value

TOLERANCE = 0.15
"""A figure that is compared may be worse by this share."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after. `before` is None for a new figure."""

    name: str
    figure: Figure
    before: float | None
    after: float

    @property
    def worse(self) -> float:
        """By which share of the value before the figure is worse; negative if it is better."""
        if self.before is None or self.before == self.after:
            return 0.0
        if self.before == 0:
            return float("inf") if (self.after > 0) == (self.figure.direction is Better.LOWER) else float("-inf")
        change = (self.after - self.before) / abs(self.before)
        return change if self.figure.direction is Better.LOWER else -change

    @property
    def is_too_much_worse(self) -> bool:
        return self.figure.is_compared and self.worse > TOLERANCE

    @property
    def sentence(self) -> str:
        before = "not measured" if self.before is None else self.figure.text(self.before)
        return f"{self.name} is {self.figure.text(self.after)}; before it was {before}."

    @property
    def row(self) -> str:
        before, change = "", ""
        if self.before is not None:
            before = self.figure.text(self.before)
            change = f"{(self.after - self.before) / abs(self.before):+.0%}" if self.before else ""
        mark = "=" if self.figure.is_compared else " "
        verdict = f"more than {TOLERANCE:.0%} worse" if self.is_too_much_worse else ""
        return f"{mark} {self.name:<52} {before:>16} {self.figure.text(self.after):>16} {change:>8} {verdict}".rstrip()


def changes(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[Change]:
    for name, value in after.items():
        former = before.get(name)
        yield Change(name, value.figure, former.value if former else None, value.value)


def table(rows: Iterable[Change]) -> str:
    """Return the table of figures before and after. Figures that are compared are marked with `=`."""
    return "\n".join([f"  {'figure':<52} {'before':>16} {'after':>16}", *(row.row for row in rows)])
