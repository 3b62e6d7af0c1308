"""The data dictionary is complete: every column and every field of a result has exactly one entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.fields import DictField, ListField

from backfill.analytics import ClubFigures
from backfill.analytics.dictionary import COLUMNS, FIELDS, ResultKind, Table, ValueType
from backfill.analytics.distinguished import rule_of
from backfill.analytics.goals import FIRST_YEAR as FIRST_GOALS
from backfill.analytics.targets import era_of
from backfill.domain import ProgramYear
from backfill.serializers.results import DistrictResultSerializer, SeriesSerializer, WorldResultSerializer
from backfill_site.dictionary_page import PAGE, page_with_tables
from tests.unit.analytics.builders import AClub, a_world, result_of

SERIALIZERS: dict[ResultKind, serializers.Serializer[Any]] = {
    ResultKind.DISTRICT: DistrictResultSerializer(),
    ResultKind.WORLD: WorldResultSerializer(),
    ResultKind.SERIES: SeriesSerializer(),
}
WORLD = a_world({}, {"DISTRICT": "F"})
EVERY = [entry for entries in (*COLUMNS.values(), *FIELDS.values()) for entry in entries]


def documented_paths(serializer: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every field that the OpenAPI document describes."""
    for name, field in serializer.fields.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(field, serializers.ListSerializer):
            yield from documented_paths(field.child, f"{path}[].")
        elif isinstance(field, DictField) and not isinstance(field.child, serializers.CharField):
            yield from documented_paths(field.child, f"{path}.{{districtId}}.")
        elif isinstance(field, serializers.Serializer):
            yield from documented_paths(field, f"{path}.")
        else:
            assert isinstance(field, ListField) or not hasattr(field, "child"), path


def paths_in(value: Any, prefix: str = "") -> set[str]:
    """Return the path of every field of a result."""
    found: set[str] = set()
    if isinstance(value, dict):
        for name, item in value.items():
            step = "{districtId}" if prefix == "districts." else name
            found |= {f"{prefix}{step}"} | paths_in(item, f"{prefix}{step}.")
    elif isinstance(value, list):
        for item in value:
            found |= paths_in(item, f"{prefix[:-1]}[].")
    return found


@pytest.mark.parametrize("kind", ResultKind)
def test_every_field_of_a_result_has_an_entry_and_every_entry_a_field(kind: ResultKind) -> None:
    assert sorted(entry.name for entry in FIELDS[kind]) == sorted(documented_paths(SERIALIZERS[kind]))


@pytest.mark.parametrize("year", [2011, 2019, 2025])
def test_every_field_that_is_computed_has_an_entry(year: int) -> None:
    clubs = [AClub(plan="Y"), AClub(number="2", status="Suspended", plan="Y"), AClub(number="3", members="?", plan="Y")]
    line = WORLD["districts"]["91"]
    previous = result_of(AClub())["point"]
    result = result_of(*clubs, year=year, world_line=line, previous=previous, previous_clubs=["309"])
    entries = {entry.name for entry in FIELDS[ResultKind.DISTRICT]}
    assert paths_in(result) <= entries
    world = paths_in(WORLD) - {"districts.{districtId}"}
    assert world <= {entry.name for entry in FIELDS[ResultKind.WORLD]}


def test_every_figure_of_a_club_has_a_column_and_every_column_a_figure() -> None:
    assert tuple(entry.name for entry in COLUMNS[Table.CLUBS][5:]) == ClubFigures._fields


@pytest.mark.parametrize("owner", [*COLUMNS, *FIELDS])
def test_names_are_unique(owner: Table | ResultKind) -> None:
    entries = COLUMNS[owner] if isinstance(owner, Table) else FIELDS[owner]
    names = [entry.name for entry in entries]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("table", Table)
def test_columns_are_typed_and_in_snake_case(table: Table) -> None:
    for entry in COLUMNS[table]:
        assert entry.name.replace("_", "").isalnum(), entry.name
        assert entry.name == entry.name.lower(), entry.name
        assert entry.type not in {ValueType.OBJECT, ValueType.ARRAY}, entry.name


def test_a_column_that_equals_a_field_has_its_type_and_first_year() -> None:
    fields = {entry.name: entry for entry in FIELDS[ResultKind.DISTRICT]}
    for table in set(Table) - {Table.WORLD}:
        for column in COLUMNS[table]:
            field = fields.get(column.field)
            if field is not None:
                assert (column.type, column.unit, column.first_year) == (field.type, field.unit, field.first_year)


def test_every_meaning_is_a_sentence() -> None:
    assert [entry.name for entry in EVERY if not entry.meaning.endswith(".") or entry.meaning[0] == " "] == []


def test_the_first_years_follow_from_the_rules() -> None:
    first = {entry.name: entry.first_year for entry in EVERY}
    smedley = first["distinguished.reported.smedley"]
    assert [step.code for step in rule_of(smedley).steps][-1] == "M"
    assert "M" not in [step.code for step in rule_of(ProgramYear(smedley.start - 1)).steps]
    plan = first["distinguished.toGo[].planMissing"]
    assert rule_of(plan).needs_plan
    assert not rule_of(ProgramYear(plan.start - 1)).needs_plan
    targets = first["targets.paidClubs.base"]
    assert era_of(targets) is not None
    assert era_of(ProgramYear(targets.start - 1)) is None
    assert first["goal_1"] == first["goals[].achieved"] == first["goals_1_achieved"] == FIRST_GOALS


def test_the_documentation_contains_the_dictionary() -> None:
    """After a change of the dictionary: python -m backfill_site.dictionary_page"""
    page = PAGE.read_text()
    assert page == page_with_tables(page)
    assert page.count("| `members_to_next_level` |") == 1
