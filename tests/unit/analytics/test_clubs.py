"""The clubs of a district, and their counts and sums."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backfill.analytics import Table, UnreadableSnapshot, district_result
from tests.unit.analytics.builders import (
    SUMMARY,
    AClub,
    clubs_table,
    codes_of,
    district_inputs,
    district_table,
    divisions_table,
    result_of,
    some_clubs,
)


def test_clubs_are_counted_by_status() -> None:
    result = result_of(
        AClub(number="1"),
        AClub(number="2"),
        AClub(number="3", status="Low"),
        AClub(number="4", status="Ineligible"),
        AClub(number="5", status="Suspended", name="Gone"),
        summary={**SUMMARY, "Active Clubs": "4", "Paid Clubs": "3"},
    )
    assert result["clubs"] == {
        "total": 5,
        "open": 4,
        "paid": 3,
        "active": 2,
        "low": 1,
        "ineligible": 1,
        "suspended": 1,
        "base": 4,
        "netGrowth": -1,
        "chartered": 0,
        "suspendedClubs": [{"clubNumber": "5", "clubName": "Gone"}],
    }
    assert result["quality"] == []


def test_clubs_are_in_the_order_of_their_numbers_even_if_a_number_is_too_long_for_an_integer() -> None:
    numbers = ["3" * 5_000, "10", "9", "2", "100"]
    result = result_of(*[AClub(number=number) for number in numbers])
    assert [line["clubNumber"] for line in result["health"]["clubs"]] == ["2", "9", "10", "100", "3" * 5_000]


def test_paid_clubs_are_the_official_figure_and_not_the_active_clubs() -> None:
    """District 21 in June 2024: Paid Clubs is 96, and 97 clubs have the status Active."""
    summary = {**SUMMARY, "Active Clubs": "97", "Paid Clubs": "96", "Paid Club Base": "95"}
    result = result_of(*some_clubs(97), summary=summary)
    assert [result["clubs"][name] for name in ("paid", "active", "base", "netGrowth")] == [96, 97, 95, 1]
    assert result["point"]["paidClubs"] == 96
    previous = {"members": 1, "payments": 1, "paidClubs": 90, "distinguished": 0}
    compared = result_of(*some_clubs(97), summary=summary, previous=previous)["yearOverYear"]
    assert compared["paidClubs"] == {"current": 96, "previous": 90, "change": 6, "percent": 6.67}


def test_paid_clubs_are_unknown_without_a_summary() -> None:
    counts = result_of(AClub(), summary=None)["clubs"]
    assert [counts[name] for name in ("paid", "base", "netGrowth", "active")] == [None, None, None, 1]


def test_suspended_clubs_count_only_in_the_payments() -> None:
    result = result_of(
        AClub(number="1", members="15", base="10", goals="3", paid={"New": "2", "Total to Date": "2"}),
        AClub(
            number="2",
            status="Suspended",
            members="30",
            base="40",
            goals="9",
            code="P",
            paid={"New": "5", "Total to Date": "5"},
        ),
    )
    assert result["membership"] == {"total": 15, "base": 10, "netGrowth": 5, "averagePerClub": 15.0}
    assert result["payments"]["new"] == 7
    assert result["distinguished"]["reported"]["total"] == 0
    assert [club["clubNumber"] for club in result["health"]["clubs"]] == ["1"]
    assert [line["clubNumber"] for line in result["distinguished"]["toGo"]] == ["1"]
    assert result["divisions"][0]["clubs"] == 1
    assert result["point"]["goals"] == 3


def test_the_average_is_rounded_half_away_from_zero_to_one_digit() -> None:
    clubs = [AClub(number=str(at), members=members) for at, members in enumerate(("20", "20", "20", "21"), start=1)]
    assert result_of(*clubs)["membership"]["averagePerClub"] == 20.3


def test_payments_are_summed_and_compared_with_the_base_of_the_summary() -> None:
    paid = {
        "New": "3",
        "Late Ren.": "1",
        "Oct. Ren.": "1,020",
        "Apr. Ren.": "-2",
        "Total Chart": "20",
        "Total to Date": "1,042",
    }
    summary = {
        **SUMMARY,
        "New Payments": "3",
        "Late Payments": "1",
        "October Payments": "1,020",
        "April Payments": "-2",
        "Total YTD Payments": "1,042",
        "Payment Base": "600",
        "Active Clubs": "1",
    }
    result = result_of(AClub(paid=paid), summary=summary)
    assert result["payments"] == {
        "new": 3,
        "late": 1,
        "october": 1020,
        "april": -2,
        "charter": 20,
        "total": 1042,
        "base": 600,
        "growth": 442,
        "growthPercent": 73.67,
    }
    assert result["quality"] == []


def test_growth_on_a_payment_base_of_0_has_no_percentage() -> None:
    result = result_of(AClub(paid={"Total to Date": "5"}), summary={**SUMMARY, "Payment Base": "0"})
    assert (result["payments"]["growth"], result["payments"]["growthPercent"]) == (5, None)


@pytest.mark.parametrize(
    ("cell", "counts"),
    [
        ("Charter 07/01/23", 1),
        ("Charter 06/30/24", 1),
        ("Charter 06/30/23", 0),
        ("Charter 07/01/24", 0),
        (" Susp 09/30/23", 0),
        ("Charter 13/45/23", 0),
        ("Charter soon", 0),
        ("Charter 09/30/23 Susp 07/01/24", 1),
        ("Charter 05/30/23 Susp 09/30/23", 0),
        (" charter  9/1/23", 1),
        ("", 0),
    ],
)
def test_clubs_chartered_in_the_program_year_are_counted(cell: str, counts: int) -> None:
    assert result_of(AClub(charter=cell), year=2023)["clubs"]["chartered"] == counts


def test_a_chartered_club_that_was_suspended_counts_as_chartered() -> None:
    """The cell may contain both dates. The official number of new clubs includes such a club, suspended or not."""
    cell = "Charter 09/30/25 Susp 07/01/26"
    clubs = [AClub(number="1", charter=cell), AClub(number="2", status="Suspended", charter=cell), AClub(number="3")]
    assert result_of(*clubs, year=2025)["clubs"]["chartered"] == 2


def test_an_unreadable_charter_date_is_noted() -> None:
    result = result_of(AClub(charter="Charter soon"))
    assert [(note["code"], note["clubNumber"], note["found"]) for note in result["quality"]] == [
        ("CELL_UNREADABLE", "309", "Charter soon")
    ]


def test_charter_dates_that_are_blank_on_the_whole_date_are_unknown_and_noted_once() -> None:
    result = result_of(*some_clubs(3), are_dates_blank=True)
    assert result["clubs"]["chartered"] is None
    assert codes_of(result) == ["COLUMN_BLANK"]
    assert result_of(*some_clubs(3))["clubs"]["chartered"] == 0


def test_reports_are_matched_by_number_without_leading_zeros() -> None:
    clubs = [AClub(number="00000309")]
    source = replace(
        district_inputs(clubs),
        districts=district_table([AClub(number="309")]),
        divisions=divisions_table([AClub(number=" 0309 ")]),
    )
    result = district_result(source)
    assert result["clubs"]["total"] == 1
    assert result["quality"] == []


def test_a_club_that_is_missing_from_a_report_is_counted_and_noted() -> None:
    both, club_only, paid_only = AClub(number="1"), AClub(number="2"), AClub(number="3", paid={"New": "4"})
    source = replace(district_inputs([both, club_only]), districts=district_table([both, paid_only]))
    result = district_result(source)
    assert result["clubs"]["total"] == 3
    assert result["clubs"]["open"] == 2
    assert result["payments"]["new"] == 4
    missing = [
        (note["clubNumber"], note["message"].split()[0]) for note in result["quality"] if note["code"] == "CLUB_MISSING"
    ]
    assert missing == [("3", "clubperformance"), ("2", "districtperformance"), ("3", "divisionperformance")]


def test_a_club_without_a_number_is_counted_once_and_matched_by_its_name() -> None:
    result = result_of(AClub(number="1"), AClub(number="", name="Nameless  Speakers "))
    assert result["clubs"]["total"] == 2
    assert codes_of(result) == ["CLUB_WITHOUT_NUMBER"] * 3
    assert "Nameless Speakers" in result["quality"][0]["message"]


def test_both_rows_of_a_club_with_two_rows_count_and_are_noted() -> None:
    result = result_of(AClub(number="1", members="20"), AClub(number="1", members="30"))
    assert result["clubs"]["total"] == 2
    assert result["membership"]["total"] == 50
    assert codes_of(result) == ["CLUB_TWICE", "ROW_REPEATED", "ROW_REPEATED"]


def test_identical_rows_count_once_with_a_note() -> None:
    """Some months of the real exports contain every row twice."""
    clubs = [AClub(number="1", paid={"New": "4", "Total to Date": "4"}), AClub(number="2", members="31")]
    matching_summary = {**SUMMARY, "Active Clubs": "2", "New Payments": "4", "Total YTD Payments": "4"}
    once, twice = (result_of(*rows, summary=matching_summary) for rows in (clubs, [*clubs, *clubs]))
    assert once["quality"] == []
    notes = twice["quality"]
    assert [(note["code"], note["message"].split()[0], note["found"]) for note in notes] == [
        ("ROW_REPEATED", "clubperformance", 2),
        ("ROW_REPEATED", "districtperformance", 2),
        ("ROW_REPEATED", "divisionperformance", 2),
    ]
    assert {**twice, "quality": []} == once


def test_a_district_that_the_summary_repeats_is_noted() -> None:
    assert codes_of(result_of(AClub(), is_summary_repeated=True)) == ["ROW_REPEATED"]


def test_a_club_of_unknown_status_counts_only_in_the_total() -> None:
    result = result_of(AClub(number="1"), AClub(number="2", status="Merged"), AClub(number="3", status=""))
    assert [result["clubs"][name] for name in ("total", "open", "active", "low", "ineligible", "suspended")] == [
        3,
        1,
        1,
        0,
        0,
        0,
    ]
    assert [(note["code"], note["clubNumber"], note["found"]) for note in result["quality"]] == [
        ("UNKNOWN_STATUS", "2", "Merged"),
        ("UNKNOWN_STATUS", "3", ""),
    ]


def test_the_status_is_parsed_regardless_of_case_and_spaces() -> None:
    assert result_of(AClub(status=" ACTIVE "))["clubs"]["active"] == 1


def test_an_unreadable_cell_is_omitted_and_noted_and_not_zero() -> None:
    result = result_of(AClub(number="1", members="many"), AClub(number="2", members="24"))
    assert result["membership"]["total"] == 24
    assert result["membership"]["averagePerClub"] == 24.0
    assert result["health"]["clubs"][0]["members"] is None
    assert result["health"]["clubs"][0]["category"] is None
    assert [(note["code"], note["clubNumber"], note["found"]) for note in result["quality"]] == [
        ("CELL_UNREADABLE", "1", "many")
    ]


@pytest.mark.parametrize("cell", ["", "N/A"])
def test_a_blank_cell_is_omitted_and_noted(cell: str) -> None:
    result = result_of(AClub(number="1", paid={"New": cell}), AClub(number="2", paid={"New": "3"}))
    assert result["payments"]["new"] == 3
    assert [note["code"] for note in result["quality"] if note["clubNumber"]] == ["CELL_BLANK"]


def test_the_sum_of_an_unreadable_column_is_null_and_not_zero() -> None:
    result = result_of(AClub(members="N/A", goals="", paid={"New": "?"}, goal_cells={"Level 1s": "-"}))
    assert result["payments"]["new"] is None
    assert result["membership"] == {"total": None, "base": 20, "netGrowth": None, "averagePerClub": None}
    assert (result["point"]["members"], result["point"]["goals"]) == (None, None)
    assert result["goals"][0] == {"goal": 1, "achieved": None, "percent": None}
    assert codes_of(result) == ["CELL_BLANK", "CELL_BLANK", "CELL_UNREADABLE", "CELL_UNREADABLE"]


def test_a_district_of_suspended_clubs_has_zero_sums_and_no_average() -> None:
    result = result_of(AClub(status="Suspended"))
    assert result["membership"] == {"total": 0, "base": 0, "netGrowth": 0, "averagePerClub": None}
    assert result["goals"][0] == {"goal": 1, "achieved": 0, "percent": None}


@pytest.mark.parametrize("report", ["clubs", "districts", "divisions"])
def test_a_report_without_rows_fails_the_item(report: str) -> None:
    source = district_inputs([AClub()])
    empty = replace(source, **{report: Table(getattr(source, report).columns, [])})  # type: ignore[arg-type]
    with pytest.raises(UnreadableSnapshot, match="has no rows"):
        district_result(empty)


def test_a_missing_required_column_fails_the_item_and_is_named() -> None:
    full = clubs_table([AClub()])
    kept = [at for at, name in enumerate(full.columns) if name not in ("Goals Met", "Mem. Base")]
    cut = Table(tuple(full.columns[at] for at in kept), [[row[at] for at in kept] for row in full.rows])
    with pytest.raises(
        UnreadableSnapshot, match=r"clubperformance lacks required columns: Mem\. Base, Goals Met"
    ) as raised:
        district_result(district_inputs([AClub()], clubs=cut))
    assert raised.value.code == "UNREADABLE_SNAPSHOT"


def test_a_row_with_another_number_of_cells_is_refused() -> None:
    with pytest.raises(UnreadableSnapshot, match="another number of cells"):
        Table(("a", "b"), [["1", "2"], ["1"]])


def test_columns_are_matched_regardless_of_case_and_spaces() -> None:
    table = Table(("Nov Visit award", " CLUB  Number "), [["1", "2"]])
    assert table.position("club number") == 1
    assert table.position("Nov visit Award") == 0
    assert table.position("May visit award") is None
