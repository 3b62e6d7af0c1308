"""The four reports of a day in the dashboard's format: columns of each era, rows, footer, bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sample_dashboard.standings import LAST_LEGACY_YEAR, Standing


class ReportName(StrEnum):
    CLUBS = "clubperformance"
    DISTRICT = "districtperformance"
    DIVISIONS = "divisionperformance"
    SUMMARY = "districtsummary"


Column = tuple[str, Callable[[Standing], object]]

MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_PLACE: tuple[Column, ...] = (("Division", lambda s: s.division), ("Area", lambda s: s.area))


def _club(number_column: str) -> tuple[Column, ...]:
    return ((number_column, lambda s: s.season.club.number), ("Club Name", lambda s: s.season.club.name))


def _level(index: int) -> Callable[[Standing], object]:
    return lambda s: s.levels[index]


def _capped(name: str, cap: int, count: Callable[[Standing], int]) -> tuple[Column, Column]:
    """Return the column of a counter that stops at `cap`, and the `Add.` column with the rest."""
    more = "Add. Level 4s, Path Completions, or DTM award" if name.endswith("DTM Awards") else f"Add. {name}"
    return (name, lambda s: min(count(s), cap)), (more, lambda s: max(0, count(s) - cap))


def _learning(year: int) -> tuple[Column, ...]:
    if year <= LAST_LEGACY_YEAR:
        return (
            *_capped("CCs", 2, lambda s: s.awards[0]),
            *_capped("ACs", 1, lambda s: s.awards[1]),
            *_capped("CL/AL/DTMs", 1, lambda s: s.awards[2]),
            ("Level 1s", _level(0)),
            *_capped("Level 2s", 2, lambda s: s.levels[1]),
            ("Level 3s", _level(2)),
            ("Level 4s", _level(3)),
            ("Level 5s", _level(4)),
        )
    seconds = "Level 2s or EOM" if year >= 2026 else "Level 2s"
    fourths = "Level 4s, Path Completions, or DTM Awards" if year >= 2025 else "Level 4s, Level 5s, or DTM award"
    return (
        ("Level 1s", _level(0)),
        *_capped(seconds, 2, lambda s: s.levels[1]),
        ("Level 3s", _level(2)),
        *_capped(fourths, 1, lambda s: s.levels[3]),
    )


def club_columns(year: int) -> tuple[Column, ...]:
    """Return the columns of `clubperformance` without the district: 29, 23 or 25, depending on the program year."""
    has_plans = year >= 2025
    plan: tuple[Column, ...] = (("CSP", lambda s: "Y" if s.has_plan else "N"),) if has_plans else ()
    growth: tuple[Column, ...] = (("Net Growth", lambda s: s.members - s.season.base),) if has_plans else ()
    return (
        *_PLACE,
        *_club("Club Number"),
        ("Club Status", lambda s: s.status),
        *plan,
        ("Mem. Base", lambda s: s.season.base),
        ("Active Members", lambda s: s.members),
        *growth,
        ("Goals Met", lambda s: s.goals),
        *_learning(year),
        *_capped("New Members", 4, lambda s: s.new),
        ("Off. Trained Round 1", lambda s: s.trained[0]),
        ("Off. Trained Round 2", lambda s: s.trained[1]),
        ("Mem. dues on time Oct", lambda s: s.october_on_time),
        ("Mem. dues on time Apr", lambda s: s.april_on_time),
        ("Off. List On Time", lambda s: s.officer_lists),
        ("Club Distinguished Status", lambda s: s.code),
    )


_DISTRICT_COLUMNS: tuple[Column, ...] = (
    *_PLACE,
    *_club("Club"),
    ("New", lambda s: s.new),
    ("Late Ren.", lambda s: s.late),
    ("Oct. Ren.", lambda s: s.october),
    ("Apr. Ren.", lambda s: s.april),
    ("Total Ren.", lambda s: s.renewals),
    ("Total Chart", lambda s: s.charter),
    ("Total to Date", lambda s: s.payments),
    ("Distinguished Status", lambda s: s.code),
    ("Charter Date/Suspend Date", lambda s: s.note),
)

# In the real export, the first two columns are flags, not counts.
_DIVISION_COLUMNS: tuple[Column, ...] = (
    *_PLACE,
    *_club("Club"),
    ("October Renewals", lambda s: s.october_on_time),
    ("April Renewals", lambda s: s.april_on_time),
    ("Nov Visit award", lambda s: s.visits[0]),
    ("May Visit award", lambda s: s.visits[1]),
    ("Membership to date", lambda s: s.members),
    ("Club Goals Met", lambda s: s.goals),
    ("Distinguished Club", lambda s: s.code),
)
_DIVISION_NOTE = "Charter Date/Suspend Date"


@dataclass(frozen=True, slots=True)
class Unit:
    """An area or a division: its counts, its goals for the three levels, and its level."""

    base: int
    paid: int
    distinguished: int
    paid_goals: tuple[int, int, int]
    distinguished_goals: tuple[int, int, int]
    level: str

    @classmethod
    def of(cls, clubs: Sequence[Standing], *, is_area: bool) -> Unit:
        base = sum(s.season.was_paid for s in clubs)
        paid, distinguished = sum(s.status == "Active" for s in clubs), sum(s.code != "" for s in clubs)
        half = _share(base, 50)
        paid_goals = (base, base, base + 1) if is_area else (base, base + 1, base + 2)
        goals = (half, half + 1, half + 1) if is_area else (_share(base, 45), half, _share(base, 55))
        words = ("Distinguished", "Select Distinguished", "President's Distinguished")
        met = [word for word, p, d in zip(words, paid_goals, goals, strict=True) if paid >= p and distinguished >= d]
        is_visited = not is_area or all(4 * sum(s.visits[r] > 0 for s in clubs) >= 3 * base for r in (0, 1))
        is_ranked = is_visited and clubs[0].division != "0D"
        return cls(base, paid, distinguished, paid_goals, goals, met[-1] if met and is_ranked else "")

    @staticmethod
    def columns(kind: str) -> list[str]:
        levels = ("Dist.", "Select Dist.", "Pres. Dist.")
        return [
            f"{kind} Club Base",
            *(f"{kind} Paid Club Goal for {level}" for level in levels),
            f"Total Paid {kind} Clubs",
            *(f"{kind} Dist. Club Goal for {level}" for level in levels),
            f"Total Dist. {kind} Clubs",
            f"Distinguished {kind}",
        ]

    @property
    def cells(self) -> list[object]:
        return [self.base, *self.paid_goals, self.paid, *self.distinguished_goals, self.distinguished, self.level]


def header_of(report: ReportName, year: int) -> list[str]:
    if report is ReportName.SUMMARY:
        return _summary_columns(year)
    if report is ReportName.DIVISIONS:
        names = [name for name, _ in _DIVISION_COLUMNS]
        return ["District", *names, *Unit.columns("Area"), *Unit.columns("Division"), _DIVISION_NOTE]
    columns = club_columns(year) if report is ReportName.CLUBS else _DISTRICT_COLUMNS
    return ["District", *(name for name, _ in columns)]


def district_rows(report: ReportName, year: int, district: str, clubs: Sequence[Standing]) -> list[list[object]]:
    """Return the rows of a report of one district."""
    if report is ReportName.DIVISIONS:
        return _division_rows(district, clubs)
    getters = [get for _, get in (club_columns(year) if report is ReportName.CLUBS else _DISTRICT_COLUMNS)]
    return [[district, *(get(club) for get in getters)] for club in clubs]


def _division_rows(district: str, clubs: Sequence[Standing]) -> list[list[object]]:
    in_area: dict[tuple[str, str], list[Standing]] = {}
    in_division: dict[str, list[Standing]] = {}
    for club in clubs:
        in_area.setdefault((club.division, club.area), []).append(club)
        in_division.setdefault(club.division, []).append(club)
    areas = {key: Unit.of(members, is_area=True).cells for key, members in in_area.items()}
    divisions = {key: Unit.of(members, is_area=False).cells for key, members in in_division.items()}
    return [
        [
            district,
            *(get(club) for _, get in _DIVISION_COLUMNS),
            *areas[club.division, club.area],
            *divisions[club.division],
            club.note,
        ]
        for club in clubs
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrictTraits:
    """Attributes of a district in the summary that are not sums of its clubs."""

    district: str
    region: str
    has_success_plan: bool
    is_trained: bool
    payment_base: int
    """0 for a district without a previous program year; its growth is `N/A`."""


def summary_row(year: int, traits: DistrictTraits, clubs: Sequence[Standing]) -> list[object]:
    """Return the row of a district in `districtsummary`: the sums of its club rows."""
    codes = {code: sum(s.code == code for s in clubs) for code in "DSPM"}
    distinguished, payments = sum(codes.values()), sum(s.payments for s in clubs)
    base, paid = sum(s.season.was_paid for s in clubs), sum(s.status == "Active" for s in clubs)
    plan = "Y" if traits.has_success_plan else "N"
    return [
        traits.region,
        traits.district,
        plan,
        "Y" if traits.is_trained else "N",
        sum(s.new for s in clubs),
        sum(s.october for s in clubs),
        sum(s.april for s in clubs),
        sum(s.late for s in clubs),
        sum(s.charter for s in clubs),
        payments,
        traits.payment_base,
        percent(payments - traits.payment_base, traits.payment_base),
        base,
        paid,
        percent(paid - base, base),
        sum(s.status != "Suspended" for s in clubs),
        codes["D"],
        codes["S"],
        codes["P"],
        *((plan, plan, *([plan] if year == 2025 else ()), codes["M"]) if year >= 2025 else ()),
        distinguished,
        percent(distinguished, base),
    ]


def _summary_columns(year: int) -> list[str]:
    names = ["REGION", "DISTRICT", "DSP", "Training"]
    names += [f"{kind} Payments" for kind in ("New", "October", "April", "Late", "Charter", "Total YTD")]
    names += ["Payment Base", "% Payment Growth", "Paid Club Base", "Paid Clubs", "% Club Growth", "Active Clubs"]
    names += [f"{level}Distinguished Clubs" for level in ("", "Select ", "Presidents ")]
    if year >= 2025:
        visit = ["Region Advisor Visit"] if year == 2025 else []
        names += ["Market Analysis", "Communication Plan", *visit, "Smedley Distinguished Clubs"]
    return [*names, "Total Distinguished Clubs", "% Distinguished Clubs"]


def percent(part: int, whole: int) -> str:
    """Format a percentage with two digits, rounded half away from zero; `N/A` if `whole` is 0."""
    if whole == 0:
        return "N/A"
    hundredths = (2 * abs(part) * 10_000 + whole) // (2 * whole)
    return f"{'-' if part < 0 and hundredths else ''}{hundredths // 100}.{hundredths % 100:02d}%"


def _share(base: int, percents: int) -> int:
    return -(-base * percents // 100)


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]], month_end: date, stamp: date) -> bytes:
    """Return the export with quoted cells, CRLF and the unquoted footer."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode("ascii") + footer(month_end, stamp)


def footer(month_end: date, stamp: date) -> bytes:
    return f"Month of {MONTH_NAMES[month_end.month - 1]}, As of {stamp:%m/%d/%Y}\r\n".encode("ascii")
