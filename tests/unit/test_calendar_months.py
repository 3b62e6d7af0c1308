"""Program years, and the published dates of each month."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.domain import Edition, ProgramYear, is_month_end, month_end_of, month_ends
from tests.unit.fakes import NOW, a_month

DAYS = st.dates(date(2008, 7, 1), date(2060, 12, 31))


@given(DAYS)
def test_a_day_and_its_month_end_are_in_the_same_program_year(day: date) -> None:
    year = ProgramYear.of(day)
    assert date(year.start, 7, 1) <= day <= year.close
    assert year.month_end(day.month) == month_end_of(day)
    assert ProgramYear.parse(str(year)) == year
    assert ProgramYear.of(year.close) == year
    assert ProgramYear.of(year.close + timedelta(days=1)).start == year.start + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022",
        "2022-2022",
        "2022-2024",
        "2023-2022",
        "22-23",
        "2022/2023",
        "abcd-efgh",
        "0000-0001",
        "\u0662022-2023",
    ],
)
def test_an_invalid_program_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a program year; write one like 2022-2023"):
        ProgramYear.parse(text)


@given(DAYS)
def test_the_month_end_of_a_day_is_the_last_day_of_its_month(day: date) -> None:
    end = month_end_of(day)
    assert end >= day
    assert is_month_end(end)
    assert is_month_end(day) == (day == end)


@given(DAYS, st.integers(0, 4000))
def test_the_month_ends_of_a_range_are_those_of_its_days(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    ends = month_ends(first, last)
    assert ends == sorted({month_end_of(first + timedelta(days=n)) for n in range(length + 1)})


def test_february_has_29_days_in_a_leap_year() -> None:
    assert month_ends(date(2023, 2, 1), date(2024, 2, 1)) == [
        *(ProgramYear(2022).month_end(month) for month in (2, 3, 4, 5, 6)),
        *(ProgramYear(2023).month_end(month) for month in (7, 8, 9, 10, 11, 12, 1, 2)),
    ]
    assert ProgramYear(2023).month_end(2) == date(2024, 2, 29)


JANUARY = a_month(date(2024, 1, 31), date(2024, 1, 5), date(2024, 1, 31), date(2024, 2, 9))


def test_the_last_day_of_a_month_stands_for_its_close_even_if_that_day_was_published() -> None:
    assert JANUARY.edition(date(2024, 1, 31)) == Edition(
        month_end=date(2024, 1, 31), as_of=date(2024, 2, 9), is_final=True, is_archived=False, asks_blank=False
    )


def test_any_other_day_stands_for_itself_and_is_never_final() -> None:
    edition = JANUARY.edition(date(2024, 1, 5))
    assert edition is not None
    assert (edition.as_of, edition.is_final) == (date(2024, 1, 5), False)


@pytest.mark.parametrize("day", [date(2024, 1, 4), date(2024, 1, 30), date(2024, 1, 1)])
def test_an_unpublished_day_has_no_edition(day: date) -> None:
    assert JANUARY.edition(day) is None


def test_a_day_with_figures_of_only_the_month_before_has_no_edition() -> None:
    february = a_month(date(2024, 2, 29), date(2024, 2, 20), date(2024, 3, 8))
    assert JANUARY.as_of_days[-1] == date(2024, 2, 9)
    assert february.edition(date(2024, 2, 9)) is None


def test_the_close_of_an_open_month_is_not_final() -> None:
    edition = a_month(date(2024, 1, 31), date(2024, 2, 2), is_closed=False).edition(date(2024, 1, 31))
    assert edition is not None
    assert (edition.as_of, edition.is_final) == (date(2024, 2, 2), False)


def test_an_unpublished_month_has_no_close() -> None:
    assert a_month(date(2024, 1, 31)).edition(date(2024, 1, 31)) is None


def test_only_the_final_close_of_june_is_requested_with_a_blank_as_of_date() -> None:
    june = a_month(date(2023, 6, 30), date(2023, 6, 15), date(2023, 7, 20), is_archived=True, has_blank_close=True)
    close, day = june.edition(date(2023, 6, 30)), june.edition(date(2023, 6, 15))
    assert close is not None
    assert day is not None
    assert (close.asks_blank, close.as_of, close.is_final, close.is_archived) == (True, date(2023, 7, 20), True, True)
    assert (day.asks_blank, day.is_archived) == (False, True)
    assert close.program_year == ProgramYear(2022)


def test_the_newest_day_within_june_is_also_requested_with_a_blank_as_of_date() -> None:
    june = a_month(date(2023, 6, 30), date(2023, 6, 28), is_archived=True, has_blank_close=True)
    edition = june.edition(date(2023, 6, 28))
    assert edition is not None
    assert edition.asks_blank


AGE = timedelta(minutes=10)


def test_the_page_of_a_closed_month_stays_current_and_that_of_an_open_month_expires() -> None:
    assert a_month(is_closed=True, fetched_at=NOW - timedelta(days=4000)).is_current(NOW, AGE)
    assert a_month(is_closed=False, fetched_at=NOW - timedelta(minutes=9, seconds=59)).is_current(NOW, AGE)
    assert not a_month(is_closed=False, fetched_at=NOW - AGE).is_current(NOW, AGE)


def test_the_page_of_a_closed_live_month_expires_with_its_year_but_an_archived_page_does_not() -> None:
    live, archived = a_month(is_closed=True), a_month(is_closed=True, is_archived=True)
    june, july = datetime(2024, 6, 30, 23, 59, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
    assert live.is_current(june, AGE)
    assert not live.is_current(july, AGE)
    assert archived.is_current(july + timedelta(days=4000), AGE)


def test_a_page_with_a_fetch_time_in_the_future_is_not_current() -> None:
    assert not a_month(is_closed=False, fetched_at=NOW + timedelta(days=30)).is_current(NOW, AGE)
