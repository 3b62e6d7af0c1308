"""The figures of each club equal those of the result of its district."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from backfill.analytics import ClubFigures, club_figures, district_result
from tests.unit.analytics.builders import AClub, district_inputs, some_clubs


def figures_of(*clubs: AClub, **options: Any) -> list[ClubFigures]:
    return club_figures(district_inputs(clubs, **options))


def test_a_club_has_the_cells_of_its_rows() -> None:
    (club,) = figures_of(
        AClub(
            members="22",
            goals="7",
            code="S",
            charter="Charter 09/30/23",
            paid={"New": "3", "Oct. Ren.": "18", "Total to Date": "1,021"},
        )
    )
    assert (club.club_number, club.club_name, club.division, club.area) == ("309", "Thame Speakers", "A", "01")
    assert (club.status, club.members, club.base, club.net_growth, club.goals) == ("Active", 22, 20, 2, 7)
    assert (club.payments_new, club.payments_october, club.payments_april, club.payments_total) == (3, 18, 0, 1021)
    assert (club.charter_date, club.reported_level) == (date(2023, 9, 30), "select")


def test_each_goal_is_met_or_not() -> None:
    (club,) = figures_of(AClub(goal_cells={"Level 1s": "4", "Add. New Members": "4", "Off. Trained Round 1": "4"}))
    flags = [getattr(club, f"goal_{place}") for place in range(1, 11)]
    assert flags == [True, False, False, False, False, False, False, True, False, False]


def test_goals_are_unknown_before_2020() -> None:
    (club,) = figures_of(AClub(), year=2019)
    assert {getattr(club, f"goal_{place}") for place in range(1, 11)} == {None}


@pytest.mark.parametrize("year", [2019, 2023, 2025])
def test_open_clubs_equal_the_lists_of_the_result(year: int) -> None:
    plan = "Y" if year == 2025 else None
    clubs = [
        AClub(number="1", members="25", goals="10", plan=plan),
        AClub(number="2", members="11", plan=plan),
        AClub(number="3", status="Suspended", members="8", plan=plan),
        AClub(number="4", goals="x", plan=plan),
        AClub(number="5", members="19", base="17", goals="4", status="Low", plan="N" if plan else None),
        AClub(number="6", status="odd", plan=plan),
    ]
    result = district_result(district_inputs(clubs, year=year))
    figures = [club for club in figures_of(*clubs, year=year) if club.club_number not in {"3", "6"}]
    assert [
        (f.club_number, f.members, f.base, f.net_growth, f.goals, f.health, f.division, f.area) for f in figures
    ] == [
        (c["clubNumber"], c["members"], c["base"], c["netGrowth"], c["goals"], c["category"], c["division"], c["area"])
        for c in result["health"]["clubs"]
    ]
    assert [(f.next_level, f.goals_to_next_level, f.members_to_next_level, f.plan_missing) for f in figures] == [
        (c["level"], c["goals"], c["members"], c.get("planMissing")) for c in result["distinguished"]["toGo"]
    ]
    levels = [f.qualifying_level for f in figures if f.qualifying_level]
    assert len(levels) == result["distinguished"]["qualifying"]["total"]


def test_a_suspended_club_has_only_the_figures_of_its_rows() -> None:
    (club,) = figures_of(AClub(status="Suspended", members="3", paid={"Total to Date": "2"}))
    assert club.is_suspended
    assert (club.members, club.payments_total) == (3, 2)
    assert (club.health, club.qualifying_level, club.next_level, club.goal_1) == (None, None, None, None)


def test_a_club_that_is_missing_from_a_report_has_no_figures_of_it() -> None:
    both = some_clubs(2, paid={"Total to Date": "9"})
    inputs = district_inputs(both)
    without_payments = club_figures(district_inputs(both, districts=district_inputs(both[:1]).districts))
    assert [(f.members, f.payments_total) for f in without_payments] == [(20, 9), (20, None)]
    without_members = club_figures(district_inputs(both, clubs=district_inputs(both[:1]).clubs))
    assert [(f.members, f.payments_total) for f in without_members] == [(20, 9), (None, 9)]
    assert len(club_figures(inputs)) == 2


def test_the_payments_of_different_rows_of_a_club_are_kept() -> None:
    clubs = [AClub(name="One", paid={"Total to Date": "1"}), AClub(name="Two", paid={"Total to Date": "2"})]
    assert sorted(f.payments_total or 0 for f in figures_of(*clubs)) == [1, 2]


def test_clubs_without_a_number_are_matched_by_name() -> None:
    clubs = [AClub(number="", name=name, paid={"Total to Date": paid}) for name, paid in (("B", "1"), ("A", "2"))]
    assert {(f.club_name, f.payments_total) for f in figures_of(*clubs)} == {("A", 2), ("B", 1)}
