"""Divisions and areas."""

from __future__ import annotations

from typing import Any

import pytest

from backfill.metrics import Table, district_result
from tests.unit.metrics.builders import AClub, a_source, codes_of, divisions_table, some_clubs, unit_cells


def units(clubs: list[AClub], **cells: Any) -> dict[str, Any]:
    return district_result(a_source(clubs, divisions=divisions_table(clubs, **cells)))


def test_an_area_is_known_by_its_division_and_its_number() -> None:
    clubs = [
        AClub(number="1", division="A", area="01", members="20"),
        AClub(number="2", division="B", area="01"),
        AClub(number="3", division="A", area="01", members="10", goals="0"),
    ]
    result = units(clubs)
    assert [(area["id"], area["division"], area["area"], area["clubs"]) for area in result["areas"]] == [
        ("A/01", "A", "01", 2),
        ("B/01", "B", "01", 1),
    ]
    assert result["areas"][0]["members"] == 30
    assert [division["id"] for division in result["divisions"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("paid", "distinguished", "level", "gap"),
    [
        (3, 3, None, {"paidClubs": 1, "distinguishedClubs": 0}),
        (4, 1, None, {"paidClubs": 0, "distinguishedClubs": 1}),
        (4, 2, "Distinguished", {"paidClubs": 0, "distinguishedClubs": 1}),
        (4, 3, "Select Distinguished", {"paidClubs": 1, "distinguishedClubs": 0}),
        (5, 2, "Distinguished", {"paidClubs": 0, "distinguishedClubs": 1}),
        (5, 3, "President's Distinguished", None),
    ],
)
def test_a_level_takes_both_its_paid_and_its_distinguished_clubs(
    paid: int,
    distinguished: int,
    level: str | None,
    gap: dict[str, int] | None,
) -> None:
    cells = unit_cells(base=4, paid=paid, distinguished=distinguished, level="Distinguished")
    (area,) = units([AClub()], areas={("A", "01"): cells})["areas"]
    assert (area["paid"], area["base"], area["distinguished"]) == (paid, 4, distinguished)
    assert area["reported"] == "Distinguished"
    assert area["qualifying"] == level
    assert area["gap"] == gap


@pytest.mark.parametrize(("division", "area"), [("0D", "0A"), ("0D", "01")])
def test_the_unaligned_get_no_level(division: str, area: str) -> None:
    cells = unit_cells(paid=9, distinguished=9, level="Distinguished")
    result = units([AClub(division=division, area=area)], areas={(division, area): cells}, divisions={division: cells})
    for unit in (result["areas"][0], result["divisions"][0]):
        assert (unit["reported"], unit["qualifying"], unit["gap"], unit["clubs"]) == (None, None, None, 1)
    assert result["divisions"][0]["rank"] is None


def test_divisions_rank_by_distinguished_of_base_then_goals_per_club_and_share_ties() -> None:
    clubs = [
        AClub(number=str(at), division=letter, goals=goals)
        for at, (letter, goals) in enumerate([("A", "2"), ("B", "3"), ("C", "3"), ("D", "9"), ("E", "0")], start=1)
    ]
    cells = {
        letter: unit_cells(base=base, distinguished=distinguished)
        for letter, base, distinguished in (("A", 4, 2), ("B", 2, 1), ("C", 6, 3), ("D", 4, 1), ("E", 3, 2))
    }
    result = units(clubs, divisions=cells)
    assert {division["id"]: division["rank"] for division in result["divisions"]} == {
        "E": 1,
        "B": 2,
        "C": 2,
        "A": 4,
        "D": 5,
    }


def test_a_division_without_a_base_has_no_rank() -> None:
    result = units([AClub()], divisions={"A": unit_cells(base=0)})
    assert result["divisions"][0]["rank"] is None


def test_a_division_report_without_its_goal_columns_has_no_levels_and_a_note() -> None:
    full = divisions_table([AClub()])
    keep = [at for at, name in enumerate(full.columns) if "Goal for" not in name]
    cut = Table(tuple(full.columns[at] for at in keep), [[row[at] for at in keep] for row in full.rows])
    result = district_result(a_source([AClub()], divisions=cut))
    for unit in (*result["areas"], *result["divisions"]):
        assert (unit["qualifying"], unit["gap"], unit["paid"]) == (None, None, 4)
    assert codes_of(result) == ["COLUMN_MISSING", "COLUMN_MISSING"]


def test_rows_that_do_not_agree_about_their_area_make_the_figure_null() -> None:
    clubs = some_clubs(2)
    full = divisions_table(clubs, areas={("A", "01"): unit_cells(distinguished=3)})
    at = full.columns.index("Total Paid Area Clubs")
    rows = [list(row) for row in full.rows]
    rows[1][at] = "3"
    result = district_result(a_source(clubs, divisions=Table(full.columns, rows)))
    (area,) = result["areas"]
    assert (area["paid"], area["distinguished"], area["qualifying"]) == (None, 3, None)
    assert codes_of(result) == ["ROWS_DIFFER"]


def test_a_unit_s_unreadable_cell_is_null_and_noted_once() -> None:
    cells = unit_cells()
    cells[0] = "N/A"
    result = units(some_clubs(3), divisions={"A": cells})
    assert result["divisions"][0]["base"] is None
    assert codes_of(result) == ["CELL_BLANK"]
