"""Parsing of the dashboard's home page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.dashboard.home_page import parse_home_page
from backfill.errors import DashboardError, HtmlPage

LINKS = """
<h2>Region 01</h2>
<a href="District.aspx?id=02&amp;hideclub=1">District 02</a><a href='/district.aspx?hideclub=1&amp;ID=3'>District 3</a>
<h2>Undistricted</h2><a href="District.aspx?id=f">District F</a>
<a href="Club.aspx?id=44">A club</a><a href="District.aspx">All</a><a href="District.aspx?id=Region 1">Region</a>
<a href="http://[">Broken</a><a href="">Empty</a>
"""
DROP_DOWN = """
<select name="ctl00$cpContent$ddlDistricts" id="cpContent_ddlDistricts">
<option value="">Choose a district</option>
<option value="03">District 03</option><option value="201">District 201</option>
</select><select id="cpContent_ddlProgramYear"><option value="7">7</option></select>
"""


def test_districts_are_parsed_from_the_links() -> None:
    assert parse_home_page(LINKS.encode()) == ("02", "03", "F")


def test_districts_are_parsed_from_the_drop_down() -> None:
    assert parse_home_page(DROP_DOWN) == ("03", "201")
    assert parse_home_page(DROP_DOWN.replace(' id="cpContent_ddlDistricts"', "")) == ("03", "201")


def test_duplicate_districts_are_removed() -> None:
    assert parse_home_page(LINKS + DROP_DOWN) == ("02", "03", "F", "201")


@pytest.mark.parametrize("content", ["", "<html>An error has occured please report this</html>", "<select></select>"])
def test_a_page_without_districts_is_refused(content: str) -> None:
    with pytest.raises(HtmlPage, match="the home page / names no district") as raised:
        parse_home_page(content, subject="the home page /")
    assert raised.value.is_retryable


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_other_content_raises_a_dashboard_error(content: bytes | str) -> None:
    with pytest.raises(DashboardError):
        parse_home_page(content)
