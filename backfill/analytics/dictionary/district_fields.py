"""The fields of the analytics result of a district."""

from __future__ import annotations

from backfill.analytics.dictionary.club_columns import CLUBS, DISTRICT, SMEDLEY_YEAR, SUMMARY
from backfill.analytics.dictionary.entries import (
    Entry,
    Unit,
    ValueType,
    below,
    clubs,
    container,
    count,
    flag,
    percent,
    text,
)
from backfill.analytics.dictionary.program_fields import TARGETS, YEAR_OVER_YEAR
from backfill.analytics.dictionary.unit_fields import AREA_FIELDS, DIVISION_FIELDS
from backfill.analytics.dictionary.world_fields import LINE, RESULT_HEAD
from backfill.analytics.goals import FIRST_YEAR as FIRST_GOALS

OBJECT, ARRAY = ValueType.OBJECT, ValueType.ARRAY
_LEVEL_NAMES = "distinguished, select, presidents or smedley"
_FIGURES = f"{CLUBS}: Active Members, Mem. Base, Goals Met"


def _levels(what: str, source: str) -> tuple[Entry, ...]:
    return (
        clubs("distinguished", f"Open clubs {what} Distinguished.", source),
        clubs("select", f"Open clubs {what} Select Distinguished.", source),
        clubs("presidents", f"Open clubs {what} President's Distinguished.", source),
        count("smedley", Unit.CLUBS, f"Open clubs {what} Smedley Distinguished; 0 before.", source, SMEDLEY_YEAR),
        clubs("total", f"Open clubs {what} any level.", source),
    )


HEAD = (
    *RESULT_HEAD[:1],
    text("districtId", "The district: 01 to 99, a higher number, F or U (undistricted)."),
    text("programYear", "The program year of the data month, such as 2023-2024."),
    *RESULT_HEAD[1:],
)

_CLUB_COUNTS = (
    container("clubs", OBJECT, "Numbers of clubs."),
    *below(
        "clubs.",
        (
            clubs("total", "All clubs, including suspended ones.", f"{CLUBS}: rows"),
            clubs("open", "Clubs with a known status other than Suspended.", f"{CLUBS}: Club Status"),
            clubs("paid", "The official number of paid clubs.", f"{SUMMARY}: Paid Clubs"),
            clubs("active", "Clubs with the status Active, which can differ from clubs.paid.", f"{CLUBS}: Club Status"),
            clubs("low", "Clubs with the status Low.", f"{CLUBS}: Club Status"),
            clubs("ineligible", "Clubs with the status Ineligible.", f"{CLUBS}: Club Status"),
            clubs("suspended", "Clubs with the status Suspended.", f"{CLUBS}: Club Status"),
            clubs("base", "The official base of paid clubs.", f"{SUMMARY}: Paid Club Base"),
            clubs("netGrowth", "clubs.paid - clubs.base.", f"{SUMMARY}: Paid Clubs, Paid Club Base"),
            clubs(
                "chartered",
                "Clubs chartered in this program year, including clubs that were suspended later.",
                f"{DISTRICT}: Charter Date/Suspend Date",
            ),
            container("suspendedClubs", ARRAY, "The suspended clubs."),
            text("suspendedClubs[].clubNumber", "The club number without leading zeros.", f"{CLUBS}: Club Number"),
            text("suspendedClubs[].clubName", "The name of the club.", f"{CLUBS}: Club Name"),
        ),
    ),
)

_MEMBERSHIP = (
    container("membership", OBJECT, "Members of the open clubs."),
    count("membership.total", Unit.MEMBERS, "Active members of the open clubs.", f"{CLUBS}: Active Members"),
    count(
        "membership.base", Unit.MEMBERS, "Members of the open clubs at the start of the year.", f"{CLUBS}: Mem. Base"
    ),
    count(
        "membership.netGrowth",
        Unit.MEMBERS,
        "membership.total - membership.base.",
        f"{CLUBS}: Active Members, Mem. Base",
    ),
    Entry(
        "membership.averagePerClub",
        ValueType.NUMBER,
        Unit.MEMBERS,
        "membership.total per open club with a readable figure, rounded to one digit.",
        f"{CLUBS}: Active Members",
    ),
)


def _payments(name: str, what: str, column: str) -> Entry:
    meaning = f"{what} of all clubs since 1 July, including suspended clubs."
    return count(f"payments.{name}", Unit.PAYMENTS, meaning, f"{DISTRICT}: {column}")


_PAYMENTS = (
    container("payments", OBJECT, "Membership payments."),
    _payments("new", "Payments of new members", "New"),
    _payments("late", "Late renewals", "Late Ren."),
    _payments("october", "October renewals", "Oct. Ren."),
    _payments("april", "April renewals", "Apr. Ren."),
    _payments("charter", "Payments of charter members", "Total Chart"),
    _payments("total", "All payments", "Total to Date"),
    count("payments.base", Unit.PAYMENTS, "The official payment base.", f"{SUMMARY}: Payment Base"),
    count(
        "payments.growth",
        Unit.PAYMENTS,
        "payments.total - payments.base.",
        f"{DISTRICT}: Total to Date; {SUMMARY}: Payment Base",
    ),
    percent(
        "payments.growthPercent",
        "payments.growth / payments.base, rounded to two digits.",
        f"{DISTRICT}: Total to Date; {SUMMARY}: Payment Base",
    ),
)

_HEALTH = (
    container("health", OBJECT, "The health of the open clubs."),
    *below(
        "health.",
        (
            clubs("interventionRequired", "Open clubs with fewer than 12 members and a growth below 3.", _FIGURES),
            clubs(
                "thriving",
                "Open clubs with 20 members or a growth of 3, and the goals of the month's checkpoint.",
                _FIGURES,
            ),
            clubs("vulnerable", "All other open clubs with readable figures.", _FIGURES),
            container("clubs", ARRAY, "Each open club, by number."),
            *below(
                "clubs[].",
                (
                    text("clubNumber", "The club number without leading zeros.", f"{CLUBS}: Club Number"),
                    text("clubName", "The name of the club, with single spaces.", f"{CLUBS}: Club Name"),
                    text("division", "The division; 0D for clubs without one.", f"{CLUBS}: Division"),
                    text("area", "The area within the division; 0A for clubs without one.", f"{CLUBS}: Area"),
                    count("members", Unit.MEMBERS, "Active members.", f"{CLUBS}: Active Members"),
                    count("base", Unit.MEMBERS, "Members at the start of the program year.", f"{CLUBS}: Mem. Base"),
                    count("netGrowth", Unit.MEMBERS, "members - base.", f"{CLUBS}: Active Members, Mem. Base"),
                    count("goals", Unit.GOALS, "Goals met, as reported.", f"{CLUBS}: Goals Met"),
                    text(
                        "category",
                        "thriving, vulnerable or interventionRequired; null if a figure is unreadable.",
                        _FIGURES,
                    ),
                    container("reasons", ARRAY, "Sentences with the figures that decide the category.", _FIGURES),
                ),
            ),
        ),
    ),
)

_QUALIFYING = f"{_FIGURES}, CSP (from 2025-2026)"
_DISTINGUISHED = (
    container("distinguished", OBJECT, "Levels of the Distinguished Club Program."),
    container("distinguished.reported", OBJECT, "Levels as the dashboard reports them, usually from April on."),
    *below("distinguished.reported.", _levels("reported as", f"{CLUBS}: Club Distinguished Status")),
    container(
        "distinguished.qualifying",
        OBJECT,
        "Levels that the figures of the clubs qualify for today; null without the required column CSP.",
    ),
    *below("distinguished.qualifying.", _levels("whose figures qualify for", _QUALIFYING)),
    percent(
        "distinguished.percentOfBase",
        "distinguished.reported.total / clubs.base, rounded to two digits.",
        f"{CLUBS}: Club Distinguished Status; {SUMMARY}: Paid Club Base",
    ),
    container("distinguished.toGo", ARRAY, "Each open club and what it lacks for the next level."),
    *below(
        "distinguished.toGo[].",
        (
            text("clubNumber", "The club number without leading zeros.", f"{CLUBS}: Club Number"),
            text("level", f"The next level: {_LEVEL_NAMES}. Null at the highest level.", _QUALIFYING),
            count("goals", Unit.GOALS, "Goals missing to the level.", f"{CLUBS}: Goals Met"),
            count("members", Unit.MEMBERS, "Members missing to the level.", f"{CLUBS}: Active Members, Mem. Base"),
            flag(
                "planMissing",
                "Whether the Club Success Plan is missing, without which a club earns no level.",
                f"{CLUBS}: CSP",
                SMEDLEY_YEAR,
            ),
        ),
    ),
)

_GOALS = (
    container("goals", ARRAY, "The ten goals; null before 2020-2021.", first_year=FIRST_GOALS),
    count("goals[].goal", Unit.NONE, "The number of the goal, 1 to 10.", first_year=FIRST_GOALS),
    count(
        "goals[].achieved",
        Unit.CLUBS,
        "Open clubs that have met the goal.",
        f"{CLUBS}: the columns of the goal",
        FIRST_GOALS,
    ),
    percent(
        "goals[].percent",
        "Open clubs that have met the goal / open clubs, rounded to one digit.",
        f"{CLUBS}: the columns of the goal",
        FIRST_GOALS,
    ),
)


_RANKINGS = (
    container("rankings", OBJECT, "The district's line of the world result; null if there is none."),
    *below("rankings.", LINE),
)

POINT = (
    RESULT_HEAD[0],
    count("members", Unit.MEMBERS, "membership.total.", f"{CLUBS}: Active Members"),
    count("payments", Unit.PAYMENTS, "payments.total.", f"{DISTRICT}: Total to Date"),
    clubs("paidClubs", "clubs.paid.", f"{SUMMARY}: Paid Clubs"),
    clubs("distinguished", "distinguished.reported.total.", f"{CLUBS}: Club Distinguished Status"),
    count("goals", Unit.GOALS, "Goals met by the open clubs together.", f"{CLUBS}: Goals Met"),
    clubs("thriving", "health.thriving.", _FIGURES),
    clubs("vulnerable", "health.vulnerable.", _FIGURES),
    clubs("interventionRequired", "health.interventionRequired.", _FIGURES),
)


QUALITY = (
    container("quality", ARRAY, "What does not add up in the reports; empty if all figures agree."),
    *below(
        "quality[].",
        (
            text("code", "The kind of the note, such as GOALS_DIFFER."),
            text("message", "The note as a sentence."),
            text("clubNumber", "The club that the note is about; null if it is about no single club."),
            count("expected", Unit.NONE, "The figure that the dashboard reports."),
            text("found", "The figure of the rows, which is a number in JSON, or the text of the cell."),
        ),
    ),
)

DISTRICT_FIELDS = (
    *HEAD,
    *_CLUB_COUNTS,
    *_MEMBERSHIP,
    *_PAYMENTS,
    *_HEALTH,
    *_DISTINGUISHED,
    *_GOALS,
    container("divisions", ARRAY, "Each division, by letter."),
    *DIVISION_FIELDS,
    container("areas", ARRAY, "Each area, by division and number."),
    *AREA_FIELDS,
    *TARGETS,
    *_RANKINGS,
    container("point", OBJECT, "The main figures, which the series of the program year contains."),
    *below("point.", POINT),
    *YEAR_OVER_YEAR,
    *QUALITY,
)
