"""Parses calendar pages: the drop-downs of the dashboard's club page list all districts and as-of days."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from selectolax.lexbor import LexborHTMLParser

from backfill.dashboard.protocol import month_number, read_day
from backfill.domain import CalendarMonth, ProgramYear, normalised_district
from backfill.errors import HtmlPage

T = TypeVar("T")

_AS_OF_TEXT = re.compile(r"As of (\d{1,2})-([A-Za-z]+)-(\d{4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class CalendarPage:
    """The drop-downs of one page."""

    program_year: ProgramYear
    """The program year that the page shows; it can differ from the requested one."""
    program_years: tuple[ProgramYear, ...]
    """All published program years, in the order of the page."""
    month: int
    """The month that the page shows, 1 to 12."""
    months: tuple[int, ...]
    """All published months of that program year, in the order of the page."""
    districts: tuple[str, ...]
    as_of_days: tuple[date, ...]
    """Oldest first; empty if the page lists none."""
    has_blank_close: bool
    """The option of the closing has an empty value (June of a closed year)."""
    close: date | None = None
    """The closing of a closed month: the selected day, not always the newest. None if the page lists no day."""


def parse_calendar_page(html: bytes | str, *, subject: str = "The calendar page") -> CalendarPage:
    """Parse a page. Raises HtmlPage, with a message that begins with `subject`, for any other page."""
    tree = LexborHTMLParser(html)
    try:
        years, months, districts = (_options(tree, name) for name in ("ddlProgramYear", "ddlMonth", "ddlDistricts"))
        days = [(_read(option, _day), option) for option in _options(tree, "ddlAsOf", may_be_empty=True)]
        close, is_blank = _close(days)
        return CalendarPage(
            program_year=_read(_chosen(years), _program_year),
            program_years=tuple(_read(option, _program_year) for option in years),
            month=_read(_chosen(months), _month),
            months=tuple(_read(option, _month) for option in months),
            districts=tuple(dict.fromkeys(_read(option, _district) for option in districts)),
            as_of_days=tuple(sorted({day for day, _ in days})),
            has_blank_close=is_blank,
            close=close,
        )
    except ValueError as exc:
        raise HtmlPage(
            f"{subject} is not a calendar page: {exc}. Try again later. If this persists, the format of the page may "
            "have changed."
        ) from exc


def calendar_month(page: CalendarPage, month_end: date, *, is_archived: bool, fetched_at: datetime) -> CalendarMonth:
    """Return the calendar of a requested month.

    The page shows another month if nothing is published for the requested one: the result has no days then. A page of
    another program year says nothing about the requested month.

    Days after the closing of a closed month belong to the next month; the page of that month lists them too.
    """
    is_same_year = page.program_year == ProgramYear.of(month_end)
    is_same_month = is_same_year and page.month == month_end.month
    is_closed = is_same_year and (is_archived or any(_rank(month) > _rank(month_end.month) for month in page.months))
    return CalendarMonth(
        month_end=month_end,
        districts=page.districts if is_same_year else (),
        as_of_days=tuple(
            day for day in page.as_of_days if is_same_month and not (is_closed and page.close and day > page.close)
        ),
        is_archived=is_archived,
        is_closed=is_closed,
        # The dashboard answers a blank as-of date correctly only under /{program year}/.
        has_blank_close=is_same_month and is_archived and page.has_blank_close,
        fetched_at=fetched_at,
    )


@dataclass(frozen=True, slots=True)
class _Option:
    list_name: str
    value: str
    text: str
    is_selected: bool


def _options(tree: LexborHTMLParser, name: str, *, may_be_empty: bool = False) -> list[_Option]:
    # ASP.NET prefixes the id with the ids of the enclosing controls.
    select = tree.css_first(f"select[id$='{name}']")
    if select is None:
        raise ValueError(f"it has no list {name}")
    options = [
        _Option(name, (node.attributes.get("value") or "").strip(), node.text().strip(), "selected" in node.attributes)
        for node in select.css("option")
    ]
    if not options and not may_be_empty:
        raise ValueError(f"its list {name} is empty")
    return options


def _read(option: _Option, meaning: Callable[[_Option], T]) -> T:
    try:
        return meaning(option)
    except ValueError as exc:
        raise ValueError(f'its list {option.list_name} holds "{(option.value or option.text)[:40]}"') from exc


def _program_year(option: _Option) -> ProgramYear:
    return ProgramYear.parse(option.value)


def _district(option: _Option) -> str:
    return normalised_district(option.value)


def _month(option: _Option) -> int:
    month = int(option.value)
    if not 1 <= month <= 12:
        raise ValueError(f"{month} is not a month.")
    return month


def _day(option: _Option) -> date:
    """Parse the value of an option, or its text if the value is empty."""
    if option.value:
        return read_day(option.value)
    match = _AS_OF_TEXT.fullmatch(option.text)
    if match is None:
        raise ValueError(f"{option.text!r} is not a date.")
    return date(int(match[3]), month_number(match[2]), int(match[1]))


def _close(days: list[tuple[date, _Option]]) -> tuple[date | None, bool]:
    """Return the day of the closing and whether its option has an empty value.

    The closing is the newest option if its value is empty, because only an empty value returns the final figures of a
    year; otherwise the selected option, otherwise the newest.
    """
    if not days:
        return None, False
    newest = max(days, key=lambda pair: (pair[0], pair[1].value == ""))
    selected = next((pair for pair in days if pair[1].is_selected), newest)
    day, option = newest if newest[1].value == "" else selected
    return day, option.value == ""


def _chosen(options: list[_Option]) -> _Option:
    return next((option for option in options if option.is_selected), options[0])


def _rank(month: int) -> int:
    """Return the position of a month in its program year; July is 0."""
    return (month - 7) % 12
