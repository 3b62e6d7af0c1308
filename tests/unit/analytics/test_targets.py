"""The targets of a district by the rules of its program year."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.analytics.builders import SUMMARY, AClub, codes_of, result_of

ALL_MET = ("DSP", "Training", "Market Analysis", "Communication Plan", "Region Advisor Visit")


def result(year: int = 2025, /, **cells: str) -> dict[str, Any]:
    conditions = dict.fromkeys(ALL_MET, "Y") if year >= 2025 else {}
    summary = {**SUMMARY, **conditions, **{name.replace("_", " "): cell for name, cell in cells.items()}}
    return result_of(AClub(plan="Y"), summary=summary, year=year)


def targets(year: int = 2025, /, **cells: str) -> dict[str, Any]:
    found: dict[str, Any] = result(year, **cells)["targets"]
    return found


def needed(target: dict[str, Any]) -> list[int | None]:
    return [level["needed"] for level in target["levels"]]


def percents(target: dict[str, Any]) -> list[float | None]:
    return [level["percent"] for level in target["levels"]]


BOTH = ["DSP", "Training"]
PLANS = [*BOTH, "Market Analysis", "Communication Plan"]


@pytest.mark.parametrize(
    ("years", "payments", "clubs", "distinguished", "conditions"),
    [
        ((2012, 2017), [3, 5, 8], [3, 5, 8], [40, 45, 50], BOTH),
        ((2018, 2021), [1.5, 3, 5, 8], [1.5, 3, 5, 8], [40, 45, 50, 55], BOTH),
        ((2022, 2024), [1, 3, 5, 8], [None, None, 3, 5], [40, 45, 50, 55], BOTH),
        ((2025, 2025), [1, 3, 5, 8], [1, 3, 5, 8], [45, 50, 55, 60], [*PLANS, "Region Advisor Visit"]),
        ((2026, 2030), [1, 3, 5, 8], [1, 3, 5, 8], [45, 50, 55, 60], PLANS),
    ],
)
def test_each_period_of_years_has_its_own_levels_and_conditions(
    years: tuple[int, int],
    payments: list[float],
    clubs: list[float | None],
    distinguished: list[float],
    conditions: list[str],
) -> None:
    for year in years:
        found = targets(year, Paid_Club_Base="100", Payment_Base="1000")
        assert percents(found["payments"]) == payments
        assert percents(found["paidClubs"]) == clubs
        assert percents(found["distinguishedClubs"]) == distinguished
        assert [condition["name"] for condition in found["conditions"]] == conditions
        levels = ["distinguished", "select", "presidents", "smedley"][: len(payments)]
        for name in ("payments", "paidClubs", "distinguishedClubs"):
            assert [level["level"] for level in found[name]["levels"]] == levels


def test_before_2012_there_are_no_targets() -> None:
    found = targets(2011, Paid_Club_Base="100", Payment_Base="1000")
    assert found == {"paidClubs": None, "payments": None, "distinguishedClubs": None, "conditions": [], "level": None}


@pytest.mark.parametrize(
    ("year", "clubs", "payments", "distinguished"),
    [
        (2012, [103, 105, 108], [9488, 9672, 9948], [40, 45, 50]),
        (2018, [102, 103, 105, 108], [9350, 9488, 9672, 9948], [40, 45, 50, 55]),
        (2022, [100, 101, 103, 105], [9304, 9488, 9672, 9948], [40, 45, 50, 55]),
        (2025, [101, 103, 105, 108], [9304, 9488, 9672, 9948], [45, 50, 55, 60]),
    ],
)
def test_the_required_number_is_rounded_up_exactly(
    year: int, clubs: list[int], payments: list[int], distinguished: list[int]
) -> None:
    found = targets(year, Paid_Club_Base="100", Payment_Base="9211")
    assert needed(found["paidClubs"]) == clubs
    assert needed(found["payments"]) == payments
    assert needed(found["distinguishedClubs"]) == distinguished


def test_district_13_of_2023_2024_is_smedley_distinguished() -> None:
    found = targets(
        2023,
        Paid_Club_Base="60",
        Paid_Clubs="63",
        Payment_Base="2059",
        Total_YTD_Payments="2253",
        Total_Distinguished_Clubs="34",
    )
    assert needed(found["paidClubs"]) == [60, 61, 62, 63]
    assert needed(found["distinguishedClubs"]) == [24, 27, 30, 33]
    assert found["conditions"] == [{"name": "DSP", "met": True}, {"name": "Training", "met": True}]
    assert found["level"] == "smedley"


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
def test_the_achieved_level_is_the_highest_reached_level(current: str, level: str | None) -> None:
    found = targets(Paid_Club_Base="100", Paid_Clubs=current)["paidClubs"]
    assert (found["base"], found["current"], found["achieved"]) == (100, int(current), level)


REACHED = {"Paid_Club_Base": "100", "Payment_Base": "1000"}


@pytest.mark.parametrize(
    ("clubs", "payments", "distinguished", "level"),
    [
        ("108", "1080", "60", "smedley"),
        ("108", "1080", "54", "select"),
        ("103", "1080", "60", "select"),
        ("108", "1010", "60", "distinguished"),
        ("108", "1009", "60", None),
    ],
)
def test_the_level_of_a_district_is_the_lowest_level_of_its_three_targets(
    clubs: str, payments: str, distinguished: str, level: str | None
) -> None:
    cells = {"Paid_Clubs": clubs, "Total_YTD_Payments": payments, "Total_Distinguished_Clubs": distinguished}
    assert targets(**REACHED, **cells)["level"] == level


@pytest.mark.parametrize("name", ALL_MET)
def test_a_district_that_does_not_meet_a_condition_has_no_level(name: str) -> None:
    cells = {"Paid_Clubs": "108", "Total_YTD_Payments": "1080", "Total_Distinguished_Clubs": "60"}
    found = targets(**REACHED, **cells, **{name.replace(" ", "_"): "N"})
    assert found["level"] is None
    assert {condition["name"]: condition["met"] for condition in found["conditions"]} == {
        condition: condition != name for condition in ALL_MET
    }
    assert found["paidClubs"]["achieved"] == "smedley"


def test_an_unreadable_condition_is_null_and_noted_and_the_district_has_no_level() -> None:
    cells = {"Paid_Clubs": "108", "Total_YTD_Payments": "1080", "Total_Distinguished_Clubs": "60"}
    found = result(2024, **REACHED, **cells, DSP="perhaps", Training="")
    assert found["targets"]["conditions"] == [{"name": "DSP", "met": None}, {"name": "Training", "met": None}]
    assert found["targets"]["level"] is None
    assert codes_of(found)[:2] == ["CELL_UNREADABLE", "CELL_BLANK"]


def test_a_condition_without_its_column_is_null_and_noted() -> None:
    summary = {name: cell for name, cell in SUMMARY.items() if name != "Training"}
    found = result_of(AClub(), summary={**summary, "Active Clubs": "1"})
    assert found["targets"]["conditions"][1] == {"name": "Training", "met": None}
    assert codes_of(found) == ["COLUMN_MISSING"]


def test_a_base_of_zero_has_no_targets() -> None:
    found = targets(Payment_Base="0", Total_YTD_Payments="40")["payments"]
    assert needed(found) == [None] * 4
    assert found["achieved"] is None


def test_without_a_summary_there_are_no_targets() -> None:
    found = result_of(AClub(), summary=None)["targets"]
    for name in ("paidClubs", "payments", "distinguishedClubs"):
        assert found[name]["base"] is None
        assert found[name]["achieved"] is None
    assert found["conditions"] == [{"name": "DSP", "met": None}, {"name": "Training", "met": None}]
    assert found["level"] is None
