"""Levels, ranks and figures of divisions and areas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backfill.analytics import Table, district_result
from tests.unit.analytics.builders import AClub, codes_of, district_inputs, divisions_table, some_clubs, unit_cells


def units(clubs: list[AClub], **cells: Any) -> dict[str, Any]:
    return district_result(district_inputs(clubs, divisions=divisions_table(clubs, **cells)))


def test_an_area_is_identified_by_its_division_and_number() -> None:
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
def test_a_level_requires_both_paid_and_distinguished_clubs(
    paid: int,
    distinguished: int,
    level: str | None,
    gap: dict[str, int] | None,
) -> None:
    cells = unit_cells(base=4, paid=paid, distinguished=distinguished, level="Distinguished")
    result = units(some_clubs(4), areas={("A", "01"): cells}, divisions={"A": cells})
    (area,), (division,) = result["areas"], result["divisions"]
    for unit in (area, division):
        assert (unit["paid"], unit["base"], unit["distinguished"]) == (paid, 4, distinguished)
        assert (unit["reported"], unit["qualifying"]) == ("Distinguished", level)
    assert division["gap"] == gap
    assert area["gap"] == (gap and {**gap, "firstVisits": 0, "secondVisits": 0})


def visited(first: int, second: int, count: int = 4) -> list[AClub]:
    """Returns clubs of one area, of which `first` and `second` were visited in the two rounds."""
    rounds = [("1" if at < first else "0", "1" if at < second else "0") for at in range(count)]
    return [AClub(number=str(at), visits=visits) for at, visits in enumerate(rounds, start=1)]


def test_an_area_without_enough_visits_has_no_level_and_its_gap_counts_them() -> None:
    """Area H/71 of district 61 in June 2026: base 4, 5 paid, 2 distinguished, but only 2 of 4 first-round visits."""
    cells = unit_cells(base=4, paid=5, distinguished=2)
    result = units(visited(2, 4), areas={("A", "01"): cells}, divisions={"A": cells})
    (area,), (division,) = result["areas"], result["divisions"]
    assert (area["reported"], area["qualifying"]) == (None, None)
    assert area["gap"] == {"paidClubs": 0, "distinguishedClubs": 0, "firstVisits": 1, "secondVisits": 0}
    assert division["qualifying"] == "Distinguished"
    assert division["gap"] == {"paidClubs": 0, "distinguishedClubs": 1}


@pytest.mark.parametrize(
    ("base", "first", "second", "missing"),
    [
        (4, 3, 3, (0, 0)),
        (4, 3, 2, (0, 1)),
        (5, 3, 4, (1, 0)),
        (5, 4, 4, (0, 0)),
        (3, 2, 2, (1, 1)),
        (8, 6, 6, (0, 0)),
        (0, 0, 0, (0, 0)),
    ],
)
def test_the_level_of_an_area_requires_visits_to_75_percent_of_its_base_per_round(
    base: int, first: int, second: int, missing: tuple[int, int]
) -> None:
    cells = unit_cells(base=base, paid=9, distinguished=2, paid_goals=(4, 4, 5), goals=(2, 3, 3))
    (area,) = units(visited(first, second, 8), areas={("A", "01"): cells})["areas"]
    assert (area["gap"]["firstVisits"], area["gap"]["secondVisits"]) == missing
    assert area["qualifying"] == ("Distinguished" if missing == (0, 0) else None)


def test_a_club_that_was_visited_twice_in_a_round_counts_once() -> None:
    clubs = [AClub(number=str(at), visits=("2" if at < 3 else "0", "1")) for at in range(1, 5)]
    (area,) = units(clubs, areas={("A", "01"): unit_cells(distinguished=2)})["areas"]
    assert area["gap"]["firstVisits"] == 1


def test_a_blank_visits_column_leaves_the_level_unknown_with_a_note() -> None:
    clubs = [replace(club, visits=("1", " ")) for club in some_clubs(4)]
    result = units(clubs, areas={("A", "01"): unit_cells(distinguished=2)})
    (area,) = result["areas"]
    assert (area["qualifying"], area["gap"], area["paid"]) == (None, None, 4)
    assert codes_of(result) == ["COLUMN_BLANK"]
    assert "May Visit award" in result["quality"][0]["message"]


def test_an_unreadable_visit_is_omitted_and_noted() -> None:
    clubs = [*visited(3, 3, 3), AClub(number="4", visits=("?", "1"))]
    result = units(clubs, areas={("A", "01"): unit_cells(distinguished=2)})
    assert result["areas"][0]["qualifying"] == "Distinguished"
    assert [(note["code"], note["clubNumber"]) for note in result["quality"]] == [("CELL_UNREADABLE", "4")]


def test_a_report_without_visit_columns_has_no_area_levels_and_a_note() -> None:
    full = divisions_table(some_clubs(4), areas={("A", "01"): unit_cells(distinguished=2)})
    kept = [at for at, name in enumerate(full.columns) if "visit" not in name.casefold()]
    cut = Table(tuple(full.columns[at] for at in kept), [[row[at] for at in kept] for row in full.rows])
    result = district_result(district_inputs(some_clubs(4), divisions=cut))
    assert (result["areas"][0]["qualifying"], result["areas"][0]["gap"]) == (None, None)
    assert result["divisions"][0]["gap"] is not None
    assert codes_of(result) == ["COLUMN_MISSING"]


@pytest.mark.parametrize(("division", "area"), [("0D", "0A"), ("0D", "01")])
def test_unaligned_divisions_and_areas_have_no_level(division: str, area: str) -> None:
    cells = unit_cells(paid=9, distinguished=9, level="Distinguished")
    result = units([AClub(division=division, area=area)], areas={(division, area): cells}, divisions={division: cells})
    for unit in (result["areas"][0], result["divisions"][0]):
        assert (unit["reported"], unit["qualifying"], unit["gap"], unit["clubs"]) == (None, None, None, 1)
    assert result["divisions"][0]["rank"] is None


def test_divisions_rank_by_distinguished_share_then_goals_per_club_and_share_ties() -> None:
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


def test_a_division_report_without_goal_columns_has_no_levels_and_a_note() -> None:
    full = divisions_table([AClub()])
    kept = [at for at, name in enumerate(full.columns) if "Goal for" not in name]
    cut = Table(tuple(full.columns[at] for at in kept), [[row[at] for at in kept] for row in full.rows])
    result = district_result(district_inputs([AClub()], divisions=cut))
    for unit in (*result["areas"], *result["divisions"]):
        assert (unit["qualifying"], unit["gap"], unit["paid"]) == (None, None, 4)
    assert codes_of(result) == ["COLUMN_MISSING", "COLUMN_MISSING"]


def test_contradictory_rows_of_an_area_make_the_figure_null() -> None:
    clubs = some_clubs(2)
    full = divisions_table(clubs, areas={("A", "01"): unit_cells(distinguished=3)})
    at = full.columns.index("Total Paid Area Clubs")
    rows = [list(row) for row in full.rows]
    rows[1][at] = "3"
    result = district_result(district_inputs(clubs, divisions=Table(full.columns, rows)))
    (area,) = result["areas"]
    assert (area["paid"], area["distinguished"], area["qualifying"]) == (None, 3, None)
    assert codes_of(result) == ["ROWS_DIFFER"]


def test_an_unreadable_cell_of_a_division_is_null_and_noted_once() -> None:
    cells = unit_cells()
    cells[0] = "N/A"
    result = units(some_clubs(3), divisions={"A": cells})
    assert result["divisions"][0]["base"] is None
    assert codes_of(result) == ["CELL_BLANK"]
