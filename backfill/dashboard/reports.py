"""Parses reports and checks that a response is the requested report.

The rules follow the observed export: all cells are quoted, the last line is an unquoted footer (`Month of Jun, As of
09/13/2025`), and many requests that the dashboard cannot answer return status 200 with the figures of today, without
rows, or with an HTML page.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from io import StringIO
from itertools import islice

from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest, month_number, read_day, written_day
from backfill.domain import LONGEST_EXCERPT, Report, ReportName, normalise_column, normalised_district
from backfill.errors import (
    HtmlPage,
    MalformedRow,
    MissingColumn,
    NoRows,
    NotCsv,
    TooLarge,
    Truncated,
    WrongAsOf,
    WrongDistrict,
    WrongMonth,
)

MAX_ROWS = 20_000
"""The largest known report, the clubs of a district, has 331 rows."""

_LEADING = b"\xef\xbb\xbf\r\n\t "  # blank lines and the UTF-8 byte order mark
_FOOTER = re.compile(
    r'"?\s*Month of\s+([A-Z]+)\s*"?\s*,\s*"?\s*As of\s+(\d{1,2}/\d{1,2}/\d{4})\s*"?', re.ASCII | re.IGNORECASE
)
"""The footer as one quoted cell, as two, or without quotes, in upper or lower case."""
_DISTRICT_COLUMN = normalise_column("District")


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """The unchanged cells of a report and its footer. Each row has one cell per column."""

    columns: tuple[str, ...]
    rows: list[list[str]]
    footer_month: int
    footer_as_of: date
    content_hash: str
    """Digest of the bytes without leading blank lines and without the footer, which may contain the download date."""


def parse(content: bytes, *, subject: str = "The report") -> ParsedReport:
    """Parse a report, which may have no rows. Messages of errors begin with `subject`.

    Raises HtmlPage, NotCsv, Truncated (without a complete footer), MalformedRow or TooLarge.
    """
    body = content.lstrip(_LEADING)
    if not body:
        raise Truncated(f"{subject} is empty.")
    if body[:1] in (b"<", b"{"):
        raise HtmlPage(
            f"{subject} is a web page, not CSV. The dashboard sends one while a report is broken. "
            f"It begins with {_beginning(body)}."
        )
    if body[:1] != b'"':
        raise NotCsv(f"{subject} is neither CSV nor a web page. It begins with {_beginning(body)}.")
    stripped = body.rstrip()
    footer_at = max(stripped.rfind(b"\n"), stripped.rfind(b"\r")) + 1
    footer = _FOOTER.fullmatch(_decoded(stripped[footer_at:]))
    if footer is None:
        raise Truncated(f"{subject} is incomplete: it ends without the footer line (Month of ..., As of ...).")
    try:
        footer_month, footer_as_of = month_number(footer[1]), read_day(footer[2])
    except ValueError as exc:
        raise NotCsv(f'{subject} has an invalid footer: "{footer[0]}".') from exc
    table = body[:footer_at]
    if not table:
        raise Truncated(f"{subject} is incomplete: it has a footer but no header.")
    columns, rows = _cells(_decoded(table), subject)
    return ParsedReport(columns, rows, footer_month, footer_as_of, blake2b(table, digest_size=16).hexdigest())


def guard(parsed: ParsedReport, request: ReportRequest) -> None:
    """Check that a report is the requested one.

    Raises the first that applies: MissingColumn (names all missing columns), WrongMonth, WrongAsOf, NoRows or
    WrongDistrict.
    """
    subject, edition = request.report_string, request.edition
    names = [normalise_column(column) for column in parsed.columns]
    missing = [column for column in NEEDED_COLUMNS[request.report] if normalise_column(column) not in names]
    if missing:
        raise MissingColumn(
            f"{subject} lacks required columns: {', '.join(missing)}. The format of the export may have changed."
        )
    if parsed.footer_month != edition.month_end.month:
        raise WrongMonth(
            f"{subject} has the figures of month {parsed.footer_month} instead of month {edition.month_end.month}."
        )
    # The footer of a request with a blank as-of date contains the download date, which is not before the closing.
    is_as_of_valid = (
        parsed.footer_as_of >= edition.as_of if edition.asks_blank else parsed.footer_as_of == edition.as_of
    )
    if not is_as_of_valid:
        raise WrongAsOf(
            f"{subject} is as of {written_day(parsed.footer_as_of)} instead of {written_day(edition.as_of)}."
        )
    if not parsed.rows:
        raise NoRows(f"{subject} has no rows.")
    if request.report is not ReportName.SUMMARY:
        _guard_district(parsed, names.index(_DISTRICT_COLUMN), request)


def check(content: bytes, request: ReportRequest) -> Report:
    """Return the requested report with its unchanged bytes. Raises the errors of `parse` and `guard`."""
    parsed = parse(content, subject=request.report_string)
    guard(parsed, request)
    return Report(rows=len(parsed.rows), size=len(content), content_hash=parsed.content_hash, content=content)


def rows_as_objects(content: bytes) -> list[dict[str, str]]:
    """Return the rows of stored bytes by column name. Raises the errors of `parse`."""
    parsed = parse(content, subject="The stored report")
    return [dict(zip(parsed.columns, row, strict=True)) for row in parsed.rows]


def excerpt_of(content: bytes) -> str:
    """Return the beginning of a rejected response as printable text of at most LONGEST_EXCERPT bytes.

    Characters that are not printable, except tabs and line breaks, are replaced by U+FFFD.
    """
    beginning = content[:LONGEST_EXCERPT]
    try:
        text = beginning.decode("utf-8")
    except UnicodeDecodeError as exc:
        # The excerpt may end within a character.
        is_cut = len(content) > len(beginning) and exc.reason == "unexpected end of data"
        text = beginning[: exc.start].decode("utf-8") if is_cut else beginning.decode("cp1252", errors="replace")
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n")
    safe = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in lines)
    return safe.encode()[:LONGEST_EXCERPT].decode(errors="ignore")


def _cells(text: str, subject: str) -> tuple[tuple[str, ...], list[list[str]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header, *rows = islice(filter(None, reader), MAX_ROWS + 2)
    except csv.Error as exc:
        raise MalformedRow(f"{subject} is not valid CSV at line {reader.line_num}: {exc}.") from exc
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"{subject} has more than {MAX_ROWS:,} rows.")
    # A last column without a name may be in the header only, or in the rows only.
    if rows and not header[-1].strip() and all(len(row) == len(header) - 1 for row in rows):
        header.pop()
    width = len(header)
    if any(map(width.__ne__, map(len, rows))):
        _trim(rows, width, subject)
    return tuple(header), rows


def _trim(rows: list[list[str]], width: int, subject: str) -> None:
    """Remove a blank cell after the last column. Raises MalformedRow if a row has another number of cells then."""
    for number, row in enumerate(rows, start=1):
        if len(row) == width + 1 and not row[-1].strip():
            row.pop()
        if len(row) != width:
            raise MalformedRow(f"{subject} has {len(row)} cells in row {number}, and {width} in its header.")


def _guard_district(parsed: ParsedReport, column: int, request: ReportRequest) -> None:
    wanted = normalised_district(request.district)
    others = sorted(cell for cell in {row[column] for row in parsed.rows} if not _is_district(cell, wanted))
    if others:
        raise WrongDistrict(f'{request.report_string} has rows of another district: "{others[0].strip()[:20]}".')


def _is_district(cell: str, wanted: str) -> bool:
    try:
        return normalised_district(cell) == wanted
    except ValueError:
        return False  # not a district


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # the encoding of Windows servers


def _beginning(body: bytes) -> str:
    words = " ".join(body[:200].decode("ascii", errors="replace").split())
    return f"`{words[:60]}`"
