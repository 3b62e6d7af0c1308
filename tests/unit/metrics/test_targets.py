"""Targets of a district."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.metrics.builders import SUMMARY, AClub, result_of


def targets(**cells: str) -> dict[str, Any]:
    summary = {**SUMMARY, **{name.replace("_", " "): cell for name, cell in cells.items()}}
    found: dict[str, Any] = result_of(AClub(), summary=summary)["targets"]
    return found


def needed(target: dict[str, Any]) -> list[int | None]:
    return [level["needed"] for level in target["levels"]]


def test_what_is_needed_is_the_exact_ceiling() -> None:
    found = targets(Paid_Club_Base="100", Payment_Base="9211")
    assert needed(found["paidClubs"]) == [101, 103, 105, 108]
    assert needed(found["distinguishedClubs"]) == [45, 50, 55, 60]
    assert needed(found["payments"]) == [9304, 9488, 9672, 9948]
    assert [level["percent"] for level in found["payments"]["levels"]] == [1, 3, 5, 8]
    assert [level["percent"] for level in found["distinguishedClubs"]["levels"]] == [45, 50, 55, 60]
    assert [level["level"] for level in found["paidClubs"]["levels"]] == [
        "distinguished",
        "select",
        "presidents",
        "smedley",
    ]


@pytest.mark.parametrize(
    ("current", "level"),
    [
        ("100", None),
        ("101", "distinguished"),
        ("102", "distinguished"),
        ("103", "select"),
        ("105", "presidents"),
        ("107", "presidents"),
        ("108", "smedley"),
        ("500", "smedley"),
    ],
)
def test_the_achieved_level_is_the_highest_that_is_reached(current: str, level: str | None) -> None:
    found = targets(Paid_Club_Base="100", Paid_Clubs=current)["paidClubs"]
    assert (found["base"], found["current"], found["achieved"]) == (100, int(current), level)


def test_nothing_grows_from_a_base_of_0() -> None:
    found = targets(Payment_Base="0", Total_YTD_Payments="40")["payments"]
    assert needed(found) == [None] * 4
    assert found["achieved"] is None


def test_without_a_summary_there_are_no_targets() -> None:
    found = result_of(AClub(), summary=None)["targets"]
    assert all(target["base"] is None and target["achieved"] is None for target in found.values())
