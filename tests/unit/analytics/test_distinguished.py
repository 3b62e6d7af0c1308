"""The Distinguished Club Program by program year."""

from __future__ import annotations

import pytest

from backfill.analytics.distinguished import rule_of
from backfill.domain import ProgramYear
from tests.unit.analytics.builders import SUMMARY, AClub, codes_of, result_of

BOUNDARIES = [
    # year, goals, members, growth, level
    (2021, 5, 20, -9, "D"),
    (2021, 4, 40, 9, ""),
    (2021, 5, 19, 4, ""),
    (2021, 5, 19, 5, "D"),
    (2021, 7, 19, 5, "S"),
    (2021, 6, 20, 0, "D"),
    (2021, 8, 20, 0, "S"),
    (2021, 9, 20, 0, "P"),
    (2021, 9, 1, 5, "P"),
    (2021, 10, 25, 5, "P"),
    (2008, 9, 19, 4, ""),
    (2008, 9, 19, 5, "P"),
    (2022, 5, 19, 2, ""),
    (2022, 5, 19, 3, "D"),
    (2022, 9, 19, 3, "P"),
    (2022, 5, 20, 0, "D"),
    (2024, 7, 19, 3, "S"),
    (2024, 7, 19, 2, ""),
    (2024, 10, 30, 9, "P"),
    (2025, 5, 19, 2, ""),
    (2025, 5, 19, 3, "D"),
    (2025, 7, 19, 3, "D"),
    (2025, 7, 19, 4, "D"),
    (2025, 7, 19, 5, "S"),
    (2025, 7, 20, 0, "S"),
    (2025, 9, 19, 9, "S"),
    (2025, 9, 20, 0, "P"),
    (2025, 10, 24, 9, "P"),
    (2025, 10, 25, 0, "M"),
    (2025, 9, 25, 0, "P"),
    (2026, 10, 25, -3, "M"),
]


@pytest.mark.parametrize(("year", "goals", "members", "growth", "code"), BOUNDARIES)
def test_a_level_follows_from_the_rule_of_its_program_year(
    year: int,
    goals: int,
    members: int,
    growth: int,
    code: str,
) -> None:
    rule = rule_of(ProgramYear(year))
    earned = rule.earned(members, growth, goals, has_plan=True)
    assert (rule.steps[earned - 1].code if earned else "") == code


UNDISTRICTED = [
    # year, goals, members, growth, level
    (2012, 3, 20, 0, ""),
    (2012, 4, 20, 0, "D"),
    (2012, 5, 20, 0, "D"),
    (2012, 6, 19, 5, "S"),
    (2012, 8, 20, 0, "P"),
    (2023, 8, 19, 3, "P"),
    (2025, 8, 22, 6, "P"),
    (2025, 6, 20, 0, "S"),
    (2025, 9, 30, 9, "P"),
    (2025, 10, 25, 0, "M"),
]


@pytest.mark.parametrize(("year", "goals", "members", "growth", "code"), UNDISTRICTED)
def test_a_club_in_district_u_needs_4_6_and_8_goals(
    year: int, goals: int, members: int, growth: int, code: str
) -> None:
    rule = rule_of(ProgramYear(year), "U")
    earned = rule.earned(members, growth, goals, has_plan=True)
    assert (rule.steps[earned - 1].code if earned else "") == code


def test_a_club_in_district_u_with_8_goals_is_presidents_distinguished() -> None:
    """2025-2026: base 16, 22 members, a Club Success Plan and 8 goals; the reported level is P."""
    club = AClub(members="22", base="16", goals="8", plan="Y", code="P")
    found = result_of(club, year=2025, district="U")["distinguished"]
    assert found["reported"]["presidents"] == found["qualifying"]["presidents"] == 1
    assert found["toGo"] == [{"clubNumber": "309", "level": "smedley", "goals": 2, "members": 3, "planMissing": False}]
    assert result_of(club, year=2025, district="91")["distinguished"]["qualifying"]["select"] == 1


@pytest.mark.parametrize("year", [2008, 2021, 2022, 2024, 2025, 2030])
def test_each_level_requires_at_least_as_much_as_the_level_below(year: int) -> None:
    rule = rule_of(ProgramYear(year))
    for members in range(30):
        for growth in range(-3, 8):
            met = [[step.is_met(members, growth, goals) for step in rule.steps] for goals in range(11)]
            assert all(flags == sorted(flags, reverse=True) for flags in met)


def test_before_2025_no_success_plan_is_required() -> None:
    result = result_of(AClub(goals="5", plan="N"), year=2024)
    assert result["distinguished"]["qualifying"]["distinguished"] == 1
    assert result["distinguished"]["toGo"] == [{"clubNumber": "309", "level": "select", "goals": 2, "members": 0}]


def test_from_2025_a_club_without_a_success_plan_has_no_level_and_the_plan_is_noted() -> None:
    result = result_of(
        AClub(number="1", goals="10", members="25", plan="N"),
        AClub(number="2", goals="10", members="25", plan="Y"),
        year=2025,
    )
    assert result["distinguished"]["qualifying"] == {
        "distinguished": 0,
        "select": 0,
        "presidents": 0,
        "smedley": 1,
        "total": 1,
    }
    assert result["distinguished"]["toGo"] == [
        {"clubNumber": "1", "level": "distinguished", "goals": 0, "members": 0, "planMissing": True},
        {"clubNumber": "2", "level": None, "goals": 0, "members": 0, "planMissing": False},
    ]


def test_an_unreadable_success_plan_counts_as_missing_and_is_noted() -> None:
    result = result_of(AClub(number="1", goals="5", plan="perhaps"), AClub(number="2", goals="5", plan=""), year=2025)
    assert result["distinguished"]["qualifying"]["total"] == 0
    assert [code for code in codes_of(result) if code.startswith("CELL")] == ["CELL_UNREADABLE", "CELL_BLANK"]


def test_from_2025_the_levels_are_unknown_without_the_success_plan_column() -> None:
    result = result_of(AClub(goals="10"), year=2025)
    assert result["distinguished"]["qualifying"] is None
    assert result["distinguished"]["toGo"] is None
    assert "COLUMN_MISSING" in codes_of(result)


@pytest.mark.parametrize(
    ("year", "members", "base", "goals", "line"),
    [
        (2023, "18", "17", "3", ("distinguished", 2, 2)),
        (2023, "18", "16", "3", ("distinguished", 2, 1)),
        (2023, "20", "30", "5", ("select", 2, 0)),
        (2023, "20", "30", "9", (None, 0, 0)),
        (2021, "18", "17", "5", ("distinguished", 0, 2)),
        (2021, "12", "10", "5", ("distinguished", 0, 3)),
    ],
)
def test_the_next_level_is_listed_with_the_missing_goals_and_members(
    year: int,
    members: str,
    base: str,
    goals: str,
    line: tuple[str | None, int, int],
) -> None:
    (to_go,) = result_of(AClub(members=members, base=base, goals=goals), year=year)["distinguished"]["toGo"]
    assert (to_go["level"], to_go["goals"], to_go["members"]) == line


def test_the_reported_levels_are_counted_by_code_and_compared_with_the_base() -> None:
    clubs = [AClub(number=str(at), code=code) for at, code in enumerate("DDSPM ", start=1)]
    result = result_of(
        *clubs, summary={**SUMMARY, "Paid Club Base": "7", "Active Clubs": "6", "Total Distinguished Clubs": "5"}
    )
    assert result["distinguished"]["reported"] == {
        "distinguished": 2,
        "select": 1,
        "presidents": 1,
        "smedley": 1,
        "total": 5,
    }
    assert result["distinguished"]["percentOfBase"] == 71.43
    assert "SUMMARY_DIFFERS" not in codes_of(result)


def test_an_unknown_level_code_counts_in_no_level_and_is_noted() -> None:
    result = result_of(AClub(code="X"))
    assert result["distinguished"]["reported"]["total"] == 0
    assert [(note["code"], note["clubNumber"], note["found"]) for note in result["quality"]] == [
        ("UNKNOWN_LEVEL", "309", "X")
    ]


def test_a_club_with_unreadable_goals_has_no_level() -> None:
    result = result_of(AClub(goals="?"))
    assert result["distinguished"]["qualifying"]["total"] == 0
    assert result["distinguished"]["toGo"] == [{"clubNumber": "309", "level": None, "goals": None, "members": None}]
