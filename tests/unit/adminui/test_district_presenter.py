"""The page of a district's stored result."""

from __future__ import annotations

from typing import Any

import pytest

from adminui.presenters import district as presenter
from adminui.presenters.number_format import UNKNOWN
from adminui.presenters.tables import Cell, Table
from tests.unit.analytics.builders import SUMMARY, AClub, a_world, result_of, some_clubs, unit_cells

SUMMARY_ROW = {
    **SUMMARY,
    "Active Clubs": "3",
    "Paid Clubs": "3",
    "Payment Base": "1000",
    "Total YTD Payments": "1025",
}

THRIVING = AClub(number="1", name="Thame Speakers", members="24", base="20", goals="9", code="P")
VULNERABLE = AClub(number="2", name="Oxford", members="15", base="14", goals="4", area="02")
WEAK = AClub(number="3", name="Didcot", division="B", members="8", base="9", goals="1")


def shown(*clubs: AClub, **options: Any) -> presenter.District:
    return presenter.district(result_of(*clubs, **options))


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def column(table: Table, number: int) -> list[Cell]:
    return [row.cells[number] for row in table.rows]


def test_the_page_states_its_month_and_whether_it_was_closed() -> None:
    district = shown(THRIVING)
    assert district.name == "District 91"
    assert district.about == "Figures of June 2024, final close, as of 30 Jun 2024."
    assert "the month was still open" in shown(THRIVING, is_final=False).about


def test_the_tiles_show_the_figures_of_the_result_and_their_growth() -> None:
    members, payments, clubs, distinguished = shown(THRIVING, VULNERABLE, WEAK, summary=SUMMARY_ROW).tiles
    assert (members.value, members.change, members.tone) == ("47", "+4", "ok")
    assert members.notes == ["base 43", "15.7 a club"]
    assert (payments.value, payments.change) == ("0", "\N{MINUS SIGN}100.00 %")
    assert (clubs.value, clubs.change, clubs.tone) == ("3", "\N{MINUS SIGN}1", "bad")
    assert (distinguished.value, distinguished.notes) == ("1", ["25.00 % of the base"])


def test_unknown_figures_are_shown_as_a_dash_and_not_as_zero() -> None:
    district = shown(THRIVING, summary=None)
    assert district.tiles[1].change == UNKNOWN
    assert district.targets is not None
    assert texts(district.targets.table)[0] == ["Paid clubs", *[UNKNOWN] * 6]
    assert district.targets.level == "It is unknown whether the district has a level."
    assert district.ranking is None
    assert district.comparisons is None


def test_reported_levels_are_shown_next_to_computed_levels() -> None:
    levels = shown(THRIVING, AClub(number="4", members="22", goals="5")).distinguished.levels
    assert texts(levels) == [
        ["Distinguished", "0", "1"],
        ["Select Distinguished", "0", "0"],
        ["President's Distinguished", "1", "1"],
        ["Total", "1", "2"],
    ]
    assert [row.kind for row in levels.rows] == ["", "", "", "total"]


def test_clubs_nearest_to_their_next_level_are_first_and_clubs_at_the_top_are_counted() -> None:
    found = shown(WEAK, VULNERABLE, THRIVING).distinguished
    assert texts(found.nearest) == [
        ["Oxford", "Distinguished", "1 goal and 2 members"],
        ["Didcot", "Distinguished", "4 goals and 4 members"],
    ]
    assert found.at_top == 1


def test_ten_clubs_are_listed_and_the_others_can_be_expanded() -> None:
    found = shown(*some_clubs(14, members="12", goals="2")).distinguished
    assert (len(found.nearest.rows), len(found.others.rows)) == (10, 4)


def test_a_club_without_a_success_plan_is_last_and_the_plan_is_named() -> None:
    planless = AClub(number="5", name="Planless", members="22", goals="5", plan="N")
    found = shown(planless, AClub(number="6", name="Near", members="20", goals="4", plan="Y"), year=2025).distinguished
    assert texts(found.nearest) == [
        ["Near", "Distinguished", "1 goal"],
        ["Planless", "Distinguished", "the Club Success Plan"],
    ]


def test_clubs_are_grouped_by_health_with_the_reasons_of_the_result() -> None:
    intervention, vulnerable, thriving = shown(THRIVING, VULNERABLE, WEAK).health.categories
    assert [category.count for category in (intervention, vulnerable, thriving)] == [1, 1, 1]
    (weak,), (oxford,) = texts(intervention.clubs), texts(vulnerable.clubs)
    assert weak[0] == "Didcot"
    assert weak[-1].startswith("8 members and a net growth of -1")
    assert oxford[:5] == ["Oxford", "A/02", "15", "+1", "4"]
    assert [(round(c.x), round(c.width)) for c in (intervention, vulnerable, thriving)] == [(0, 33), (33, 33), (67, 33)]


def test_a_club_that_cannot_be_assessed_is_listed() -> None:
    district = shown(THRIVING, AClub(number="7", name="Unread", members="N/A"))
    assert [club.text for club in column(district.health.unassessed, 0)] == ["Unread"]


def test_the_ten_goals_have_names_and_are_absent_before_2020() -> None:
    goals = shown(THRIVING).goals
    assert goals is not None
    assert [goal.number for goal in goals] == list(range(1, 11))
    assert len({goal.name for goal in goals}) == 10
    assert shown(THRIVING, year=2018).goals is None


def test_areas_follow_their_division_with_the_requirements_of_the_next_level() -> None:
    units = shown(THRIVING, VULNERABLE, WEAK).divisions
    assert [(row.kind, row.cells[0].text) for row in units.rows] == [
        ("division", "Division A"),
        ("area", "Area 01"),
        ("area", "Area 02"),
        ("division", "Division B"),
        ("area", "Area 01"),
    ]
    assert units.rows[0].cells[-1].text == "2 distinguished"
    assert units.rows[1].cells[-1].text == "2 distinguished, 2 first-round visits and 2 second-round visits"


def test_the_computed_level_of_an_area_is_shown_if_the_dashboard_reports_another_one() -> None:
    from tests.unit.analytics.builders import divisions_table

    earned = unit_cells(base=1, distinguished=2)
    table = divisions_table([THRIVING], areas={("A", "01"): earned})
    division, area = column(shown(THRIVING, divisions=table).divisions, -2)
    assert (area.text, area.note) == (UNKNOWN, "earned: Distinguished")
    assert division.note == ""


def test_the_unaligned_division_is_shown_without_a_letter() -> None:
    units = shown(AClub(division="0D", area="0A")).divisions
    assert [cell.text for cell in column(units, 0)] == ["Unaligned", "Unaligned"]


def test_targets_state_whether_they_are_reached_and_what_is_left() -> None:
    row = {**SUMMARY_ROW, "Paid Club Base": "100", "Paid Clubs": "103", "Total Distinguished Clubs": "39"}
    found = shown(THRIVING, summary=row).targets
    assert found is not None
    clubs, payments, distinguished = (line.cells[3:] for line in found.table.rows)
    assert [(cell.text, cell.note) for cell in clubs] == [
        ("100", "reached"),
        ("101", "reached"),
        ("103", "3 %, reached"),
        ("105", "5 %, 2 to go"),
    ]
    assert [cell.icon for cell in payments] == ["check", "", "", ""]
    assert distinguished[0].note == "40 %, 1 to go"


def test_targets_follow_the_levels_and_percentages_of_the_program_year() -> None:
    row = {**SUMMARY_ROW, "Paid Club Base": "100", "Paid Clubs": "100"}
    found = shown(THRIVING, summary=row, year=2018).targets
    assert found is not None
    assert found.table.rows[0].cells[3].note == "1.5 %, 2 to go"
    found = shown(THRIVING, summary=row, year=2017).targets
    assert found is not None
    assert [column.label for column in found.table.columns[3:]] == [
        "Distinguished",
        "Select Distinguished",
        "President's Distinguished",
    ]
    assert shown(THRIVING, summary=row, year=2011).targets is None


REACHED = {
    **SUMMARY_ROW,
    "Paid Club Base": "100",
    "Paid Clubs": "103",
    "Total YTD Payments": "1090",
    "Total Distinguished Clubs": "50",
}


@pytest.mark.parametrize(
    ("cells", "tone", "level"),
    [
        ({}, "ok", "The district is President's Distinguished."),
        ({"Training": "N"}, "neutral", "The district has no level yet. Conditions not met: Training."),
        (
            {"DSP": "N", "Training": "N"},
            "neutral",
            "The district has no level yet. Conditions not met: DSP and Training.",
        ),
        (
            {"Paid Clubs": "99"},
            "neutral",
            "The district has no level yet: it has not reached every target of the first level.",
        ),
        (
            {"DSP": "?"},
            "neutral",
            "It is unknown whether the district has a level: the summary has no value for DSP.",
        ),
    ],
)
def test_a_sentence_states_the_level_of_the_district_or_the_reason_for_no_level(
    cells: dict[str, str], tone: str, level: str
) -> None:
    found = shown(THRIVING, summary={**REACHED, **cells}).targets
    assert found is not None
    assert (found.level, found.tone) == (level, tone)


def test_each_condition_states_whether_it_is_met() -> None:
    found = shown(THRIVING, summary={**REACHED, "DSP": "N", "Training": ""}).targets
    assert found is not None
    assert [(one.name, one.text, one.tone) for one in found.conditions] == [
        ("DSP", "not met", "bad"),
        ("Training", "unknown", "warn"),
    ]


def test_a_result_of_older_rules_is_shown_with_a_note() -> None:
    result = result_of(THRIVING, previous=result_of(VULNERABLE)["point"], summary=REACHED)
    del result["clubs"]["active"]
    for name in ("conditions", "level"):
        del result["targets"][name]
    for name in ("comparable", "clubsJoined", "clubsLeft"):
        del result["yearOverYear"][name]
    district = presenter.district(result)
    assert district.targets is not None
    assert district.targets.level == "Computed with older rules; an analytics-generation job computes it again."
    assert district.comparability is None


def test_the_figures_of_the_previous_year_are_shown_for_comparison() -> None:
    before = result_of(VULNERABLE)["point"]
    compared = shown(THRIVING, previous=before).comparisons
    assert compared is not None
    assert texts(compared)[0] == ["Members", "24", "15", "+9"]
    change = compared.rows[0].cells[-1]
    assert (change.note, change.tone) == ("+60.00 %", "ok")


def test_a_reformed_district_is_not_comparable_and_the_joined_clubs_are_counted() -> None:
    before = result_of(VULNERABLE)["point"]
    clubs = some_clubs(200)
    found = shown(*clubs, previous=before, previous_clubs=[str(number) for number in range(117, 210)]).comparability
    assert found is not None
    assert (found.text, found.is_warning) == ("Not comparable: 116 clubs joined and 9 left.", True)
    found = shown(*clubs, previous=before, previous_clubs=[str(number) for number in range(2, 201)]).comparability
    assert found is not None
    assert (found.text, found.is_warning) == ("Since then 1 club joined and 0 left.", False)
    assert shown(*clubs, previous=before).comparability is None


def test_the_ranking_is_that_of_the_world_result() -> None:
    world = a_world({"DISTRICT": "91", "% Club Growth": "2.00%"}, {"DISTRICT": "07"}, {"DISTRICT": "F"})
    ranking = shown(THRIVING, world_line=world["districts"]["91"]).ranking
    assert ranking is not None
    assert (ranking.overall, ranking.percentile, ranking.region_rank) == ("1", "66.7", "1")
    assert [rank.text for rank in column(ranking.measures, 2)] == ["1", "1", "1"]


def test_all_quality_notes_are_listed_with_their_club() -> None:
    quality = shown(AClub(number="8", name="Off", members="20", goals="6"), year=2023).quality
    assert quality.summary == "1 inconsistency: goals that differ (1)."
    (note,) = texts(quality.notes)
    assert note[1:] == ["Off (8)", "6", "0"]
    assert "Goals Met is 6" in note[0]


def test_consistent_figures_are_reported_as_consistent() -> None:
    assert shown(AClub()).quality.summary == "All sums agree with the district summary."
