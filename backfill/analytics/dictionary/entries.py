"""The entry of a column or field in the data dictionary."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from backfill.domain import FIRST_DAY, ProgramYear

FIRST_YEAR = ProgramYear.of(FIRST_DAY)
"""The first program year on the dashboard."""


class Table(StrEnum):
    """A table of the dataset."""

    CLUBS = "clubs"
    DISTRICTS = "districts"
    DIVISIONS = "divisions"
    AREAS = "areas"
    WORLD = "world"
    QUALITY = "quality"


class ResultKind(StrEnum):
    """A kind of analytics result."""

    DISTRICT = "district"
    WORLD = "world"
    SERIES = "series"


class ValueType(StrEnum):
    STRING = "string"
    DATE = "date"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    OBJECT = "object"
    ARRAY = "array"


class Unit(StrEnum):
    NONE = ""
    CLUBS = "clubs"
    DISTRICTS = "districts"
    GOALS = "goals"
    MEMBERS = "members"
    NOTES = "notes"
    PAYMENTS = "payments"
    PERCENT = "percentage points"
    POINTS = "Borda points"
    RANK = "rank from 1"
    VISITS = "visited clubs"


@dataclass(frozen=True, slots=True)
class Entry:
    """The definition of a figure."""

    name: str
    """A column, or the path of a field: `clubs.paid`, `goals[].achieved`, `districts.{districtId}.score`."""
    type: ValueType
    unit: Unit
    meaning: str
    source: str = ""
    """Report and columns of the dashboard; empty if the figure is not from a report."""
    first_year: ProgramYear = FIRST_YEAR
    """The first program year that has the figure."""
    field: str = ""
    """The path of the equal field of an analytics result; empty if there is none."""


STRING, DATE, BOOLEAN, INTEGER, NUMBER = (
    ValueType.STRING,
    ValueType.DATE,
    ValueType.BOOLEAN,
    ValueType.INTEGER,
    ValueType.NUMBER,
)


def count(
    name: str, unit: Unit, meaning: str, source: str = "", first_year: ProgramYear = FIRST_YEAR, *, field: str = ""
) -> Entry:
    return Entry(name, INTEGER, unit, meaning, source, first_year, field)


def clubs(name: str, meaning: str, source: str) -> Entry:
    return count(name, Unit.CLUBS, meaning, source)


def percent(name: str, meaning: str, source: str = "", first_year: ProgramYear = FIRST_YEAR) -> Entry:
    return Entry(name, NUMBER, Unit.PERCENT, meaning, source, first_year)


def text(name: str, meaning: str, source: str = "", first_year: ProgramYear = FIRST_YEAR, *, field: str = "") -> Entry:
    return Entry(name, STRING, Unit.NONE, meaning, source, first_year, field)


def flag(name: str, meaning: str, source: str = "", first_year: ProgramYear = FIRST_YEAR, *, field: str = "") -> Entry:
    return Entry(name, BOOLEAN, Unit.NONE, meaning, source, first_year, field)


def container(
    name: str, kind: ValueType, meaning: str, source: str = "", first_year: ProgramYear = FIRST_YEAR
) -> Entry:
    return Entry(name, kind, Unit.NONE, meaning, source, first_year)


def below(prefix: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries with a path before their names."""
    return tuple(replace(entry, name=f"{prefix}{entry.name}") for entry in entries)


def column_of(entry: Entry, name: str = "") -> Entry:
    """The column that is equal to a field; its default name is the path in snake case."""
    return replace(entry, name=name or snake_case(entry.name), field=entry.name)


def snake_case(path: str) -> str:
    """The name of the column of a field: `clubs.netGrowth` is `clubs_net_growth`."""
    words = re.sub("([a-z0-9])([A-Z])", r"\1_\2", path.replace("[]", ""))
    return words.replace(".", "_").lower()
