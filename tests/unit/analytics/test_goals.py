"""The ten goals of the Distinguished Club Program."""

from __future__ import annotations

import pytest

from backfill.analytics import Table, district_result
from tests.unit.analytics.builders import AClub, clubs_table, codes_of, district_inputs, result_of

FOURS, MORE_FOURS = "Level 4s, Level 5s, or DTM award", "Add. Level 4s, Level 5s, or DTM award"


def achieved(**cells: str) -> list[int]:
    goal_cells = {name.replace("_", " "): cell for name, cell in cells.items()}
    goals = result_of(AClub(goal_cells=goal_cells))["goals"]
    assert [goal["goal"] for goal in goals] == list(range(1, 11))
    return [goal["goal"] for goal in goals if goal["achieved"]]


@pytest.mark.parametrize(
    ("column", "least", "goal"),
    [
        ("Level 1s", 4, 1),
        ("Level 2s", 2, 2),
        ("Add. Level 2s", 2, 3),
        ("Level 3s", 2, 4),
        (FOURS, 1, 5),
        (MORE_FOURS, 1, 6),
        ("New Members", 4, 7),
        ("Add. New Members", 4, 8),
    ],
)
def test_a_goal_is_met_at_the_required_number_of_its_column(column: str, least: int, goal: int) -> None:
    assert achieved(**{column: str(least)}) == [goal]
    assert achieved(**{column: str(least - 1)}) == []


def test_officer_training_requires_four_officers_in_both_rounds() -> None:
    assert achieved(**{"Off. Trained Round 1": "4", "Off. Trained Round 2": "4"}) == [9]
    assert achieved(**{"Off. Trained Round 1": "7", "Off. Trained Round 2": "3"}) == []


@pytest.mark.parametrize(
    ("october", "april", "officers", "is_met"),
    [
        ("1", "0", "1", True),
        ("0", "1", "2", True),
        ("1", "1", "0", False),
        ("0", "0", "1", False),
    ],
)
def test_administration_requires_dues_once_and_the_officer_list(
    october: str,
    april: str,
    officers: str,
    is_met: bool,
) -> None:
    cells = {"Mem. dues on time Oct": october, "Mem. dues on time Apr": april, "Off. List On Time": officers}
    assert achieved(**cells) == ([10] if is_met else [])


def test_the_percentage_of_a_goal_is_relative_to_the_open_clubs() -> None:
    clubs = [
        AClub(number=str(at), goal_cells={"Level 1s": "4"} if at == 1 else {}, goals="1" if at == 1 else "0")
        for at in range(1, 4)
    ]
    result = result_of(*clubs, AClub(number="9", status="Suspended", goal_cells={"Level 1s": "4"}))
    assert result["goals"][0] == {"goal": 1, "achieved": 1, "percent": 33.3}
    assert result["quality"] == []


def test_a_difference_from_goals_met_is_noted_and_goals_met_is_used() -> None:
    result = result_of(AClub(goals="2", goal_cells={"Level 1s": "4"}))
    assert result["point"]["goals"] == 2
    assert [(note["code"], note["clubNumber"], note["expected"], note["found"]) for note in result["quality"]] == [
        ("GOALS_DIFFER", "309", 2, 1)
    ]


def test_before_2020_the_goals_are_unknown() -> None:
    assert result_of(AClub(), year=2019)["goals"] is None
    assert result_of(AClub(), year=2020)["goals"] is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FOURS, "Level 4s, Path Completions, or DTM Awards"),
        (MORE_FOURS, "Add. Level 4s, Path Completions, or DTM award"),
        ("Level 2s", "Level 2s or EOM"),
        ("Add. Level 2s", "Add. Level 2s or EOM"),
    ],
)
def test_columns_are_also_matched_by_the_names_of_later_years(old: str, new: str) -> None:
    table = clubs_table([AClub(goals="1", goal_cells={old: "2"})])
    renamed = Table(tuple(new if name == old else name for name in table.columns), table.rows)
    result = district_result(district_inputs([AClub()], clubs=renamed))
    assert sum(goal["achieved"] for goal in result["goals"]) == 1
    assert result["quality"] == []


def test_a_goal_without_its_column_is_null_and_noted() -> None:
    full = clubs_table([AClub(goal_cells={"Level 1s": "4"})])
    at = full.columns.index("Off. Trained Round 2")
    cut = Table(full.columns[:at] + full.columns[at + 1 :], [[*row[:at], *row[at + 1 :]] for row in full.rows])
    result = district_result(district_inputs([AClub()], clubs=cut))
    assert result["goals"][8] == {"goal": 9, "achieved": None, "percent": None}
    assert result["goals"][0]["achieved"] == 1
    assert codes_of(result) == ["COLUMN_MISSING"]


@pytest.mark.parametrize(
    ("charter", "rounds", "is_met"),
    [
        ("Charter 10/20/25", ("0", "4"), True),
        ("Charter 09/01/25", ("0", "4"), True),
        ("Charter 09/30/25 Susp 07/01/26", ("0", "4"), True),
        ("Charter 10/20/25", ("0", "3"), False),
        ("Charter 10/20/25", ("7", "3"), False),
        ("Charter 08/31/25", ("0", "4"), False),
        ("Charter 10/20/24", ("0", "4"), False),
        ("Charter 10/20/26", ("0", "4"), False),
        ("", ("0", "4"), False),
    ],
)
def test_goal_9_requires_only_the_second_round_of_a_club_chartered_from_september(
    charter: str, rounds: tuple[str, str], is_met: bool
) -> None:
    club = AClub(
        goals="1" if is_met else "0",
        charter=charter,
        plan="Y",
        goal_cells={"Off. Trained Round 1": rounds[0], "Off. Trained Round 2": rounds[1]},
    )
    result = result_of(club, AClub(number="2", plan="Y"), year=2025)
    assert result["goals"][8]["achieved"] == int(is_met)
    assert "GOALS_DIFFER" not in codes_of(result)


def with_both_names(old: str, new: str, cells: str) -> Table:
    """Returns the report of two clubs with a column under its old name and, as the last column, its new name."""
    table = clubs_table([AClub(number="1", goal_cells={old: "2"}), AClub(number="2")])
    return Table((*table.columns, new), [[*row, cell] for row, cell in zip(table.rows, cells.split(","), strict=True)])


@pytest.mark.parametrize(
    ("old", "new", "cells", "used", "met"),
    [
        ("Level 2s", "Level 2s or EOM", "2,2", "Level 2s", 1),  # both columns have figures, so the left one is used
        ("Level 2s", "Level 2s or EOM", ",", "Level 2s", 1),
        ("Level 2s", "Level 2s or EOM", "0,0", "Level 2s", 1),
        ("Level 1s", "Level 2s or EOM", "2,2", "Level 2s or EOM", 2),  # the column with the old name has no figures
    ],
)
def test_the_column_with_figures_is_used_with_a_note_if_a_goal_has_two_columns(
    old: str, new: str, cells: str, used: str, met: int
) -> None:
    result = district_result(
        district_inputs([AClub(number="1"), AClub(number="2")], clubs=with_both_names(old, new, cells))
    )
    assert result["goals"][1]["achieved"] == met
    (note,) = [note for note in result["quality"] if note["code"] == "COLUMN_TWICE"]
    assert f'"{used}" is used' in note["message"]


@pytest.mark.parametrize("column", ["Level 2s", "Add. Level 2s", "Level 3s", FOURS])
def test_a_missing_goal_column_does_not_affect_the_other_goals(column: str) -> None:
    full = clubs_table([AClub(goal_cells={"Level 1s": "4"})])
    at = full.columns.index(column)
    cut = Table(full.columns[:at] + full.columns[at + 1 :], [[*row[:at], *row[at + 1 :]] for row in full.rows])
    result = district_result(district_inputs([AClub()], clubs=cut))
    assert sum(goal["achieved"] is None for goal in result["goals"]) == 1
    assert codes_of(result) == ["COLUMN_MISSING"]
