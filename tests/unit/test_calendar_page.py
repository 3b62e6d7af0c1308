"""Parsing of calendar pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.dashboard.calendar_page import CalendarPage, calendar_month, parse_calendar_page
from backfill.domain import ProgramYear
from backfill.errors import DashboardError, HtmlPage

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALL_MONTHS = (6, 5, 4, 3, 2, 1, 12, 11, 10, 9, 8, 7)
MARCH_DAYS = (
    ("4/14/2023", "As of 14-Apr-2023"),
    ("4/13/2023", "As of 13-Apr-2023"),
    ("3/10/2023", "As of 10-Mar-2023"),
)


def select(name: str, options: Sequence[tuple[str, str]], selected: str | None) -> str:
    lines = "\n".join(
        f'<option {"selected=" if value == selected else "class="}"selected" value="{value}">{text}</option>'
        for value, text in options
    )
    return f'<select id="cpContent_TopControls1_{name}" class="ddl">{lines}</select>'


def html(
    *,
    years: Sequence[str] = ("2022-2023", "2021-2022"),
    year: str | None = "2022-2023",
    months: Sequence[int | str] = ALL_MONTHS,
    month: int | None = 3,
    districts: Sequence[str] = ("01", "91", "F"),
    days: Sequence[tuple[str, str]] = MARCH_DAYS,
    day: str | None = None,
    without: str = "",
) -> str:
    parts = {
        "ddlDistricts": select("ddlDistricts", [(d, f"District {d}") for d in districts], None),
        "ddlProgramYear": select("ddlProgramYear", [(name, name) for name in years], year),
        "ddlMonth": select("ddlMonth", [(str(m), "Month") for m in months], str(month)),
        "ddlAsOf": select("ddlAsOf", days, day),
    }
    body = "".join(part for name, part in parts.items() if name != without)
    return f"\r\n\r\n<!DOCTYPE html><html><body><table><tr><td>{body}</td></tr></table></body></html>"


def page(
    *,
    year: int = 2022,
    month: int = 3,
    months: tuple[int, ...] = ALL_MONTHS,
    days: tuple[date, ...] = (date(2023, 3, 10), date(2023, 4, 14)),
    has_blank_close: bool = False,
    close: date | None = None,
) -> CalendarPage:
    return CalendarPage(
        program_year=ProgramYear(year),
        program_years=(ProgramYear(year),),
        month=month,
        months=months,
        districts=("01", "91"),
        as_of_days=days,
        has_blank_close=has_blank_close,
        close=close,
    )


# Parsing.


def test_a_page_is_parsed_into_its_year_month_districts_and_days() -> None:
    assert parse_calendar_page(html().encode()) == CalendarPage(
        program_year=ProgramYear(2022),
        program_years=(ProgramYear(2022), ProgramYear(2021)),
        month=3,
        months=ALL_MONTHS,
        districts=("01", "91", "F"),
        as_of_days=(date(2023, 3, 10), date(2023, 4, 13), date(2023, 4, 14)),
        has_blank_close=False,
        close=date(2023, 4, 14),
    )


def test_text_and_bytes_are_parsed_alike() -> None:
    assert parse_calendar_page(html()) == parse_calendar_page(html().encode())


def test_an_option_with_an_empty_value_is_a_blank_close_with_the_date_of_its_text() -> None:
    parsed = parse_calendar_page(html(month=6, days=[("", "As of 19-Jul-2023"), ("7/18/2023", "As of 18-Jul-2023")]))
    assert parsed.as_of_days == (date(2023, 7, 18), date(2023, 7, 19))
    assert parsed.has_blank_close


def test_an_empty_value_that_is_not_the_newest_day_is_not_a_blank_close() -> None:
    parsed = parse_calendar_page(html(days=[("7/19/2023", "As of 19-Jul-2023"), ("", "As of 18-Jul-2023")]))
    assert parsed.as_of_days == (date(2023, 7, 18), date(2023, 7, 19))
    assert not parsed.has_blank_close


def test_a_page_may_list_no_days() -> None:
    parsed = parse_calendar_page(html(days=[]))
    assert (parsed.as_of_days, parsed.has_blank_close, parsed.close) == ((), False, None)


def test_the_close_is_the_selected_day_even_if_it_is_not_the_newest() -> None:
    parsed = parse_calendar_page(html(day="4/13/2023"))
    assert (parsed.close, parsed.as_of_days[-1]) == (date(2023, 4, 13), date(2023, 4, 14))
    assert parse_calendar_page(html(day=None)).close == date(2023, 4, 14)


def test_a_selected_empty_value_is_the_close_although_a_newer_day_is_listed() -> None:
    parsed = parse_calendar_page(html(days=[("7/20/2023", "As of 20-Jul-2023"), ("", "As of 19-Jul-2023")], day=""))
    assert (parsed.close, parsed.has_blank_close) == (date(2023, 7, 19), True)


def test_an_empty_value_of_the_newest_day_is_the_close_regardless_of_the_selection() -> None:
    days = [("", "As of 19-Jul-2023"), ("7/18/2023", "As of 18-Jul-2023")]
    parsed = parse_calendar_page(html(days=days, day="7/18/2023"))
    assert (parsed.close, parsed.has_blank_close) == (date(2023, 7, 19), True)


def test_the_first_option_is_used_if_none_is_selected() -> None:
    parsed = parse_calendar_page(html(year=None, month=None))
    assert (parsed.program_year, parsed.month) == (ProgramYear(2022), 6)


def test_district_ids_are_normalised_and_deduplicated() -> None:
    assert parse_calendar_page(html(districts=("1", "01", " f "))).districts == ("01", "F")


# Invalid pages.


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\r\n\r\n<!DOCTYPE html><html><body>An error has occured please report this</body></html>",
        '"District"\r\n',
    ],
)
def test_a_page_without_the_drop_downs_is_refused(content: str) -> None:
    with pytest.raises(HtmlPage, match="The calendar page is not a calendar page: it has no") as error:
        parse_calendar_page(content)
    assert error.value.is_retryable


@pytest.mark.parametrize("name", ["ddlDistricts", "ddlProgramYear", "ddlMonth", "ddlAsOf"])
def test_each_drop_down_is_required(name: str) -> None:
    with pytest.raises(HtmlPage, match=f"has no list {name}"):
        parse_calendar_page(html(without=name))


def test_an_empty_list_of_districts_years_or_months_is_refused() -> None:
    for empty, name in (
        (html(districts=[]), "ddlDistricts"),
        (html(years=[]), "ddlProgramYear"),
        (html(months=[]), "ddlMonth"),
    ):
        with pytest.raises(HtmlPage, match=f"its list {name} is empty"):
            parse_calendar_page(empty)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (html(districts=["Zone 7"]), 'ddlDistricts holds "Zone 7"'),
        (html(years=["2022"], year=None), 'ddlProgramYear holds "2022"'),
        (html(months=[13], month=None), 'ddlMonth holds "13"'),
        (html(months=["Mar"], month=None), 'ddlMonth holds "Mar"'),
        (html(days=[("2/30/2023", "As of 30-Feb-2023")]), 'ddlAsOf holds "2/30/2023"'),
        (html(days=[("", "As of some day")]), 'ddlAsOf holds "As of some day"'),
    ],
)
def test_the_error_names_an_option_that_cannot_be_parsed(content: str, message: str) -> None:
    with pytest.raises(HtmlPage, match=message):
        parse_calendar_page(content)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_arbitrary_content_raises_only_dashboard_errors(content: bytes | str) -> None:
    with pytest.raises(DashboardError):
        parse_calendar_page(content)


OPTION = st.text(max_size=12) | st.sampled_from(["2022-2023", "3", "91", "", "4/14/2023", "99/99/9999", "9" * 5000])


@given(OPTION, OPTION, OPTION, OPTION, OPTION)
def test_arbitrary_options_raise_only_dashboard_errors(a: str, b: str, c: str, d: str, e: str) -> None:
    content = html(years=[a], year=None, months=[b], month=None, districts=[c], days=[(d, e)])
    try:
        month = parse_calendar_page(content).month
    except HtmlPage:
        return
    assert 1 <= month <= 12


# The requested month on a page.


def month_of(parsed: CalendarPage, month_end: date, *, is_archived: bool) -> tuple[tuple[str, ...], int, bool, bool]:
    month = calendar_month(parsed, month_end, is_archived=is_archived, fetched_at=NOW)
    assert (month.month_end, month.is_archived, month.fetched_at) == (month_end, is_archived, NOW)
    return month.districts, len(month.as_of_days), month.is_closed, month.has_blank_close


def test_a_month_of_a_closed_year_is_closed() -> None:
    assert month_of(page(), date(2023, 3, 31), is_archived=True) == (("01", "91"), 2, True, False)


def test_the_newest_month_of_the_live_year_is_open() -> None:
    live = page(months=(3, 2, 1, 12, 11, 10, 9, 8, 7))
    assert month_of(live, date(2023, 3, 31), is_archived=False) == (("01", "91"), 2, False, False)


def test_a_month_of_the_live_year_is_closed_when_a_later_month_has_figures() -> None:
    assert month_of(page(months=(4, 3)), date(2023, 3, 31), is_archived=False)[2]
    assert month_of(page(month=12, months=(1, 12)), date(2022, 12, 31), is_archived=False)[2]
    assert not month_of(page(month=12, months=(12, 7)), date(2022, 12, 31), is_archived=False)[2]


def test_days_after_the_close_of_a_closed_month_belong_to_the_next_month() -> None:
    close = date(2023, 4, 13)
    days = (date(2023, 4, 12), close, date(2023, 4, 14))
    for parsed, is_archived in ((page(days=days, close=close), True), (page(days=days, close=close), False)):
        month = calendar_month(parsed, date(2023, 3, 31), is_archived=is_archived, fetched_at=NOW)
        assert month.as_of_days == days[:2]
        edition = month.edition(date(2023, 3, 31))
        assert edition is not None
        assert (edition.as_of, edition.is_final) == (close, True)
        assert month.edition(days[2]) is None


def test_an_open_month_keeps_all_days_regardless_of_the_selection() -> None:
    days = (date(2023, 4, 12), date(2023, 4, 13), date(2023, 4, 14))
    parsed = page(days=days, close=days[1], months=(3, 2, 1, 12, 11, 10, 9, 8, 7))
    month = calendar_month(parsed, date(2023, 3, 31), is_archived=False, fetched_at=NOW)
    assert (month.as_of_days, month.is_closed) == (days, False)


def test_the_requested_month_has_no_days_if_the_page_shows_another_month() -> None:
    february, june = page(month=2, months=(2, 1)), page(month=6, has_blank_close=True)
    assert month_of(february, date(2023, 3, 31), is_archived=False) == (("01", "91"), 0, False, False)
    assert month_of(june, date(2023, 3, 31), is_archived=True) == (("01", "91"), 0, True, False)


def test_nothing_is_known_if_the_page_shows_another_program_year() -> None:
    for is_archived in (True, False):
        assert month_of(page(year=2021), date(2023, 3, 31), is_archived=is_archived) == ((), 0, False, False)


def test_june_of_a_closed_year_has_a_blank_close() -> None:
    june = page(month=6, days=(date(2023, 7, 20),), has_blank_close=True)
    month = calendar_month(june, date(2023, 6, 30), is_archived=True, fetched_at=NOW)
    assert month.has_blank_close
    edition = month.edition(date(2023, 6, 30))
    assert edition is not None
    assert (edition.asks_blank, edition.is_final, edition.as_of) == (True, True, date(2023, 7, 20))


def test_the_live_year_is_never_requested_with_a_blank_as_of_date() -> None:
    june = page(month=6, has_blank_close=True)
    assert not calendar_month(june, date(2023, 6, 30), is_archived=False, fetched_at=NOW).has_blank_close
