"""Addresses, dates and column names of the dashboard."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.dashboard.protocol import (
    NEEDED_COLUMNS,
    ReportRequest,
    calendar_path,
    month_number,
    read_day,
    written_day,
)
from backfill.domain import Edition, ReportName, normalise_column


def edition(*, is_archived: bool = True, asks_blank: bool = False) -> Edition:
    return Edition(
        month_end=date(2023, 1, 31),
        as_of=date(2023, 2, 8),
        is_final=True,
        is_archived=is_archived,
        asks_blank=asks_blank,
    )


def request_for(report: ReportName, edition: Edition, district: str = "01") -> ReportRequest:
    return ReportRequest(report=report, district=district, edition=edition)


@pytest.mark.parametrize("report", [ReportName.CLUBS, ReportName.DISTRICT, ReportName.DIVISIONS])
def test_a_report_of_a_closed_year_is_requested_with_the_name_of_the_year(report: ReportName) -> None:
    """R2.2"""
    request = request_for(report, edition())
    assert request.report_string == f"{report}~01~1/31/2023~2/8/2023~2022-2023"
    assert request.path_and_query == (
        f"/2022-2023/export.aspx?type=CSV&report={report}~01~1/31/2023~2/8/2023~2022-2023"
    )


def test_a_report_of_the_live_year_is_requested_without_the_name_of_the_year() -> None:
    request = request_for(ReportName.CLUBS, edition(is_archived=False), district="F")
    assert request.path_and_query == "/export.aspx?type=CSV&report=clubperformance~F~1/31/2023~2/8/2023~2022-2023"


def test_the_request_for_the_summary_has_no_district() -> None:
    request = request_for(ReportName.SUMMARY, edition(), district="all")
    assert request.report_string == "districtsummary~1/31/2023~2/8/2023~2022-2023"


def test_a_final_close_is_requested_with_a_blank_as_of_date() -> None:
    june = Edition(
        month_end=date(2013, 6, 30), as_of=date(2013, 7, 19), is_final=True, is_archived=True, asks_blank=True
    )
    assert request_for(ReportName.CLUBS, june, "89").report_string == "clubperformance~89~6/30/2013~~2012-2013"


def test_reserved_characters_are_percent_encoded() -> None:
    request = request_for(ReportName.CLUBS, edition(), district="A&B")
    assert "clubperformance~A%26B~1/31/2023" in request.path_and_query


def test_the_calendar_page_is_requested_by_district_and_month() -> None:
    """Every link on the dashboard's own pages has a district."""
    assert calendar_path(date(2023, 3, 31), district="01", is_archived=True) == "/2022-2023/Club.aspx?id=01&month=3"
    assert calendar_path(date(2026, 11, 30), district="F", is_archived=False) == "/Club.aspx?id=F&month=11"


@pytest.mark.parametrize(("name", "number"), [("Jun", 6), ("June", 6), ("sept", 9), (" May ", 5), ("DEC", 12)])
def test_months_are_parsed_from_short_and_full_names(name: str, number: int) -> None:
    assert month_number(name) == number


@pytest.mark.parametrize("name", ["", "J", "Ju", "Juno", "Junes", "Juin"])
def test_an_invalid_month_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        month_number(name)


@given(st.dates())
def test_a_formatted_date_is_parsed_to_the_same_date(day: date) -> None:
    # Years before 1000 are written with fewer digits, and the dashboard begins in 2008.
    if day.year >= 1000:
        assert read_day(written_day(day)) == day
        assert read_day(day.strftime("%m/%d/%Y")) == day


@pytest.mark.parametrize("text", ["", "2023-04-14", "14/4/2023", "2/30/2023", "4/14/23", "4/14/2023x"])
def test_an_invalid_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|month"):
        read_day(text)


def test_every_report_requires_columns_including_the_district() -> None:
    assert set(NEEDED_COLUMNS) == set(ReportName)
    for columns in NEEDED_COLUMNS.values():
        assert "district" in [normalise_column(column) for column in columns]
