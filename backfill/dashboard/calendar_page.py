"""What a calendar page says: the drop-downs of the dashboard's club page list every district and as-of day."""

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
    """The one that the page shows, whichever was asked for."""
    program_years: tuple[ProgramYear, ...]
    """Every one that is published, in the page's order."""
    month: int
    """The one that the page shows, 1 to 12."""
    months: tuple[int, ...]
    """Every month with figures of that program year, in the page's order."""
    districts: tuple[str, ...]
    as_of_days: tuple[date, ...]
    """Oldest first; empty where the page lists none."""
    has_blank_close: bool
    """The option of the close has an empty value (June of a closed year)."""
    close: date | None = None
    """The close, if the month is closed: the selected day, which need not be the newest; None if no day is listed."""


def parse_calendar_page(html: bytes | str, *, subject: str = "The calendar page") -> CalendarPage:
    """Read a page. Raises HtmlPage, its sentence begun by `subject`, for an error page and for what cannot be read."""
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
            f"{subject} came as a page that is no calendar: {exc}. Try again later; if it stays so, "
            "the page's format may have changed."
        ) from exc


def calendar_month(page: CalendarPage, month_end: date, *, is_archived: bool, fetched_at: datetime) -> CalendarMonth:
    """What a page says of the month that was asked for, which need not be the month that it shows.

    The dashboard shows another month where the asked one has nothing: then there are no days. Where it shows another
    program year it says nothing at all of the asked month.

    Days after the close of a closed month belong to the next month, whose page lists them too.
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
        # A blank as-of is answered truly under /{program year}/ only.
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
    # ASP.NET puts the path of the enclosing controls before the name.
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
        raise ValueError(f"{month} is no month.")
    return month


def _day(option: _Option) -> date:
    """Of its value; of its text where the value is empty."""
    if option.value:
        return read_day(option.value)
    match = _AS_OF_TEXT.fullmatch(option.text)
    if match is None:
        raise ValueError(f"{option.text!r} names no day.")
    return date(int(match[3]), month_number(match[2]), int(match[1]))


def _close(days: list[tuple[date, _Option]]) -> tuple[date | None, bool]:
    """The day of the close and whether its option has an empty value.

    The newest option if its value is empty, since only an empty value gives the final figures of a year; otherwise
    the selected option, otherwise the newest.
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
    """Months in the order of a program year, July first."""
    return (month - 7) % 12
