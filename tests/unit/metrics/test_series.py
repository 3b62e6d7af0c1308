"""The trend's point, the comparison with the year before, and the head of a result."""

from __future__ import annotations

import json

from backfill.metrics import SCHEMA_VERSION
from tests.unit.metrics.builders import AClub, a_world, result_of


def test_a_point_has_the_figures_of_its_result() -> None:
    result = result_of(
        AClub(number="1", members="25", goals="6", code="D", paid={"Total to Date": "30"}),
        AClub(number="2", members="13", goals="2", status="Low"),
        AClub(number="3", members="5", base="9", status="Ineligible"),
    )
    assert result["point"] == {
        "date": "2024-06-30",
        "members": 43,
        "payments": 30,
        "paidClubs": 1,
        "distinguished": 1,
        "goals": 8,
        "thriving": 1,
        "vulnerable": 1,
        "interventionRequired": 1,
    }


def test_a_year_is_compared_with_the_point_of_the_year_before() -> None:
    previous = {"members": 30, "payments": 0, "paidClubs": 3, "distinguished": 2}
    result = result_of(AClub(members="20", paid={"Total to Date": "7"}), previous=previous)
    assert result["yearOverYear"] == {
        "members": {"current": 20, "previous": 30, "change": -10, "percent": -33.33},
        "payments": {"current": 7, "previous": 0, "change": 7, "percent": None},
        "paidClubs": {"current": 1, "previous": 3, "change": -2, "percent": -66.67},
        "distinguished": {"current": 0, "previous": 2, "change": -2, "percent": -100.0},
    }


def test_without_a_year_before_there_is_no_comparison() -> None:
    assert result_of(AClub())["yearOverYear"] is None


def test_the_result_names_what_it_is_of_in_a_fixed_order() -> None:
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


def test_the_rankings_of_a_district_are_its_line_of_the_world() -> None:
    line = a_world({"DISTRICT": "91"})["districts"]["91"]
    assert result_of(AClub(), world_line=line)["rankings"] == line
    assert result_of(AClub())["rankings"] is None
