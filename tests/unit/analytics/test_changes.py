"""The differences between two dates of a district."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from backfill.analytics import club_figures
from backfill.analytics.changes import (
    Basis,
    ChangeKind,
    ClubChange,
    ClubOnDate,
    DistrictChanges,
    DistrictOnDate,
    Figure,
    district_changes,
    ids_to_find,
)
from backfill.domain import ProgramYear
from tests.unit.analytics.builders import AClub, district_inputs, some_clubs

NEW, CLOSED, MOVED = ChangeKind.NEW, ChangeKind.CLOSED, ChangeKind.MOVED
SUSPENDED, REOPENED = ChangeKind.SUSPENDED, ChangeKind.REOPENED


def on_date(*clubs: AClub, year: int = 2023, month: int = 6, **fields: Any) -> DistrictOnDate:
    day = ProgramYear(year).month_end(month)
    values = {
        "date": day,
        "program_year": ProgramYear(year),
        "data_month": day,
        "as_of": day,
        "is_final": True,
        "clubs": club_figures(district_inputs(clubs, year=year, month=month)) if clubs else [],
        "elsewhere": {},
        **fields,
    }
    return DistrictOnDate(**values)


def compare(before: Sequence[AClub], after: Sequence[AClub], **fields: Any) -> DistrictChanges:
    return district_changes("91", on_date(*before, month=3), on_date(*after, **fields))


def only(changes: DistrictChanges) -> ClubChange:
    (club,) = changes.clubs
    return club


def kinds(changes: DistrictChanges) -> dict[str, tuple[ChangeKind, ...]]:
    return {club.latest.figures.club_number: club.kinds for club in changes.clubs}


def elsewhere(district: str, *clubs: AClub, year: int = 2023) -> dict[str, ClubOnDate]:
    return {c.club_number: ClubOnDate(district, c) for c in club_figures(district_inputs(clubs, year=year))}


def test_equal_dates_have_no_changes() -> None:
    changes = compare(some_clubs(3), some_clubs(3))
    assert set(kinds(changes).values()) == {()}
    assert changes.levels(gained=True) == changes.levels(gained=False) == []
    assert (changes.is_complete, changes.notes) == (True, ())


def test_a_club_that_is_listed_on_one_date_only_is_new_or_closed() -> None:
    assert kinds(compare(some_clubs(2), some_clubs(3)[1:])) == {"1": (CLOSED,), "2": (), "3": (NEW,)}


@pytest.mark.parametrize("place", [{"division": "B"}, {"area": "02"}])
def test_a_club_in_another_division_or_area_has_moved(place: dict[str, str]) -> None:
    club = only(compare([AClub()], [AClub(**place)]))  # type: ignore[arg-type]
    assert club.kinds == (MOVED,)


def test_a_club_that_was_in_another_district_has_moved_and_keeps_its_figures() -> None:
    before = on_date(*some_clubs(1), elsewhere=elsewhere("06", AClub(number="7", members="15")))
    changes = district_changes("91", before, on_date(*some_clubs(1), AClub(number="7", members="18")))
    club = changes.of_kind(MOVED)[0]
    assert (club.before and club.before.place, club.after and club.after.place) == (
        ("06", "A", "01"),
        ("91", "A", "01"),
    )
    assert club.members == Figure(15, 18, 3)
    assert changes.totals.members == Figure(20, 38, 18), "the totals are those of the district"


def test_a_club_that_is_in_another_district_now_is_not_closed() -> None:
    after = on_date(*some_clubs(1), elsewhere=elsewhere("06", AClub(number="7")))
    assert kinds(district_changes("91", on_date(*some_clubs(1), AClub(number="7")), after)) == {"1": (), "7": (MOVED,)}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Active", "Suspended", (SUSPENDED,)),
        ("Low", "Suspended", (SUSPENDED,)),
        ("Suspended", "Suspended", ()),
        ("Suspended", "Active", (REOPENED,)),
        ("Active", "Low", ()),
        ("Suspended", "odd", ()),
    ],
)
def test_a_club_is_suspended_or_reopened(before: str, after: str, expected: tuple[ChangeKind, ...]) -> None:
    clubs = some_clubs(1)
    changes = compare([*clubs, AClub(status=before)], [*clubs, AClub(status=after)])
    assert kinds(changes)["309"] == expected


def test_a_club_can_have_several_changes() -> None:
    assert only(compare([AClub()], [AClub(area="02", status="Suspended")])).kinds == (MOVED, SUSPENDED)


def test_levels_that_rise_are_gained_and_levels_that_fall_are_lost() -> None:
    before = [AClub(number="1", goals="5", code="D"), AClub(number="2", goals="9"), AClub(number="3")]
    after = [AClub(number="1", goals="7", code="S"), AClub(number="2", goals="8"), AClub(number="3")]
    changes = compare(before, after)
    assert [(c.number, c.basis, c.before, c.after) for c in changes.levels(gained=True)] == [
        ("1", Basis.REPORTED, "distinguished", "select"),
        ("1", Basis.QUALIFYING, "distinguished", "select"),
    ]
    assert [(c.number, c.basis, c.before, c.after) for c in changes.levels(gained=False)] == [
        ("2", Basis.QUALIFYING, "presidents", "select")
    ]


def test_figures_restart_in_another_program_year() -> None:
    paid = {"Total to Date": "40"}
    before = on_date(AClub(goals="9", code="P", paid=paid, members="20"), year=2022)
    after = on_date(AClub(goals="5", code="D", paid={"Total to Date": "4"}, members="23"), year=2023)
    changes = district_changes("91", before, after)
    club = only(changes)
    assert club.members == Figure(20, 23, 3)
    assert (club.payments, club.goals) == (Figure(40, 4, None), Figure(9, 5, None))
    assert (changes.totals.payments, changes.totals.members.change) == (Figure(40, 4, None), 3)
    assert [(c.basis, c.before, c.after) for c in changes.levels(gained=True)] == [
        (Basis.REPORTED, None, "distinguished"),
        (Basis.QUALIFYING, None, "distinguished"),
    ]
    assert changes.levels(gained=False) == []
    (note,) = changes.notes
    assert "Payments, goals and levels restart on 1 July" in note


def test_the_reformation_of_districts_and_a_missing_district_are_noted() -> None:
    before = on_date(year=2025, exists=False, data_month=None, as_of=None, is_final=None, not_searched=("02", "F"))
    after = on_date(*some_clubs(2, plan="Y"), year=2026, month=9)
    changes = district_changes("201", before, after)
    assert changes.totals.clubs == Figure(None, 2, None)
    assert not changes.is_complete
    assert [note.split(":")[0].split(",")[0] for note in changes.notes] == [
        "The dates are in different program years (2025-2026 and 2026-2027). Payments",
        "On 1 July 2026 districts were reorganised",
        "District 201 did not exist on 2026-06-30",
        "Clubs may be in districts without a readable snapshot on 2026-06-30",
    ]


def test_a_date_without_a_summary_is_incomplete() -> None:
    changes = compare(some_clubs(1), some_clubs(2), not_searched=None)
    assert not changes.is_complete
    assert "The district summary of 2024-06-30 is not stored" in changes.notes[0]


def test_unknown_figures_have_no_change() -> None:
    club = only(compare([AClub(members="x")], [AClub(members="20")]))
    assert club.members == Figure(None, 20, None)


def test_clubs_without_a_number_are_compared_by_name_within_the_district() -> None:
    before, after = [AClub(number="", name="A"), AClub(number="2")], [AClub(number="", name="A"), AClub(number="3")]
    changes = compare(before, after)
    assert [club.latest.figures.club_name for club in changes.clubs if not club.kinds] == ["A"]
    assert ids_to_find(changes.before.clubs, changes.after.clubs) == ({"3"}, {"2"})


def test_suspended_clubs_count_in_the_payments_only() -> None:
    suspended = AClub(number="9", status="Suspended", members="8", paid={"Total to Date": "5"})
    changes = compare([*some_clubs(1)], [*some_clubs(1), suspended])
    totals = changes.totals
    assert (totals.clubs, totals.members, totals.payments) == (Figure(1, 1, 0), Figure(20, 20, 0), Figure(0, 5, 5))
    assert changes.before.date == date(2024, 3, 31)
