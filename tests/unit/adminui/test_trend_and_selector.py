"""The trend charts, and the selection of a result."""

from __future__ import annotations

from datetime import UTC, date, datetime

from adminui.presenters import number_format, result_selector, trend_charts
from backfill.domain import Point, ProgramYear
from backfill.service.queries import Series

MAY, JUNE, JULY = date(2023, 5, 31), date(2023, 6, 30), date(2023, 7, 31)


def point(day: date, members: int | None = 20) -> Point:
    figures = {"members": members, "payments": 5, "paidClubs": 4, "distinguished": 1, "goals": 9, "thriving": 2}
    return Point(day, "91", "", 1, figures)


def a_trend() -> trend_charts.TrendCharts:
    before = Series("91", ProgramYear(2022), [point(MAY), point(JUNE, None)])
    return trend_charts.trend_charts(
        [before, Series("91", ProgramYear(2023), [point(JULY, 21)])], ProgramYear(2023), JULY
    )


def test_the_lines_have_a_value_for_each_date_of_all_years() -> None:
    data = a_trend().data
    assert [datetime.fromtimestamp(moment, UTC).date() for moment in data["days"]] == [MAY, JUNE, JULY]
    assert data["lines"]["members"] == [20, None, 21]
    assert data["years"] == ["2022-2023", "2022-2023", "2023-2024"]
    assert data["lines"].keys() == trend_charts.CHARTS.keys()


def test_the_table_shows_the_points_of_the_selected_program_year() -> None:
    (line,) = a_trend().points.rows
    assert line.kind == "current"
    day, *shown = line.cells
    assert (day.text, day.href) == ("31 Jul 2023", "/admin/backfill/results/91/2023-07-31/")
    assert [cell.text for cell in shown] == [
        "21",
        "5",
        "4",
        "1",
        "9",
        "2",
        number_format.UNKNOWN,
        number_format.UNKNOWN,
    ]


def test_longer_periods_are_offered_only_if_there_are_older_points() -> None:
    assert [span["label"] for span in a_trend().data["periods"]] == ["This program year", "Two program years"]
    alone = trend_charts.trend_charts([Series("91", ProgramYear(2023), [point(JULY)])], ProgramYear(2023), JULY)
    assert [span["label"] for span in alone.data["periods"]] == ["This program year"]
    old = Series("91", ProgramYear(2019), [point(date(2020, 6, 30))])
    long = trend_charts.trend_charts([old, Series("91", ProgramYear(2023), [point(JULY)])], ProgramYear(2023), JULY)
    assert [span["label"] for span in long.data["periods"]] == ["This program year", "5 program years"]


def test_the_dates_of_a_year_link_to_the_earlier_and_the_later_date() -> None:
    dates = result_selector.date_options(JUNE, [MAY, JUNE, JULY])
    assert [choice.label for choice in dates.choices] == ["31 Jul 2023", "30 Jun 2023", "31 May 2023"]
    assert [choice.is_chosen for choice in dates.choices] == [False, True, False]
    assert (dates.earlier, dates.later) == (MAY, JULY)
    first, last = result_selector.date_options(MAY, [MAY, JULY]), result_selector.date_options(JULY, [MAY, JULY])
    assert (first.earlier, first.later, last.earlier, last.later) == (None, JULY, MAY, None)


def test_a_date_that_is_not_listed_is_still_selected() -> None:
    dates = result_selector.date_options(JUNE, [MAY, JULY])
    assert [choice.value for choice in dates.choices if choice.is_chosen] == [JUNE.isoformat()]


def test_the_program_years_with_results_can_be_selected() -> None:
    years = result_selector.result_selector(ProgramYear(2020), map(ProgramYear, (2023, 2020, 2011))).years
    assert [(year.value, year.is_chosen) for year in years] == [
        ("2023-2024", False),
        ("2020-2021", True),
        ("2011-2012", False),
    ]
    assert result_selector.result_selector(None, []).years == []


def test_numbers_are_formatted_with_commas_signs_and_dashes() -> None:
    minus = "\N{MINUS SIGN}"
    assert [number_format.format_number(value) for value in (1234567, 0, -3, None)] == [
        "1,234,567",
        "0",
        f"{minus}3",
        number_format.UNKNOWN,
    ]
    assert [number_format.format_signed(value) for value in (3, 0, -3, None)] == [
        "+3",
        "0",
        f"{minus}3",
        number_format.UNKNOWN,
    ]
    assert number_format.format_signed_percent(2.5) == "+2.50 %"
    assert [number_format.growth_tone(value) for value in (2, -2, 0, None)] == ["ok", "bad", "", ""]
    assert number_format.bar_segments([0, 0]) == [(0.0, 0.0), (0.0, 0.0)]
    assert number_format.quality_note_label("SOMETHING_NEW") == "SOMETHING_NEW"
