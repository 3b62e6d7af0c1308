"""Parsing and validation of the exported reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest
from backfill.dashboard.reports import check, excerpt_of, guard, parse, rows_as_objects
from backfill.domain import Edition, ReportName
from backfill.errors import (
    DashboardError,
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

CLUB_COLUMNS = NEEDED_COLUMNS[ReportName.CLUBS]
CLUB = ("91", "A", "01", "00005774", "Solent  Speakers ", "Active", "20", "21", "7", "S")
FOOTER = b"Month of Jan, As of 02/08/2023\r\n"
REQUEST = ReportRequest(
    report=ReportName.CLUBS,
    district="91",
    edition=Edition(
        month_end=date(2023, 1, 31), as_of=date(2023, 2, 8), is_final=True, is_archived=True, asks_blank=False
    ),
)
SUMMARY_REQUEST = replace(REQUEST, report=ReportName.SUMMARY, district="all")
BLANK_REQUEST = replace(REQUEST, edition=replace(REQUEST.edition, asks_blank=True))


def line(cells: Sequence[str]) -> bytes:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells).encode() + b"\r\n"


def export(
    rows: Sequence[Sequence[str]] = (CLUB,), columns: Sequence[str] = CLUB_COLUMNS, footer: bytes = FOOTER
) -> bytes:
    return line(columns) + b"".join(line(row) for row in rows) + footer


# Parsing.


def test_the_cells_of_a_report_are_kept_unchanged() -> None:
    parsed = parse(export([CLUB, CLUB]))
    assert parsed.columns == CLUB_COLUMNS
    assert parsed.rows == [list(CLUB), list(CLUB)]
    assert (parsed.footer_month, parsed.footer_as_of) == (1, date(2023, 2, 8))


def test_the_requested_report_is_kept_with_its_exact_bytes() -> None:
    content = export([CLUB, CLUB])
    report = check(content, REQUEST)
    assert (report.rows, report.size, report.content) == (2, len(content), content)
    assert report.content_hash == parse(content).content_hash


def test_the_footer_may_contain_the_full_month_name_and_no_line_break() -> None:
    assert parse(export(footer=b"Month of January, As of 2/8/2023")).footer_month == 1


@pytest.mark.parametrize(
    "footer",
    [
        b"month of jan, as of 02/08/2023\r\n",
        b"MONTH OF JANUARY, AS OF 2/8/2023\r\n",
        b'"Month of Jan, As of 02/08/2023"\r\n',
        b'"month of jan","as of 02/08/2023"\r\n',
        b'"Month of Jan", "As of 02/08/2023"',
        b"Month of  Jan ,  As of  02/08/2023\r\n",
    ],
)
def test_the_footer_may_be_in_any_case_and_in_quotes(footer: bytes) -> None:
    report = check(export(footer=footer), REQUEST)
    assert (report.rows, report.content_hash) == (1, parse(export()).content_hash)


@pytest.mark.parametrize("unnamed", [b',""', b",", b',"  "'])
def test_an_unnamed_last_column_may_be_only_in_the_header_or_only_in_the_rows(unnamed: bytes) -> None:
    end = unnamed + b"\r\n"
    header, row = line(CLUB_COLUMNS), line(CLUB)
    longer_header, longer_row = (text.replace(b"\r\n", end) for text in (header, row))
    for content in (longer_header + row + row + FOOTER, header + longer_row + row + FOOTER):
        check(content, REQUEST)
        parsed = parse(content)
        assert parsed.columns == CLUB_COLUMNS
        assert parsed.rows == [list(CLUB), list(CLUB)]
        assert rows_as_objects(content)[0] == dict(zip(CLUB_COLUMNS, CLUB, strict=True))


def test_an_additional_cell_that_is_not_empty_is_refused() -> None:
    with pytest.raises(MalformedRow):
        check(export([(*CLUB, "x")]), REQUEST)
    with pytest.raises(MalformedRow):
        check(export([CLUB[:-1]]), REQUEST)
    with pytest.raises(MalformedRow):
        check(export([(*CLUB, "", "")]), REQUEST)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\r\n\xef\xbb\xbf"])
def test_a_byte_order_mark_is_ignored(mark: bytes) -> None:
    assert check(mark + export(), REQUEST).content_hash == parse(export()).content_hash
    with pytest.raises(HtmlPage):
        parse(mark + b"<html>")


# Excerpts.


def test_an_excerpt_is_the_beginning_of_the_text() -> None:
    assert excerpt_of(b"<html>\r\n\tLe caf\xc3\xa9</html>\n") == "<html>\n\tLe caf\xe9</html>\n"
    assert excerpt_of(b"\xef\xbb\xbfLe caf\xe9") == "\xef\xbb\xbfLe caf\xe9", (
        "content that is not UTF-8 is decoded as cp1252"
    )
    assert excerpt_of(b"\xef\xbb\xbfplain") == "plain"
    assert excerpt_of(b"") == ""


def test_control_characters_in_an_excerpt_are_replaced() -> None:
    dangerous = "\x1b[2J\0\x07\x7f\x9b\u202e\u2028\r"
    excerpt = excerpt_of(f"a{dangerous}b".encode())
    assert excerpt == "a" + "\ufffd[2J" + "\ufffd" * 7 + "b"


@given(st.binary(max_size=5000))
@example(b"\0" * 3000)
@example("\xe9".encode() * 3000)
@example(b"x" + "\u20ac".encode() * 3000)
def test_an_excerpt_has_at_most_two_kilobytes_and_only_printable_characters(content: bytes) -> None:
    excerpt = excerpt_of(content)
    assert len(excerpt.encode()) <= 2048
    assert all(char.isprintable() or char in "\n\t" for char in excerpt)


def test_an_excerpt_that_is_cut_within_a_character_keeps_the_characters_before_it() -> None:
    assert excerpt_of(b"x" + "\u20ac".encode() * 3000) == "x" + "\u20ac" * 682


def test_blank_lines_before_and_after_the_report_are_ignored() -> None:
    content = b"\r\n \r\n" + export() + b"\r\n\r\n"
    assert parse(content).rows == [list(CLUB)]
    assert parse(content).content_hash == parse(export()).content_hash


def test_the_content_hash_ignores_the_footer_with_the_download_date() -> None:
    one, other = parse(export()), parse(export(footer=b"Month of Jan, As of 09/13/2025\r\n"))
    assert one.content_hash == other.content_hash
    assert len(one.content_hash) == 32


def test_the_content_hash_includes_every_cell() -> None:
    changed = (*CLUB[:-1], "P")
    assert parse(export()).content_hash != parse(export([changed])).content_hash


def test_commas_quotes_and_line_breaks_inside_a_cell_are_kept() -> None:
    club = (*CLUB[:4], 'Say "Hi", they\r\nsaid', *CLUB[5:])
    assert parse(export([club])).rows == [list(club)]


def test_a_club_with_the_name_of_a_footer_is_a_row() -> None:
    club = (*CLUB[:4], "Month of Jun, As of 09/13/2025", *CLUB[5:])
    assert check(export([club]), REQUEST).rows == 1


def test_text_is_decoded_as_utf_8_or_else_as_cp1252() -> None:
    club = (*CLUB[:4], "Caf\u00e9 \u2019s", *CLUB[5:])
    content = export([club])
    assert parse(content).rows[0][4] == "Caf\u00e9 \u2019s"
    assert parse(content.decode().encode("cp1252")).rows[0][4] == "Caf\u00e9 \u2019s"


def test_stored_rows_are_returned_as_objects_with_the_column_names_of_the_report() -> None:
    columns = ("DISTRICT ", *CLUB_COLUMNS[1:])
    objects = rows_as_objects(export(columns=columns))
    assert objects == [dict(zip(columns, CLUB, strict=True))]
    assert objects[0]["Club Name"] == "Solent  Speakers "
    assert list(objects[0]) == list(columns)


# Content that is not a complete report.


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html></html>",
        b"\r\n\r\n \t<!DOCTYPE html><html><body>An error has occured please report this</body></html>",
        b'{"error": "busy"}',
    ],
)
def test_a_web_page_instead_of_a_report_is_refused_as_html(content: bytes) -> None:
    with pytest.raises(HtmlPage, match="clubperformance~91~1/31/2023~2/8/2023~2022-2023 is a web page") as raised:
        check(content, REQUEST)
    assert raised.value.is_retryable


@pytest.mark.parametrize("content", [b"District,Division\r\n91,A\r\n" + FOOTER, b"slow down", FOOTER, b"\x00\xff\xfe"])
def test_content_that_is_neither_a_page_nor_a_report_is_refused(content: bytes) -> None:
    with pytest.raises(NotCsv):
        parse(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        line(CLUB_COLUMNS),
        export(footer=b""),
        export(footer=b"Month of"),
        export(footer=b"Month of Jan, As of 02/08/20"),
        export(footer=b'"91","A",'),
        export()[:-60],
    ],
)
def test_a_report_without_a_complete_footer_is_truncated(content: bytes) -> None:
    with pytest.raises(Truncated) as raised:
        parse(content)
    assert raised.value.is_retryable


def test_a_report_cut_off_anywhere_before_the_year_of_its_footer_is_truncated() -> None:
    content = export([CLUB, CLUB])
    end = content.rindex(b"2023") + 4
    for length in range(end):
        with pytest.raises(Truncated):
            parse(content[:length])
    assert parse(content[:end]).rows == [list(CLUB), list(CLUB)]


@pytest.mark.parametrize("footer", [b"Month of Juin, As of 02/08/2023\r\n", b"Month of Jan, As of 13/08/2023\r\n"])
def test_a_footer_with_an_invalid_month_or_date_is_refused(footer: bytes) -> None:
    with pytest.raises(NotCsv, match="has an invalid footer"):
        parse(export(footer=footer))


@pytest.mark.parametrize("row", [CLUB[:-1], (*CLUB, "x")])
def test_a_row_with_a_wrong_number_of_cells_is_refused_and_its_number_named(row: tuple[str, ...]) -> None:
    with pytest.raises(MalformedRow, match=rf"{len(row)} cells in row 2, and 10 in its header"):
        check(export([CLUB, row, CLUB]), REQUEST)


def test_a_report_with_more_than_20_000_rows_is_too_large() -> None:
    rows = line(CLUB) * 20_000
    assert check(line(CLUB_COLUMNS) + rows + FOOTER, REQUEST).rows == 20_000
    with pytest.raises(TooLarge, match="has more than 20,000 rows"):
        check(line(CLUB_COLUMNS) + rows + line(CLUB) + FOOTER, REQUEST)


def test_a_quote_that_is_never_closed_is_a_malformed_row() -> None:
    content = line(CLUB_COLUMNS) + b'"91","A,\r\n' + line(CLUB) + FOOTER
    with pytest.raises(MalformedRow, match="is not valid CSV"):
        parse(content)


def test_an_unclosed_quote_in_the_last_cell_is_a_malformed_row() -> None:
    row = line(CLUB).rstrip()
    assert row.endswith(b'"')
    with pytest.raises(MalformedRow, match="unexpected end of data"):
        parse(line(CLUB_COLUMNS) + row[:-1] + b"\r\n" + FOOTER)


def test_an_oversized_cell_is_a_malformed_row() -> None:
    with pytest.raises(MalformedRow, match="is not valid CSV at line 2"):
        parse(export([(*CLUB[:-1], "x" * 200_000)]))


# Complete reports that are not the requested report.


def test_every_missing_column_is_named() -> None:
    renamed = [{"Goals Met": "Goals", "Mem. Base": "Base"}.get(column, column) for column in CLUB_COLUMNS]
    with pytest.raises(MissingColumn, match=r"Mem\. Base, Goals Met\."):
        check(export(columns=renamed), REQUEST)


def test_column_names_ignore_case_and_spaces_and_additional_columns_are_allowed() -> None:
    columns = [f" {column.upper().replace(' ', '  ')} " for column in CLUB_COLUMNS] + ["CSP"]
    assert check(export([(*CLUB, "Y")], columns=columns), REQUEST).rows == 1


def test_a_report_other_than_the_requested_one_is_refused() -> None:
    with pytest.raises(MissingColumn, match="Club, New, Late Ren"):
        check(export(), replace(REQUEST, report=ReportName.DISTRICT))


def test_another_month_is_refused() -> None:
    with pytest.raises(WrongMonth, match="figures of month 12 instead of month 1"):
        check(export(footer=b"Month of Dec, As of 02/08/2023\r\n"), REQUEST)


def test_another_as_of_date_is_refused() -> None:
    with pytest.raises(WrongAsOf, match=r"is as of 2/9/2023 instead of 2/8/2023"):
        check(export(footer=b"Month of Jan, As of 02/09/2023\r\n"), REQUEST)


def test_the_report_of_a_blank_as_of_date_may_have_any_as_of_date() -> None:
    assert check(export(footer=b"Month of Jan, As of 09/13/2025\r\n"), BLANK_REQUEST).rows == 1


def test_the_report_of_a_blank_as_of_date_must_have_the_requested_month() -> None:
    with pytest.raises(WrongMonth):
        check(export(footer=b"Month of Feb, As of 02/08/2023\r\n"), BLANK_REQUEST)


def test_a_report_without_rows_is_refused_as_a_retryable_error() -> None:
    with pytest.raises(NoRows) as raised:
        check(export([]), REQUEST)
    assert raised.value.is_retryable


@pytest.mark.parametrize("cell", ["61", "F", "", "ninety-one", "091x"])
def test_a_single_row_of_another_district_is_refused(cell: str) -> None:
    with pytest.raises(WrongDistrict, match=f'another district: "{cell}"'):
        check(export([CLUB, (cell, *CLUB[1:])]), REQUEST)


@pytest.mark.parametrize(("cell", "district"), [("1", "01"), ("01", "01"), (" 01 ", "01"), ("f", "F"), ("091", "91")])
def test_district_ids_are_normalised_before_they_are_compared(cell: str, district: str) -> None:
    assert check(export([(cell, *CLUB[1:])]), replace(REQUEST, district=district)).rows == 1


def test_the_summary_may_contain_all_districts() -> None:
    columns = NEEDED_COLUMNS[ReportName.SUMMARY]
    rows = [("01", *"1234567"), ("F", *"1234567")]
    assert check(export(rows, columns=columns), SUMMARY_REQUEST).rows == 2


def test_checks_run_in_the_order_header_month_as_of_date_rows_district() -> None:
    other = ("61", *CLUB[1:])
    wrong_month, wrong_day = b"Month of Feb, As of 03/09/2023\r\n", b"Month of Jan, As of 03/09/2023\r\n"
    cases: list[tuple[bytes, type[DashboardError]]] = [
        (export([], columns=("District", "x"), footer=wrong_month), MissingColumn),
        (export([], footer=wrong_month), WrongMonth),
        (export([], footer=wrong_day), WrongAsOf),
        (export([]), NoRows),
        (export([other]), WrongDistrict),
    ]
    for content, expected in cases:
        with pytest.raises(expected):
            guard(parse(content), REQUEST)


# Arbitrary content.

FRAGMENTS = st.sampled_from(
    [
        b'"',
        b'""',
        b",",
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\xe9",
        b"<",
        b"91",
        FOOTER,
        line(CLUB_COLUMNS),
        line(CLUB),
        b"Month of ",
        b"Month of Feb, As of 02/30/2023\r\n",
    ]
)


@given(st.binary(max_size=300) | st.lists(FRAGMENTS | st.binary(max_size=6), max_size=12).map(b"".join))
@example(b'"' + FOOTER)
@example(b'"\n' + FOOTER)
@example(b'"\r' + FOOTER)
def test_arbitrary_bytes_raise_only_dashboard_errors(content: bytes) -> None:
    for request in (REQUEST, SUMMARY_REQUEST, BLANK_REQUEST):
        try:
            report = check(content, request)
        except DashboardError as error:
            message = error.message
        else:
            message = request.report_string
            assert report.rows == len(rows_as_objects(content)) > 0
        assert message.startswith(request.report_string)


@given(st.lists(st.lists(st.text(max_size=8), min_size=3, max_size=3), max_size=5))
def test_written_rows_are_parsed_unchanged(rows: list[list[str]]) -> None:
    assert parse(export(rows, columns=("a", "b", "c"))).rows == rows
