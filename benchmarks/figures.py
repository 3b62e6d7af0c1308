"""The declaration of sections and their figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.bench import Bench


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


class Database(StrEnum):
    """The database in which the process of a section keeps its data. It is new and is removed afterwards."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


class NotAvailable(Exception):
    """A service that a section needs is missing. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    better: Better
    limit: float

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.better is Better.HIGHER else value <= self.limit


def at_least(limit: float) -> Target:
    return Target(Better.HIGHER, limit)


def at_most(limit: float) -> Target:
    return Target(Better.LOWER, limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that a section measures."""

    name: str
    """Unique in its section. Pages refer to the figure as `section.name`."""
    title: str
    unit: str = ""
    target: Target | None = None
    digits: int = 0
    """Digits after the decimal point."""
    better: Better = Better.LOWER
    """Which direction is better, if there is no target."""
    is_compared: bool = False
    """True if the figure does not depend on the speed of the machine: a ratio, a count or a size."""

    @property
    def direction(self) -> Better:
        return self.target.better if self.target else self.better

    def text(self, value: float) -> str:
        """Return the value with its unit, as it is printed and inserted into pages."""
        number = f"{round(value, self.digits) + 0.0:,.{self.digits}f}"  # + 0.0 turns -0.0 into 0.0
        return f"{number} {self.unit}" if self.unit else number

    @property
    def target_text(self) -> str:
        if self.target is None:
            return ""
        side = "at least" if self.target.better is Better.HIGHER else "at most"
        return f"{side} {self.text(self.target.limit)}"


def ratio(name: str, title: str, target: Target | None = None, *, digits: int = 2) -> Figure:
    """Return a figure without unit that is better the higher it is."""
    return Figure(name, title, target=target, digits=digits, better=Better.HIGHER, is_compared=True)


def count(name: str, title: str, target: Target | None = None, unit: str = "", *, digits: int = 0) -> Figure:
    """Return a figure that is the same on every machine, such as a number of queries or a size."""
    return Figure(name, title, unit, target, digits, is_compared=True)


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark that runs in its own process."""

    name: str
    title: str
    run: Callable[[Bench], None]
    figures: tuple[Figure, ...]
    database: Database = Database.SQLITE
    is_waiting: bool = False
    """True if it measures no speed and mostly waits: it runs at the same time as the others of its kind."""
    is_in_full_run: bool = True
    """False for a section that takes too long: it runs only if it is selected."""

    def declared(self, name: str) -> Figure:
        """Raises KeyError with a message if the section declares no such figure."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        known = ", ".join(figure.name for figure in self.figures)
        raise KeyError(f"The section {self.name!r} declares no figure {name!r}. It declares: {known}.")
