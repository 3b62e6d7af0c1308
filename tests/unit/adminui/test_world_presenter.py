"""The ranking of the world as a table."""

from __future__ import annotations

import pytest

from adminui.presenters import world as presenter
from tests.unit.metrics.builders import a_world

RESULT = a_world(
    {"DISTRICT": "07", "REGION": "2", "% Club Growth": "2.00%", "% Payment Growth": "N/A", "Paid Clubs": "1,000"},
    {"DISTRICT": "91", "REGION": "10", "% Club Growth": "-1.50%", "% Payment Growth": "4.00%"},
    {"DISTRICT": "F", "REGION": "10", "% Club Growth": "0.00%", "% Payment Growth": "5.00%"},
)


def names(sort: str = "", region: str = "") -> list[str]:
    return [row.name for row in presenter.world(RESULT, sort=sort, region=region).rows]


def test_districts_stand_in_the_order_of_their_overall_rank() -> None:
    shown = presenter.world(RESULT, sort="", region="")
    assert [(row.rank, row.name) for row in shown.rows] == [("1", "F"), ("2", "7"), ("2", "91")]


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
def test_any_column_sorts_either_way_and_what_is_unknown_comes_last(sort: str, expected: list[str]) -> None:
    assert names(sort) == expected


@pytest.mark.parametrize("sort", ["nothing", "-", "--score", "score; drop table"])
def test_what_is_no_column_sorts_by_the_overall_rank(sort: str) -> None:
    assert names(sort) == names()


def test_a_heading_sorts_by_its_column_and_again_the_other_way_round() -> None:
    columns = {column.name: column for column in presenter.world(RESULT, sort="score", region="10").columns}
    assert (columns["score"].direction, columns["score"].query) == ("descending", "sort=-score&region=10")
    assert (columns["district"].direction, columns["district"].query) == ("", "sort=district&region=10")
    turned = {column.name: column for column in presenter.world(RESULT, sort="-score", region="").columns}
    assert (turned["score"].direction, turned["score"].query) == ("ascending", "sort=score")


def test_one_region_can_be_looked_at_and_ranks_stay_those_of_the_world() -> None:
    shown = presenter.world(RESULT, sort="", region="10")
    assert shown.regions == ["2", "10"]
    assert [(row.name, row.rank) for row in shown.rows] == [("F", "1"), ("91", "2")]
    assert names(region="99") == names()


def test_figures_are_those_of_the_result() -> None:
    row = next(row for row in presenter.world(RESULT, sort="", region="").rows if row.name == "7")
    club, payment, _distinguished = row.measures
    assert (club.percent, club.rank, club.points, club.tone) == ("+2.00 %", "1", "3", "ok")
    assert (payment.percent, payment.rank, payment.points) == ("\N{EN DASH}", "\N{EN DASH}", "0")


def test_totals_are_those_of_the_result() -> None:
    districts, paid, _payments, _distinguished = presenter.world(RESULT, sort="", region="").tiles
    assert districts.value == "3"
    assert (paid.value, paid.notes) == ("1,000", ["base 12"])
