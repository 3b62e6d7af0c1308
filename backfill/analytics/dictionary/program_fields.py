"""The fields of the targets and of the comparison with the year before in the result of a district."""

from __future__ import annotations

from backfill.analytics.dictionary.club_columns import CLUBS, SUMMARY
from backfill.analytics.dictionary.entries import (
    FIRST_YEAR,
    Entry,
    Unit,
    ValueType,
    below,
    container,
    count,
    flag,
    percent,
    text,
)
from backfill.analytics.targets import ERAS
from backfill.domain import ProgramYear

OBJECT, ARRAY = ValueType.OBJECT, ValueType.ARRAY

_FIRST_TARGETS = ProgramYear(ERAS[-1].first)
_SECOND_YEAR = ProgramYear(FIRST_YEAR.start + 1)
_LEVEL_NAMES = "distinguished, select, presidents or smedley"


def _target(name: str, unit: Unit, base: str, current: str) -> tuple[Entry, ...]:
    first = _FIRST_TARGETS
    return (
        container(name, OBJECT, "The target; null before 2012-2013.", first_year=first),
        count(f"{name}.base", unit, "The base of the target.", f"{SUMMARY}: {base}", first),
        count(f"{name}.current", unit, "The current figure.", f"{SUMMARY}: {current}", first),
        text(f"{name}.achieved", f"The highest level reached: {_LEVEL_NAMES}; null if none is.", "", first),
        container(f"{name}.levels", ARRAY, "The levels of the program year, lowest first.", first_year=first),
        text(f"{name}.levels[].level", "The level: distinguished, select, presidents or smedley.", "", first),
        percent(
            f"{name}.levels[].percent",
            "Percentage of the base that the rule states; null if it states a number of clubs.",
            "",
            first,
        ),
        count(f"{name}.levels[].needed", unit, "The figure that the level needs.", f"{SUMMARY}: {base}", first),
    )


TARGETS = (
    container("targets", OBJECT, "The Distinguished District Program."),
    *below(
        "targets.",
        (
            *_target("paidClubs", Unit.CLUBS, "Paid Club Base", "Paid Clubs"),
            *_target("payments", Unit.PAYMENTS, "Payment Base", "Total YTD Payments"),
            *_target("distinguishedClubs", Unit.CLUBS, "Paid Club Base", "Total Distinguished Clubs"),
            container("conditions", ARRAY, "The conditions of every level.", first_year=_FIRST_TARGETS),
            text("conditions[].name", "The column of the district summary.", "", _FIRST_TARGETS),
            flag(
                "conditions[].met",
                "Whether the cell is Y; null if it is neither Y nor N.",
                f"{SUMMARY}: the named column",
                _FIRST_TARGETS,
            ),
            text(
                "level",
                "The level of the district: the lowest of the three achieved ones; null unless all conditions are met.",
                "",
                _FIRST_TARGETS,
            ),
        ),
    ),
)


def _compared(name: str, unit: Unit, what: str) -> tuple[Entry, ...]:
    return (
        container(name, OBJECT, f"The comparison of {what}.", first_year=_SECOND_YEAR),
        count(f"{name}.current", unit, f"{what} of this result.", "", _SECOND_YEAR),
        count(f"{name}.previous", unit, f"{what} of the same month a year before.", "", _SECOND_YEAR),
        count(f"{name}.change", unit, "current - previous.", "", _SECOND_YEAR),
        percent(f"{name}.percent", "change / previous, rounded to two digits.", "", _SECOND_YEAR),
    )


YEAR_OVER_YEAR = (
    container(
        "yearOverYear",
        OBJECT,
        "Comparison with the last snapshot of the same data month a year before; null if there is none.",
        first_year=_SECOND_YEAR,
    ),
    *below(
        "yearOverYear.",
        (
            *_compared("members", Unit.MEMBERS, "point.members"),
            *_compared("payments", Unit.PAYMENTS, "point.payments"),
            *_compared("paidClubs", Unit.CLUBS, "point.paidClubs"),
            *_compared("distinguished", Unit.CLUBS, "point.distinguished"),
            flag(
                "comparable",
                "Whether at least 85 % of the open clubs were open in that snapshot; false after the "
                "reformation of districts.",
                f"{CLUBS}: Club Number",
                _SECOND_YEAR,
            ),
            count(
                "clubsJoined",
                Unit.CLUBS,
                "Open clubs that were not open in that snapshot.",
                f"{CLUBS}: Club Number",
                _SECOND_YEAR,
            ),
            count(
                "clubsLeft",
                Unit.CLUBS,
                "Open clubs of that snapshot that are no longer open.",
                f"{CLUBS}: Club Number",
                _SECOND_YEAR,
            ),
        ),
    ),
)
