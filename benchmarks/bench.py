"""What a section receives: it reports its figures here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Section


@dataclass
class Bench:
    """The run of a section."""

    section: Section
    scale: float = 1
    """Below 1 while a section is developed: it then measures less, and its figures are not stored."""
    figures: dict[str, float] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
    """The stores and services that the section used, with their versions."""
    series: dict[str, Any] = field(default_factory=dict)
    """Measurements with several points, as JSON values."""
    failures: list[str] = field(default_factory=list)
    """Statements of the section that are not true. The run fails with them."""

    def report(self, name: str, value: float) -> None:
        """Report and print a figure. Raises KeyError if the section does not declare it."""
        figure = self.section.declared(name)
        self.figures[name] = round(value, figure.digits + 2)
        mark = "" if figure.target is None or figure.target.is_met_by(value) else "  MISSED"
        target = f"target: {figure.target_text}{mark}" if figure.target else ""
        self.row(figure.title, figure.text(value), target)

    def row(self, title: str, text: str, remark: str = "") -> None:
        """Print a detail that is not a figure."""
        print(f"  {title:<66} {text:>18}   {remark}".rstrip(), flush=True)

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def scaled(self, count: int, least: int = 1) -> int:
        """Return the number to measure with."""
        return max(int(count * self.scale), least)

    def uses(self, store: str, version: str) -> None:
        self.stores[store] = version

    @property
    def missing(self) -> list[str]:
        """Names of declared figures that were not reported."""
        return [figure.name for figure in self.section.figures if figure.name not in self.figures]

    def to_dict(self) -> dict[str, Any]:
        return {
            "figures": self.figures,
            "stores": self.stores,
            "series": self.series,
            "failures": self.failures,
        }
