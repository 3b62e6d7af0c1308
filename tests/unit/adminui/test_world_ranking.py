"""The table of the world ranking."""

from __future__ import annotations

from datetime import date

import pytest

from adminui.presenters import world_ranking as presenter
from adminui.presenters.tables import Column, Row, Sort
from tests.unit.analytics.builders import a_world

DAY = date(2024, 6, 30)
RESULT = a_world(
    {"DISTRICT": "07", "REGION": "2", "% Club Growth": "2.00%", "% Payment Growth": "N/A", "Paid Clubs": "1,000"},
    {"DISTRICT": "91", "REGION": "10", "% Club Growth": "-1.50%", "% Payment Growth": "4.00%"},
    {"DISTRICT": "F", "REGION": "10", "% Club Growth": "0.00%", "% Payment Growth": "5.00%"},
)


def shown(sort: str = "", region: str = "") -> presenter.WorldRanking:
    return presenter.world_ranking(RESULT, DAY, sort=sort, region=region)


def name_of(row: Row) -> str:
    return row.cells[1].text


def names(sort: str = "", region: str = "") -> list[str]:
    return [name_of(row) for row in shown(sort, region).table.rows]


def ranks(world: presenter.WorldRanking) -> list[tuple[str, str]]:
    return [(row.cells[0].text, name_of(row)) for row in world.table.rows]


def test_districts_are_ordered_by_overall_rank() -> None:
    assert ranks(shown()) == [("1", "F"), ("2", "7"), ("2", "91")]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("district", ["7", "91", "F"]),
        ("-district", ["F", "91", "7"]),
        ("region", ["7", "F", "91"]),
        ("clubGrowth", ["7", "F", "91"]),
        ("-clubGrowth", ["91", "F", "7"]),
        ("paymentGrowth", ["F", "91", "7"]),
        ("-paymentGrowth", ["91", "F", "7"]),
        ("score", ["F", "7", "91"]),
        ("-overallRank", ["7", "91", "F"]),
    ],
)
def test_every_column_sorts_in_both_directions_with_unknown_values_last(sort: str, expected: list[str]) -> None:
    assert names(sort) == expected


@pytest.mark.parametrize("sort", ["nothing", "-", "--score", "score; drop table"])
def test_an_invalid_sort_column_sorts_by_overall_rank(sort: str) -> None:
    assert names(sort) == names()


def sort_of(column: Column) -> tuple[str, str]:
    assert isinstance(column.sort, Sort)
    return column.sort.direction, column.sort.query


def test_a_column_header_sorts_by_its_column_and_then_reverses_the_order() -> None:
    columns = {column.label: column for column in shown("score", "10").table.columns}
    assert sort_of(columns["Points"]) == ("descending", "sort=-score&region=10")
    assert sort_of(columns["District"]) == ("", "sort=district&region=10")
    reversed_columns = {column.label: column for column in shown("-score").table.columns}
    assert sort_of(reversed_columns["Points"]) == ("ascending", "sort=score")


@pytest.mark.parametrize(
    "region", ["\N{SUPERSCRIPT TWO}", "\N{CIRCLED DIGIT ONE}", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 5_000]
)
def test_a_region_that_is_no_ordinary_number_comes_after_the_numbers(region: str) -> None:
    result = a_world({"DISTRICT": "07", "REGION": region}, {"DISTRICT": "91", "REGION": "10"})
    world = presenter.world_ranking(result, DAY, sort="region", region="")
    assert [choice.value for choice in world.regions] == ["10", region]
    assert [name_of(row) for row in world.table.rows] == ["91", "7"]


def test_a_region_can_be_selected_and_ranks_stay_worldwide() -> None:
    world = shown(region="10")
    assert [(region.value, region.is_chosen) for region in world.regions] == [("2", False), ("10", True)]
    assert ranks(world) == [("1", "F"), ("2", "91")]
    assert names(region="99") == names()


def test_figures_come_from_the_result() -> None:
    row = next(row for row in shown().table.rows if name_of(row) == "7")
    club, payment = row.cells[3:5]
    assert (club.text, club.note, club.tone) == ("+2.00 %", "no. 1, 3 points", "ok")
    assert (payment.text, payment.note) == ("\N{EN DASH}", "not ranked, 0 points")
    assert row.cells[1].href == "/admin/backfill/results/07/2024-06-30/"


def test_totals_come_from_the_result() -> None:
    districts, paid, _payments, _distinguished = shown().tiles
    assert districts.value == "3"
    assert (paid.value, paid.notes) == ("1,000", ["base 12"])
