"""The dashboard's request format: report strings, paths, dates, and the columns that its reports must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from backfill.domain import Edition, ProgramYear, ReportName

NEEDED_COLUMNS: Mapping[ReportName, tuple[str, ...]] = {
    ReportName.CLUBS: (
        "District",
        "Division",
        "Area",
        "Club Number",
        "Club Name",
        "Club Status",
        "Mem. Base",
        "Active Members",
        "Goals Met",
        "Club Distinguished Status",
    ),
    ReportName.DISTRICT: (
        "District",
        "Division",
        "Area",
        "Club",
        "New",
        "Late Ren.",
        "Oct. Ren.",
        "Apr. Ren.",
        "Total Ren.",
        "Total Chart",
        "Total to Date",
    ),
    ReportName.DIVISIONS: (
        "District",
        "Division",
        "Area",
        "Club",
        "Area Club Base",
        "Total Paid Area Clubs",
        "Distinguished Area",
        "Division Club Base",
        "Total Paid Division Clubs",
        "Distinguished Division",
    ),
    ReportName.SUMMARY: (
        "DISTRICT",
        "New Payments",
        "Total YTD Payments",
        "Payment Base",
        "Paid Club Base",
        "Paid Clubs",
        "Active Clubs",
        "Total Distinguished Clubs",
    ),
}
"""The columns that the service needs in every era of the export. Compare names with `normalise_column`."""

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)


def month_number(name: str) -> int:
    """Return 1 to 12 for a name like `Jun` or `June`. Raises ValueError for other text."""
    wanted = name.strip().lower()
    if len(wanted) >= 3:
        for number, month in enumerate(_MONTHS, start=1):
            if month.startswith(wanted):
                return number
    raise ValueError(f"{name!r} is not a month.")


def read_day(text: str) -> date:
    """Parse `4/14/2023` or `04/14/2023`, month first. Raises ValueError for other text."""
    match = _DAY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a date like 4/14/2023.")
    return date(int(match[3]), int(match[1]), int(match[2]))


def written_day(day: date) -> str:
    """Format `4/14/2023` as the dashboard does: month first, without padding."""
    return f"{day.month}/{day.day}/{day.year}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """The request of one report. `district` is normalised ("01"); the district summary ignores it."""

    report: ReportName
    district: str
    edition: Edition

    @property
    def report_string(self) -> str:
        """For example `clubperformance~01~1/31/2023~2/8/2023~2022-2023`.

        The summary has no district, a final closing of a year has an empty as-of date.
        """
        edition = self.edition
        district = () if self.report is ReportName.SUMMARY else (self.district,)
        as_of = "" if edition.asks_blank else written_day(edition.as_of)
        return "~".join((self.report, *district, written_day(edition.month_end), as_of, str(edition.program_year)))

    @property
    def path_and_query(self) -> str:
        """The URL after the base address of the dashboard."""
        prefix = _prefix(self.edition.month_end, is_archived=self.edition.is_archived)
        return f"{prefix}/export.aspx?type=CSV&report={quote(self.report_string, safe='~/')}"


def calendar_path(month_end: date, *, district: str, is_archived: bool) -> str:
    """Return the path of the page that lists the as-of days of a month.

    The page of each district of the program year has the same lists. No district exists in every program year.
    """
    return f"{_prefix(month_end, is_archived=is_archived)}/Club.aspx?id={district}&month={month_end.month}"


def _prefix(month_end: date, *, is_archived: bool) -> str:
    # The dashboard answers correctly for a closed year only under its name, and for the live year only without it.
    return f"/{ProgramYear.of(month_end)}" if is_archived else ""
