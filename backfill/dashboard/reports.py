"""From bytes to rows, and the guards: no answer counts as a report unless it is the one that was asked for.

The rules are those of the export as seen: all cells quoted, an unquoted footer as last line (`Month of Jun, As of
09/13/2025`), and status 200 with today's figures, no rows or a web page for much that it cannot answer.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from io import StringIO

from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest, month_number, read_day, written_day
from backfill.domain import LONGEST_EXCERPT, Report, ReportName, normalise_column, normalised_district
from backfill.errors import (
    HtmlPage,
    MalformedRow,
    MissingColumn,
    NoRows,
    NotCsv,
    Truncated,
    WrongAsOf,
    WrongDistrict,
    WrongMonth,
)

_LEADING = b"\xef\xbb\xbf\r\n\t "  # blank lines, and the UTF-8 mark that exports to spreadsheets may begin with
_FOOTER = re.compile(
    r'"?\s*Month of\s+([A-Z]+)\s*"?\s*,\s*"?\s*As of\s+(\d{1,2}/\d{1,2}/\d{4})\s*"?', re.ASCII | re.IGNORECASE
)
"""As one quoted cell, as two, or without quotes, in any case."""
_DISTRICT_COLUMN = normalise_column("District")


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """A report's cells as they stand, and what its footer says. Each row has as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: list[list[str]]
    footer_month: int
    footer_as_of: date
    content_hash: str
    """Of the bytes without leading blank lines and without the footer, which may carry the day of download."""


def parse(content: bytes, *, subject: str = "The report") -> ParsedReport:
    """Read a report. `subject` begins the sentence of every refusal.

    Raises HtmlPage, NotCsv, Truncated (no whole footer at the end) or MalformedRow; a report without rows is read.
    """
    body = content.lstrip(_LEADING)
    if not body:
        raise Truncated(f"{subject} came empty.")
    if body[:1] in (b"<", b"{"):
        raise HtmlPage(
            f"{subject} came as a web page, not as CSV; the dashboard does so while a report is broken. "
            f"It begins with {_beginning(body)}."
        )
    if body[:1] != b'"':
        raise NotCsv(f"{subject} is neither CSV nor a web page. It begins with {_beginning(body)}.")
    stripped = body.rstrip()
    footer_at = max(stripped.rfind(b"\n"), stripped.rfind(b"\r")) + 1
    footer = _FOOTER.fullmatch(_decoded(stripped[footer_at:]))
    if footer is None:
        raise Truncated(f"{subject} ends without its footer line (Month of ..., As of ...), so it is not whole.")
    try:
        footer_month, footer_as_of = month_number(footer[1]), read_day(footer[2])
    except ValueError as exc:
        raise NotCsv(f'{subject} has a footer that cannot be read: "{footer[0]}".') from exc
    table = body[:footer_at]
    if not table:
        raise Truncated(f"{subject} has a footer but no header, so it is not whole.")
    columns, rows = _cells(_decoded(table), subject)
    return ParsedReport(columns, rows, footer_month, footer_as_of, blake2b(table, digest_size=16).hexdigest())


def guard(parsed: ParsedReport, request: ReportRequest) -> None:
    """Refuse a report that is not the one asked for, by its header, its month, its as-of day, its rows, its district.

    Raises MissingColumn (naming all of them), WrongMonth, WrongAsOf, NoRows or WrongDistrict, the first that applies.
    """
    asked, edition = request.report_string, request.edition
    names = [normalise_column(column) for column in parsed.columns]
    missing = [column for column in NEEDED_COLUMNS[request.report] if normalise_column(column) not in names]
    if missing:
        raise MissingColumn(
            f"{asked} came without needed columns: {', '.join(missing)}. The export's format may have changed."
        )
    if parsed.footer_month != edition.month_end.month:
        raise WrongMonth(
            f"{asked} came with the figures of month {parsed.footer_month}, not of month {edition.month_end.month}."
        )
    # Asked with a blank as-of, the footer carries the day of download, which cannot be before the close.
    is_asked_day = parsed.footer_as_of >= edition.as_of if edition.asks_blank else parsed.footer_as_of == edition.as_of
    if not is_asked_day:
        raise WrongAsOf(
            f"{asked} came as of {written_day(parsed.footer_as_of)}, not as of {written_day(edition.as_of)}."
        )
    if not parsed.rows:
        raise NoRows(f"{asked} came with header and footer but no rows.")
    if request.report is not ReportName.SUMMARY:
        _guard_district(parsed, names.index(_DISTRICT_COLUMN), request)


def check(content: bytes, request: ReportRequest) -> Report:
    """The report that was asked for, with its exact bytes; raises what `parse` and `guard` raise."""
    parsed = parse(content, subject=request.report_string)
    guard(parsed, request)
    return Report(rows=len(parsed.rows), size=len(content), content_hash=parsed.content_hash, content=content)


def rows_as_objects(content: bytes) -> list[dict[str, str]]:
    """The rows of stored bytes under the report's own column names, cells as they stand; raises what `parse` raises."""
    parsed = parse(content, subject="The stored report")
    return [dict(zip(parsed.columns, row, strict=True)) for row in parsed.rows]


def excerpt_of(content: bytes) -> str:
    """The beginning of a refused answer as text that is safe to store and to show, at most LONGEST_EXCERPT bytes.

    Characters that are not printable, apart from tabs and line breaks, become U+FFFD: they could move or hide text.
    """
    beginning = content[:LONGEST_EXCERPT]
    try:
        text = beginning.decode("utf-8")
    except UnicodeDecodeError as exc:
        is_cut = len(content) > len(beginning) and exc.reason == "unexpected end of data"  # within a character
        text = beginning[: exc.start].decode("utf-8") if is_cut else beginning.decode("cp1252", errors="replace")
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n")
    safe = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in lines)
    return safe.encode()[:LONGEST_EXCERPT].decode(errors="ignore")


def _cells(text: str, subject: str) -> tuple[tuple[str, ...], list[list[str]]]:
    reader = csv.reader(StringIO(text, newline=""))
    try:
        header, *rows = (row for row in reader if row)
    except csv.Error as exc:
        raise MalformedRow(f"{subject} cannot be read as CSV at line {reader.line_num}: {exc}.") from exc
    # A last column without a name may stand in the header only, or in the rows only.
    if rows and not header[-1].strip() and all(len(row) == len(header) - 1 for row in rows):
        header.pop()
    width = len(header)
    for number, row in enumerate(rows, start=1):
        if len(row) == width + 1 and not row[-1].strip():
            row.pop()
        if len(row) != width:
            raise MalformedRow(f"{subject} has {len(row)} cells in row {number}, and {width} in its header.")
    return tuple(header), rows


def _guard_district(parsed: ParsedReport, column: int, request: ReportRequest) -> None:
    wanted = normalised_district(request.district)
    others = sorted(cell for cell in {row[column] for row in parsed.rows} if not _is_district(cell, wanted))
    if others:
        raise WrongDistrict(f'{request.report_string} came with rows of another district: "{others[0].strip()[:20]}".')


def _is_district(cell: str, wanted: str) -> bool:
    try:
        return normalised_district(cell) == wanted
    except ValueError:
        return False  # no district at all, so not the wanted one


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # what a Windows server writes where it is not UTF-8


def _beginning(body: bytes) -> str:
    words = " ".join(body[:200].decode("ascii", errors="replace").split())
    return f"`{words[:60]}`"
