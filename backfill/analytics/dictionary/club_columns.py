"""The columns of the table `clubs`, which `ClubFigures` holds, and those that begin every table."""

from __future__ import annotations

from backfill.analytics.dictionary.entries import DATE, Entry, Unit, count, flag, text
from backfill.analytics.goals import FIRST_YEAR as FIRST_GOALS
from backfill.domain import ProgramYear

CLUBS, DISTRICT, DIVISIONS, SUMMARY = (
    "clubperformance",
    "districtperformance",
    "divisionperformance",
    "districtsummary",
)

SMEDLEY_YEAR = ProgramYear(2025)
"""Clubs earn the level Smedley, and levels require a Club Success Plan, from this year on."""

HEAD = (
    Entry("date", DATE, Unit.NONE, "The snapshot date.", field="date"),
    text("district_id", "The district: 01 to 99, a higher number, F or U (undistricted).", field="districtId"),
    text("data_month", "The month that the figures are for, such as 2024-01.", "footer: Month of", field="dataMonth"),
    Entry(
        "as_of",
        DATE,
        Unit.NONE,
        "The day on which the dashboard published the figures. It is after the date while a month closes.",
        "footer: As of; the calendar of the dashboard for a final June",
        field="asOf",
    ),
    flag("is_final", "Whether the figures are those of the month's closing, which do not change.", field="isFinal"),
)

GOAL_MEANINGS = (
    ("4 Level 1 awards", "Level 1s"),
    ("2 Level 2 awards", "Level 2s (from 2026-2027 Level 2s or EOM)"),
    ("2 more Level 2 awards", "Add. Level 2s"),
    ("2 Level 3 awards", "Level 3s"),
    ("1 Level 4, Path Completion or DTM award", "Level 4s, …"),
    ("1 more Level 4, Path Completion or DTM award", "Add. Level 4s, …"),
    ("4 new members", "New Members"),
    ("4 more new members", "Add. New Members"),
    (
        "4 officers trained in both rounds (only in round 2 if the club was chartered from 1 September on)",
        "Off. Trained Round 1, Off. Trained Round 2",
    ),
    (
        "dues on time in October or April, and the officer list on time",
        "Mem. dues on time Oct, Mem. dues on time Apr, Off. List On Time",
    ),
)
"""What goals 1 to 10 require, and the columns of clubperformance; `backfill.analytics.goals` has the rules."""


def _goal(place: int) -> Entry:
    requirement, columns = GOAL_MEANINGS[place - 1]
    meaning = f"Whether the club has met goal {place}: {requirement}. Null for suspended clubs."
    return flag(f"goal_{place}", meaning, f"{CLUBS}: {columns}", FIRST_GOALS)


def _payments(name: str, what: str, column: str) -> Entry:
    meaning = f"{what} since 1 July."
    return count(f"payments_{name}", Unit.PAYMENTS, meaning, f"{DISTRICT}: {column}")


_FIGURES = f"{CLUBS}: Active Members, Mem. Base, Goals Met"
_WITH_PLAN = f"{_FIGURES}, CSP"
_LEVEL_NAMES = "distinguished, select, presidents or smedley"
_OPEN_ONLY = "Null for suspended clubs and if a figure is unreadable."

CLUB_COLUMNS = (
    text(
        "club_number",
        "The club number without leading zeros; empty if the report has none.",
        f"{CLUBS}: Club Number",
        field="health.clubs[].clubNumber",
    ),
    text(
        "club_name",
        "The name of the club, with single spaces.",
        f"{CLUBS}: Club Name",
        field="health.clubs[].clubName",
    ),
    text(
        "division",
        "The division; 0D for clubs without one.",
        f"{CLUBS}: Division",
        field="health.clubs[].division",
    ),
    text(
        "area",
        "The area, which is unique within its division only; 0A for clubs without one.",
        f"{CLUBS}: Area",
        field="health.clubs[].area",
    ),
    text(
        "status",
        "Active, Low, Ineligible or Suspended. Null for another text and for clubs that are missing from the report. "
        "A club is open if its status is one of the first three.",
        f"{CLUBS}: Club Status",
    ),
    count("members", Unit.MEMBERS, "Active members.", f"{CLUBS}: Active Members", field="health.clubs[].members"),
    count(
        "base",
        Unit.MEMBERS,
        "Members at the start of the program year.",
        f"{CLUBS}: Mem. Base",
        field="health.clubs[].base",
    ),
    count(
        "net_growth",
        Unit.MEMBERS,
        "members - base.",
        f"{CLUBS}: Active Members, Mem. Base",
        field="health.clubs[].netGrowth",
    ),
    count(
        "goals",
        Unit.GOALS,
        "Goals of the Distinguished Club Program met, as reported (0 to 10).",
        f"{CLUBS}: Goals Met",
        field="health.clubs[].goals",
    ),
    *(_goal(place) for place in range(1, 11)),
    _payments("new", "Payments of new members", "New"),
    _payments("late", "Late renewals", "Late Ren."),
    _payments("october", "October renewals", "Oct. Ren."),
    _payments("april", "April renewals", "Apr. Ren."),
    _payments("charter", "Payments of charter members", "Total Chart"),
    _payments("total", "All payments", "Total to Date"),
    Entry(
        "charter_date",
        DATE,
        Unit.NONE,
        "The charter date, if the report contains it, which it does for clubs that were chartered in the program year.",
        f"{DISTRICT}: Charter Date/Suspend Date",
    ),
    text(
        "health",
        f"thriving, vulnerable or interventionRequired. {_OPEN_ONLY}",
        _FIGURES,
        field="health.clubs[].category",
    ),
    text(
        "reported_level",
        f"The level that the dashboard reports: {_LEVEL_NAMES}. Null if there is none, usually until April.",
        f"{CLUBS}: Club Distinguished Status",
    ),
    text(
        "qualifying_level",
        f"The level that the figures qualify for today: {_LEVEL_NAMES}. Null if there is none. {_OPEN_ONLY}",
        _WITH_PLAN,
    ),
    text(
        "next_level",
        f"The next level above qualifying_level. Null at the highest level. {_OPEN_ONLY}",
        _WITH_PLAN,
        field="distinguished.toGo[].level",
    ),
    count(
        "goals_to_next_level",
        Unit.GOALS,
        f"Goals missing to next_level; 0 at the highest level. {_OPEN_ONLY}",
        f"{CLUBS}: Goals Met",
        field="distinguished.toGo[].goals",
    ),
    count(
        "members_to_next_level",
        Unit.MEMBERS,
        f"Members missing to next_level; 0 at the highest level. {_OPEN_ONLY}",
        f"{CLUBS}: Active Members, Mem. Base",
        field="distinguished.toGo[].members",
    ),
    flag(
        "plan_missing",
        "Whether the Club Success Plan is missing, without which a club earns no level. Null before 2025-2026 and for "
        "suspended clubs.",
        f"{CLUBS}: CSP",
        SMEDLEY_YEAR,
        field="distinguished.toGo[].planMissing",
    ),
)
