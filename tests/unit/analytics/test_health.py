"""The health of clubs."""

from __future__ import annotations

import pytest

from backfill.analytics.health import CHECKPOINTS, Category, category
from tests.unit.analytics.builders import AClub, result_of


@pytest.mark.parametrize(
    ("members", "growth", "goals", "month", "expected"),
    [
        (11, 2, 10, 6, Category.INTERVENTION),
        (11, 3, 10, 6, Category.THRIVING),
        (11, 3, 4, 6, Category.VULNERABLE),
        (12, 2, 10, 6, Category.VULNERABLE),
        (12, -9, 0, 7, Category.VULNERABLE),
        (19, 2, 10, 6, Category.VULNERABLE),
        (19, 3, 10, 6, Category.THRIVING),
        (20, 2, 10, 6, Category.THRIVING),
        (20, -30, 5, 6, Category.THRIVING),
        (20, 5, 4, 6, Category.VULNERABLE),
        (0, 0, 0, 7, Category.INTERVENTION),
    ],
)
def test_the_category_changes_at_its_boundaries(
    members: int, growth: int, goals: int, month: int, expected: Category
) -> None:
    assert category(members, growth, goals, month) is expected


@pytest.mark.parametrize(
    ("month", "goals"),
    [(7, 0), (8, 0), (9, 1), (10, 2), (11, 2), (12, 3), (1, 3), (2, 4), (3, 4), (4, 5), (5, 5), (6, 5)],
)
def test_each_month_requires_its_number_of_goals(month: int, goals: int) -> None:
    assert CHECKPOINTS[month] == goals
    assert category(20, 0, goals, month) is Category.THRIVING
    if goals:
        assert category(20, 0, goals - 1, month) is Category.VULNERABLE


def test_every_open_club_is_listed_with_its_reasons() -> None:
    result = result_of(
        AClub(number="7", name="A  Club ", members="23", base="25", goals="3", division="J", area="04"),
        AClub(number="12", members="1", base="1"),
        month=12,
    )
    assert result["health"] == {
        "interventionRequired": 1,
        "thriving": 1,
        "vulnerable": 0,
        "clubs": [
            {
                "clubNumber": "7",
                "clubName": "A Club",
                "division": "J",
                "area": "04",
                "members": 23,
                "base": 25,
                "netGrowth": -2,
                "goals": 3,
                "category": "thriving",
                "reasons": ["23 members; 20 are required.", "3 goals met; 3 expected by the end of December."],
            },
            {
                "clubNumber": "12",
                "clubName": "Thame Speakers",
                "division": "A",
                "area": "01",
                "members": 1,
                "base": 1,
                "netGrowth": 0,
                "goals": 0,
                "category": "interventionRequired",
                "reasons": ["1 member and a net growth of 0; 12 members or a growth of 3 are required."],
            },
        ],
    }


@pytest.mark.parametrize(
    ("members", "base", "reason"),
    [
        ("15", "12", "15 members and a net growth of 3; a growth of 3 is required."),
        ("15", "14", "15 members and a net growth of 1; 20 members or a growth of 3 are required."),
    ],
)
def test_a_reason_contains_the_decisive_numbers(members: str, base: str, reason: str) -> None:
    assert result_of(AClub(members=members, base=base))["health"]["clubs"][0]["reasons"][0] == reason
