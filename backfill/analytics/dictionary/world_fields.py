"""The fields of the world result and of series."""

from __future__ import annotations

from backfill.analytics.dictionary.club_columns import CLUBS, HEAD, SMEDLEY_YEAR, SUMMARY
from backfill.analytics.dictionary.entries import (
    DATE,
    Entry,
    Unit,
    ValueType,
    below,
    container,
    count,
    percent,
    text,
)

_BY_NAME = {entry.name: entry for entry in HEAD}

RESULT_HEAD = (
    Entry("date", DATE, Unit.NONE, _BY_NAME["date"].meaning),
    text("dataMonth", _BY_NAME["data_month"].meaning, _BY_NAME["data_month"].source),
    Entry("asOf", DATE, Unit.NONE, _BY_NAME["as_of"].meaning, _BY_NAME["as_of"].source),
    Entry("isFinal", ValueType.BOOLEAN, Unit.NONE, _BY_NAME["is_final"].meaning),
    text("sourceHash", "The content hash of the snapshot that the result was computed from."),
    Entry("schemaVersion", ValueType.INTEGER, Unit.NONE, "The version of the analytics rules."),
)


def _measure(name: str, what: str, column: str) -> tuple[Entry, ...]:
    source = f"{SUMMARY}: {column}"
    return (
        percent(f"{name}Percent", f"{what}, as the summary states it; null if it is N/A.", source),
        count(f"{name}Rank", Unit.RANK, f"Rank of all districts by {name}Percent; ties share a rank.", source),
        count(f"{name}Points", Unit.POINTS, f"N - {name}Rank + 1 of N districts; 0 if all districts tie.", source),
    )


_PERCENTS = f"{SUMMARY}: % Club Growth, % Payment Growth, % Distinguished Clubs"

LINE = (
    text("region", "The region; DNAR for districts without one.", f"{SUMMARY}: REGION"),
    *_measure("clubGrowth", "Growth of paid clubs on the base", "% Club Growth"),
    *_measure("paymentGrowth", "Growth of payments on the base", "% Payment Growth"),
    *_measure("distinguished", "Distinguished clubs of the base", "% Distinguished Clubs"),
    count("score", Unit.POINTS, "The sum of the three points.", _PERCENTS),
    count("overallRank", Unit.RANK, "Rank of all districts by score; ties share a rank.", _PERCENTS),
    count("regionRank", Unit.RANK, "Rank of the districts of the region by score; ties share a rank.", _PERCENTS),
    percent("percentile", "(N - overallRank) / N of N districts, rounded to one digit.", _PERCENTS),
)


def _total(name: str, unit: Unit, column: str) -> Entry:
    meaning = f"Sum of {column} over all districts; null if a cell is unreadable."
    return count(name, unit, meaning, f"{SUMMARY}: {column}")


TOTALS = (
    count("districts", Unit.DISTRICTS, "Districts of the summary.", f"{SUMMARY}: DISTRICT"),
    _total("activeClubs", Unit.CLUBS, "Active Clubs"),
    _total("paidClubs", Unit.CLUBS, "Paid Clubs"),
    _total("paidClubBase", Unit.CLUBS, "Paid Club Base"),
    _total("newPayments", Unit.PAYMENTS, "New Payments"),
    _total("latePayments", Unit.PAYMENTS, "Late Payments"),
    _total("octoberPayments", Unit.PAYMENTS, "October Payments"),
    _total("aprilPayments", Unit.PAYMENTS, "April Payments"),
    _total("charterPayments", Unit.PAYMENTS, "Charter Payments"),
    _total("payments", Unit.PAYMENTS, "Total YTD Payments"),
    _total("paymentBase", Unit.PAYMENTS, "Payment Base"),
    container("distinguished", ValueType.OBJECT, "Distinguished clubs by level."),
    _total("distinguished.distinguished", Unit.CLUBS, "Distinguished Clubs"),
    _total("distinguished.select", Unit.CLUBS, "Select Distinguished Clubs"),
    _total("distinguished.presidents", Unit.CLUBS, "Presidents Distinguished Clubs"),
    count(
        "distinguished.smedley",
        Unit.CLUBS,
        "Sum of Smedley Distinguished Clubs over all districts; null before.",
        f"{SUMMARY}: Smedley Distinguished Clubs",
        SMEDLEY_YEAR,
    ),
    _total("distinguished.total", Unit.CLUBS, "Total Distinguished Clubs"),
    percent(
        "clubGrowthPercent",
        "(paidClubs - paidClubBase) / paidClubBase, rounded to two digits.",
        f"{SUMMARY}: Paid Clubs, Paid Club Base",
    ),
    percent(
        "paymentGrowthPercent",
        "(payments - paymentBase) / paymentBase, rounded to two digits.",
        f"{SUMMARY}: Total YTD Payments, Payment Base",
    ),
    percent(
        "distinguishedPercent",
        "distinguished.total / paidClubBase, rounded to two digits.",
        f"{SUMMARY}: Total Distinguished Clubs, Paid Club Base",
    ),
)

TOTAL_FIELDS = below("totals.", TOTALS)

WORLD_FIELDS = (
    *RESULT_HEAD,
    container("districts", ValueType.OBJECT, "The ranking: a line for each district of the summary, by district."),
    *below("districts.{districtId}.", LINE),
    container("totals", ValueType.OBJECT, "Sums over all districts of the summary."),
    *TOTAL_FIELDS,
)


def series_fields(point: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return (
        text("districtId", _BY_NAME["district_id"].meaning),
        text("programYear", "The program year, such as 2023-2024."),
        container("points", ValueType.ARRAY, "The points of the program year, oldest first.", f"{CLUBS} and others"),
        *below("points[].", point),
    )
