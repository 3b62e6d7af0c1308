"""Quality notes: inconsistencies are noted and do not raise."""

from __future__ import annotations

import pytest

from tests.unit.analytics.builders import SUMMARY, AClub, codes_of, result_of


def test_a_consistent_district_has_no_notes() -> None:
    assert result_of(AClub())["quality"] == []


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("New Payments", 1),
        ("Late Payments", 2),
        ("October Payments", 3),
        ("April Payments", 4),
        ("Total YTD Payments", 10),
        ("Active Clubs", 1),
        ("Total Distinguished Clubs", 1),
    ],
)
def test_a_sum_that_differs_from_the_summary_is_noted_with_both_numbers(column: str, found: int) -> None:
    club = AClub(
        code="D", paid={"New": "1", "Late Ren.": "2", "Oct. Ren.": "3", "Apr. Ren.": "4", "Total to Date": "10"}
    )
    matching_summary = {
        **SUMMARY,
        "New Payments": "1",
        "Late Payments": "2",
        "October Payments": "3",
        "April Payments": "4",
        "Total YTD Payments": "10",
        "Active Clubs": "1",
        "Total Distinguished Clubs": "1",
    }
    assert result_of(club, summary=matching_summary)["quality"] == []
    (note,) = result_of(club, summary={**matching_summary, column: "77"})["quality"]
    assert (note["code"], note["expected"], note["found"], note["clubNumber"]) == ("SUMMARY_DIFFERS", 77, found, None)
    assert "77" in note["message"]


def test_without_a_summary_its_figures_are_null_with_one_note() -> None:
    result = result_of(AClub(paid={"Total to Date": "5"}), summary=None)
    assert codes_of(result) == ["SUMMARY_MISSING"]
    assert (result["clubs"]["base"], result["clubs"]["netGrowth"]) == (None, None)
    assert [result["payments"][name] for name in ("total", "base", "growth", "growthPercent")] == [5, None, None, None]
    assert result["distinguished"]["percentOfBase"] is None


def test_a_figure_that_is_missing_from_the_summary_is_null_and_noted_once() -> None:
    result = result_of(AClub(), summary={**SUMMARY, "Active Clubs": "1", "Payment Base": "N/A", "Paid Club Base": "?"})
    assert codes_of(result) == ["CELL_UNREADABLE", "CELL_BLANK"]
    assert result["clubs"]["base"] is None
    without = {name: cell for name, cell in SUMMARY.items() if name != "Payment Base"}
    assert codes_of(result_of(AClub(), summary={**without, "Active Clubs": "1"})) == ["COLUMN_MISSING"]


def test_the_columns_of_the_summary_are_matched_regardless_of_case() -> None:
    summary = {name.upper(): cell for name, cell in {**SUMMARY, "Active Clubs": "1"}.items()}
    assert result_of(AClub(), summary=summary)["quality"] == []


def test_every_note_has_the_same_fields() -> None:
    result = result_of(AClub(number="", status="?", members="x", goals="", code="Z"), summary=None)
    assert result["quality"]
    for note in result["quality"]:
        assert list(note) == ["code", "message", "clubNumber", "expected", "found"]
        assert note["message"].endswith(".")
