"""Builders of small districts from the values that the reports contain for each club."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from backfill.analytics import DistrictInputs, Table, WorldInputs, district_result, world_result
from backfill.domain import ProgramYear, month_end_of

GOAL_COLUMNS = (
    "Level 1s",
    "Level 2s",
    "Add. Level 2s",
    "Level 3s",
    "Level 4s, Level 5s, or DTM award",
    "Add. Level 4s, Level 5s, or DTM award",
    "New Members",
    "Add. New Members",
    "Off. Trained Round 1",
    "Off. Trained Round 2",
    "Mem. dues on time Oct",
    "Mem. dues on time Apr",
    "Off. List On Time",
)
PAYMENT_COLUMNS = ("New", "Late Ren.", "Oct. Ren.", "Apr. Ren.", "Total Ren.", "Total Chart", "Total to Date")
VISIT_COLUMNS = ("Nov Visit award", "May Visit award")
_ENDS = ("Dist.", "Select Dist.", "Pres. Dist.")


def _unit_columns(kind: str) -> tuple[str, ...]:
    return (
        f"{kind} Club Base",
        *(f"{kind} Paid Club Goal for {end}" for end in _ENDS),
        f"Total Paid {kind} Clubs",
        *(f"{kind} Dist. Club Goal for {end}" for end in _ENDS),
        f"Total Dist. {kind} Clubs",
        f"Distinguished {kind}",
    )


UNIT_COLUMNS = {kind: _unit_columns(kind) for kind in ("Area", "Division")}


@dataclass(frozen=True, kw_only=True)
class AClub:
    """A club in all three reports. Cells are text."""

    number: str = "00000309"
    name: str = "Thame Speakers"
    division: str = "A"
    area: str = "01"
    status: str = "Active"
    members: str = "20"
    base: str = "20"
    goals: str = "0"
    code: str = ""
    plan: str | None = None
    """The CSP cell, or None for a report without this column."""
    goal_cells: Mapping[str, str] = field(default_factory=dict)
    """Cells of GOAL_COLUMNS that are not 0."""
    paid: Mapping[str, str] = field(default_factory=dict)
    """Cells of PAYMENT_COLUMNS that are not 0."""
    charter: str = ""
    visits: tuple[str, str] = ("1", "1")
    """The cells of the first and the second round of club visits."""

    @property
    def place(self) -> list[str]:
        return ["91", self.division, self.area, self.number, self.name]


def some_clubs(count: int, **options: Any) -> list[AClub]:
    """Returns clubs that differ only in their numbers, which start at 1."""
    return [AClub(number=f"{number:08d}", name=f"Club {number}", **options) for number in range(1, count + 1)]


def clubs_table(clubs: Sequence[AClub]) -> Table:
    has_plans = any(club.plan is not None for club in clubs)
    columns = (
        "District",
        "Division",
        "Area",
        "Club Number",
        "Club Name",
        "Club Status",
        *(("CSP",) if has_plans else ()),
        "Mem. Base",
        "Active Members",
        "Goals Met",
        *GOAL_COLUMNS,
        "Club Distinguished Status",
    )
    return Table(
        columns,
        [
            [
                *club.place,
                club.status,
                *((club.plan or "",) if has_plans else ()),
                club.base,
                club.members,
                club.goals,
                *(club.goal_cells.get(name, "0") for name in GOAL_COLUMNS),
                club.code,
            ]
            for club in clubs
        ],
    )


def district_table(clubs: Sequence[AClub]) -> Table:
    columns = (
        "District",
        "Division",
        "Area",
        "Club",
        "Club Name",
        *PAYMENT_COLUMNS,
        "Distinguished Status",
        "Charter Date/Suspend Date",
    )
    return Table(
        columns,
        [
            [*club.place, *(club.paid.get(name, "0") for name in PAYMENT_COLUMNS), club.code, club.charter]
            for club in clubs
        ],
    )


def unit_cells(
    base: int = 4,
    paid: int = 4,
    distinguished: int = 0,
    *,
    paid_goals: Sequence[int] = (4, 4, 5),
    goals: Sequence[int] = (2, 3, 3),
    level: str = "",
) -> list[str]:
    return [*map(str, (base, *paid_goals, paid, *goals, distinguished)), level]


def divisions_table(
    clubs: Sequence[AClub],
    areas: Mapping[tuple[str, str], list[str]] | None = None,
    divisions: Mapping[str, list[str]] | None = None,
) -> Table:
    columns = (
        "District",
        "Division",
        "Area",
        "Club",
        "Club Name",
        *VISIT_COLUMNS,
        *UNIT_COLUMNS["Area"],
        *UNIT_COLUMNS["Division"],
    )
    areas, divisions = areas or {}, divisions or {}
    return Table(
        columns,
        [
            [
                *club.place,
                *club.visits,
                *areas.get((club.division, club.area), unit_cells()),
                *divisions.get(club.division, unit_cells()),
            ]
            for club in clubs
        ],
    )


SUMMARY = {
    "REGION": "10",
    "DISTRICT": "91",
    "DSP": "Y",
    "Training": "Y",
    "New Payments": "0",
    "October Payments": "0",
    "April Payments": "0",
    "Late Payments": "0",
    "Charter Payments": "0",
    "Total YTD Payments": "0",
    "Payment Base": "100",
    "% Payment Growth": "0.00%",
    "Paid Club Base": "4",
    "Paid Clubs": "0",
    "% Club Growth": "0.00%",
    "Active Clubs": "0",
    "Distinguished Clubs": "0",
    "Select Distinguished Clubs": "0",
    "Presidents Distinguished Clubs": "0",
    "Total Distinguished Clubs": "0",
    "% Distinguished Clubs": "0.00%",
}


def district_inputs(rows: Sequence[AClub], /, *, year: int = 2023, month: int = 6, **changes: Any) -> DistrictInputs:
    """Returns a district on the last day of a month of a program year, with a summary that matches its open clubs."""
    day = ProgramYear(year).month_end(month)
    active = sum(club.status.strip().lower() in ("active", "low", "ineligible") for club in rows)
    distinguished = sum(club.code.strip() in tuple("DSPM") and club.status != "Suspended" for club in rows)
    source = DistrictInputs(
        date=day,
        district="91",
        program_year=ProgramYear(year),
        data_month=month_end_of(day),
        as_of=day,
        is_final=True,
        source_hash="00ff",
        clubs=clubs_table(rows),
        districts=district_table(rows),
        divisions=divisions_table(rows),
        summary={**SUMMARY, "Active Clubs": str(active), "Total Distinguished Clubs": str(distinguished)},
    )
    return replace(source, **changes)


def result_of(*clubs: AClub, **options: Any) -> dict[str, Any]:
    return district_result(district_inputs(clubs, **options))


def codes_of(result: Mapping[str, Any]) -> list[str]:
    """Returns the codes of the quality notes of a result, in order."""
    return [note["code"] for note in result["quality"]]


def a_world(*rows: Mapping[str, str]) -> dict[str, Any]:
    """Returns the world result of summary rows. Each row contains the differences from SUMMARY."""
    columns = tuple({**SUMMARY, **{name: "" for row in rows for name in row}})
    table = Table(columns, [[{**SUMMARY, **row}.get(name, "") for name in columns] for row in rows])
    day = date(2024, 6, 30)
    return world_result(
        WorldInputs(date=day, data_month=day, as_of=date(2024, 7, 20), is_final=True, source_hash="00ff", summary=table)
    )
