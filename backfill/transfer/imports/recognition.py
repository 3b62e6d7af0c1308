"""Recognises a report by its content: the header names the report, the footer the month and the as-of date, and the
rows the district. The validation is that of a fetched report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b

from backfill.analytics.charters import COLUMN as CHARTER_COLUMN
from backfill.analytics.charters import charter_date
from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest, written_day
from backfill.dashboard.reports import ParsedReport, guard, parse
from backfill.domain import (
    FIRST_DAY,
    SUMMARY,
    Edition,
    ProgramYear,
    ReportName,
    month_end_of,
    normalise_column,
    normalised_district,
)
from backfill.errors import DashboardError
from backfill.transfer.imports.reasons import ImportReason, NotImported

_JUNE = 6
_SUBJECT = "The file"
_CLUB_COLUMNS = {ReportName.CLUBS: "Club Number", ReportName.DISTRICT: "Club", ReportName.DIVISIONS: "Club"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognisedReport:
    report: ReportName
    district: str
    """SUMMARY for the summary of all districts."""
    month_end: date | None
    """None for a June whose footer has a later date: the day of the download, which does not show the year."""
    as_of: date
    """The date in the footer."""
    rows: int
    size: int
    content_hash: str
    clubs: str = ""
    """Of a June: a digest of the club numbers, which are the same in the three reports of a district and date."""
    year: ProgramYear | None = None
    """Of a June: the program year of the charter dates; None if there are none or they are of several years."""


def recognise(content: bytes, today: date) -> RecognisedReport:
    """Raises NotImported with the code of the validation error, or `unknown-report`."""
    try:
        parsed = parse(content, subject=_SUBJECT)
        return _recognised(parsed, len(content), today)
    except DashboardError as exc:
        raise NotImported(exc.code, exc.message) from exc


def _recognised(parsed: ParsedReport, size: int, today: date) -> RecognisedReport:
    names = [normalise_column(column) for column in parsed.columns]
    report = _report_of(names)
    month_end = _data_month(parsed.footer_month, parsed.footer_as_of, today)
    district = SUMMARY if report is ReportName.SUMMARY else _district_of(parsed, names)
    guard(
        parsed,
        ReportRequest(
            report=report,
            district=district,
            edition=Edition(
                month_end=month_end or ProgramYear(parsed.footer_as_of.year - 1).close,
                as_of=parsed.footer_as_of,
                is_final=False,
                is_archived=True,
                asks_blank=False,
            ),
        ),
    )
    is_june = parsed.footer_month == _JUNE and report in _CLUB_COLUMNS
    return RecognisedReport(
        report=report,
        district=district,
        month_end=month_end,
        as_of=parsed.footer_as_of,
        rows=len(parsed.rows),
        size=size,
        content_hash=parsed.content_hash,
        clubs=_digest_of_clubs(parsed, names, report) if is_june else "",
        year=_charter_year(parsed, names) if is_june and report is ReportName.DISTRICT else None,
    )


def _report_of(names: Sequence[str]) -> ReportName:
    """The report most of whose required columns the header has; `guard` names the others."""
    present = {
        report: sum(normalise_column(column) in names for column in needed) / len(needed)
        for report, needed in NEEDED_COLUMNS.items()
    }
    report = max(present, key=lambda name: present[name])
    if present[report] <= 0.5:
        raise NotImported(ImportReason.UNKNOWN_REPORT, "Its header is that of none of the four reports.")
    return report


def _data_month(month: int, as_of: date, today: date) -> date | None:
    """The end of the month of the figures: the month of the as-of date or the month before, which is still closing.

    None for a June with a later date. Raises NotImported.
    """
    if not FIRST_DAY <= as_of <= today:
        when = "in the future" if as_of > today else f"before the first program year, which began on {FIRST_DAY}"
        raise NotImported("WRONG_AS_OF", f"Its as-of date, {written_day(as_of)}, is {when}.")
    for end in (month_end_of(as_of), as_of.replace(day=1) - timedelta(days=1)):
        if end.month == month and end >= FIRST_DAY:
            return end
    if month == _JUNE:
        return None
    raise NotImported(
        "WRONG_MONTH", f"It has the figures of month {month} as of {written_day(as_of)}, which is not near that month."
    )


def _district_of(parsed: ParsedReport, names: Sequence[str]) -> str:
    """The district of the first row; `guard` compares the other rows with it, and refuses a report without rows."""
    column = normalise_column("District")
    if column not in names or not parsed.rows:
        return "01"
    cell = parsed.rows[0][names.index(column)]
    try:
        return normalised_district(cell)
    except ValueError:
        raise NotImported("WRONG_DISTRICT", f'Its first row has no district, but "{cell.strip()[:20]}".') from None


def _digest_of_clubs(parsed: ParsedReport, names: Sequence[str], report: ReportName) -> str:
    column = names.index(normalise_column(_CLUB_COLUMNS[report]))
    numbers = sorted({row[column].strip().lstrip("0") for row in parsed.rows})
    return blake2b("\n".join(numbers).encode(errors="replace"), digest_size=8).hexdigest()


def _charter_year(parsed: ParsedReport, names: Sequence[str]) -> ProgramYear | None:
    """The report lists charters of its own program year only."""
    column = normalise_column(CHARTER_COLUMN)
    if column not in names:
        return None
    at = names.index(column)
    years = {ProgramYear.of(day) for row in parsed.rows if (day := charter_date(row[at])) is not None}
    return years.pop() if len(years) == 1 else None
