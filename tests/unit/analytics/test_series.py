"""The point of the trend, the comparison with the previous year, and the fields of a result."""

from __future__ import annotations

import json

import pytest

from backfill.analytics import SCHEMA_VERSION, open_clubs, read_open_clubs
from tests.unit.analytics.builders import SUMMARY, AClub, a_world, clubs_table, result_of, some_clubs


def test_a_point_contains_the_figures_of_its_result() -> None:
    result = result_of(
        AClub(number="1", members="25", goals="6", code="D", paid={"Total to Date": "30"}),
        AClub(number="2", members="13", goals="2", status="Low"),
        AClub(number="3", members="5", base="9", status="Ineligible"),
        summary={**SUMMARY, "Paid Clubs": "2"},
    )
    assert result["point"] == {
        "date": "2024-06-30",
        "members": 43,
        "payments": 30,
        "paidClubs": 2,
        "distinguished": 1,
        "goals": 8,
        "thriving": 1,
        "vulnerable": 1,
        "interventionRequired": 1,
    }


def test_a_result_is_compared_with_the_point_of_the_previous_year() -> None:
    previous = {"members": 30, "payments": 0, "paidClubs": 3, "distinguished": 2}
    club = AClub(members="20", paid={"Total to Date": "7"})
    result = result_of(club, previous=previous, previous_clubs=["309", "5"], summary={**SUMMARY, "Paid Clubs": "1"})
    assert result["yearOverYear"] == {
        "members": {"current": 20, "previous": 30, "change": -10, "percent": -33.33},
        "payments": {"current": 7, "previous": 0, "change": 7, "percent": None},
        "paidClubs": {"current": 1, "previous": 3, "change": -2, "percent": -66.67},
        "distinguished": {"current": 0, "previous": 2, "change": -2, "percent": -100.0},
        "comparable": True,
        "clubsJoined": 0,
        "clubsLeft": 1,
    }


@pytest.mark.parametrize(
    ("stayed", "joined", "comparable"), [(17, 3, True), (16, 3, False), (85, 15, True), (84, 16, False)]
)
def test_years_are_comparable_if_85_percent_of_the_open_clubs_existed_before(
    stayed: int, joined: int, comparable: bool
) -> None:
    clubs = some_clubs(stayed + joined)
    before = [str(number) for number in range(joined + 1, joined + stayed + 1)]
    found = result_of(*clubs, previous=result_of(AClub())["point"], previous_clubs=[*before, "9001", "9002"])
    compared = found["yearOverYear"]
    assert (compared["comparable"], compared["clubsJoined"], compared["clubsLeft"]) == (comparable, joined, 2)


def test_suspended_clubs_are_excluded_from_the_comparison() -> None:
    clubs = [AClub(number="1"), AClub(number="2", status="Suspended")]
    compared = result_of(*clubs, previous=result_of(AClub())["point"], previous_clubs=["1"])["yearOverYear"]
    assert (compared["comparable"], compared["clubsJoined"], compared["clubsLeft"]) == (True, 0, 0)


def test_comparability_is_unknown_without_the_clubs_of_the_previous_year() -> None:
    compared = result_of(AClub(), previous=result_of(AClub())["point"])["yearOverYear"]
    assert (compared["comparable"], compared["clubsJoined"], compared["clubsLeft"]) == (None, None, None)


def test_the_comparability_of_a_district_without_open_clubs_is_unknown() -> None:
    found = result_of(AClub(status="Suspended"), previous=result_of(AClub())["point"], previous_clubs=["1"])
    assert found["yearOverYear"]["comparable"] is None


def test_the_open_clubs_of_a_report_are_those_of_its_result() -> None:
    clubs = [
        AClub(number="00000007"),
        AClub(number="0003", status="Low"),
        AClub(number="", name="Nameless  Speakers "),
        AClub(number="5", status="Suspended"),
        AClub(number="6", status="?"),
    ]
    assert read_open_clubs(clubs_table(clubs)) == open_clubs(result_of(*clubs)) == ("Nameless Speakers", "3", "7")


def test_there_is_no_comparison_without_a_previous_year() -> None:
    assert result_of(AClub())["yearOverYear"] is None


def test_the_fields_of_a_result_have_a_fixed_order() -> None:
    result = result_of(AClub())
    assert list(result) == [
        "date",
        "districtId",
        "programYear",
        "dataMonth",
        "asOf",
        "isFinal",
        "sourceHash",
        "schemaVersion",
        "clubs",
        "membership",
        "payments",
        "health",
        "distinguished",
        "goals",
        "divisions",
        "areas",
        "targets",
        "rankings",
        "point",
        "yearOverYear",
        "quality",
    ]
    assert [result[name] for name in list(result)[:8]] == [
        "2024-06-30",
        "91",
        "2023-2024",
        "2024-06",
        "2024-06-30",
        True,
        "00ff",
        SCHEMA_VERSION,
    ]
    assert json.loads(json.dumps(result)) == result


def test_the_rankings_of_a_district_are_its_row_of_the_world_result() -> None:
    line = a_world({"DISTRICT": "91"})["districts"]["91"]
    assert result_of(AClub(), world_line=line)["rankings"] == line
    assert result_of(AClub())["rankings"] is None
