"""The coverage map that is sent to the page, and the tables that state the same in text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from urllib.parse import parse_qs

from adminui.presenters import coverage as presenter
from adminui.presenters import coverage_map
from backfill.domain import SUMMARY, CalendarMonth, StoredDay, covered_months, gaps
from backfill.service.queries import Coverage
from tests.factories import CalendarMonthFactory

TODAY = date(2024, 4, 20)
JANUARY, FEBRUARY, MARCH, APRIL = (date(2024, month, day) for month, day in ((1, 31), (2, 29), (3, 31), (4, 30)))


def calendar(end: date, *districts: str, is_closed: bool = True) -> CalendarMonth:
    return CalendarMonthFactory.build(
        month_end=end, districts=districts, as_of_days=(end,), is_closed=is_closed, fetched_at=TODAY
    )


def stored(day: date, snapshots: Iterable[str], final: Iterable[str] = (), analysed: Iterable[str] = ()) -> StoredDay:
    return StoredDay(date=day, snapshots=frozenset(snapshots), final=frozenset(final), analysed=frozenset(analysed))


def coverage(
    calendars: Iterable[CalendarMonth], days: Iterable[StoredDay], *, last: date = MARCH, today: date = TODAY
) -> Coverage:
    first = date(2024, 1, 1)
    months = covered_months(first, last, calendars, days, today=today)
    return Coverage(first, last, months, gaps(months))


def a_coverage() -> Coverage:
    """January is complete, February lacks 02 and has an early close of 03, March is not over. District 03 is new."""
    calendars = [
        calendar(JANUARY, "01", "02", "F"),
        calendar(FEBRUARY, "01", "02", "03", "F"),
        calendar(MARCH, "01", "02", "03", "F", is_closed=False),
    ]
    all_districts = ["01", "02", "F", SUMMARY]
    days = [
        stored(date(2024, 1, 20), ["01"], analysed=["01"]),
        stored(JANUARY, all_districts, all_districts, ["01"]),
        stored(FEBRUARY, ["01", "03", "F", SUMMARY], ["01", "F", SUMMARY]),
    ]
    return coverage(calendars, days, today=date(2024, 3, 20))


def test_unknown_months_have_their_own_letter_and_are_neither_missing_nor_offered() -> None:
    """R9.1"""
    found = coverage([calendar(JANUARY, "01"), calendar(MARCH, "01")], [stored(date(2024, 2, 5), [SUMMARY])])
    sent = coverage_map.map_json(found, TODAY)
    assert sent["cells"] == ["NsN", "NqN"]
    assert sent["unknown"] == "1 month is unknown: the dashboard's calendar of it has not been read."
    assert [gap.districts for gap in found.gaps] == [(SUMMARY, "01")] * 2
    assert sent["summary"] == "1 of 5 published district months stored"
    (year,) = presenter.year_tables(found)
    assert year.unknown == 1
    february = next(month for month in year.months if month.name == "Feb 2024")
    assert (february.published, february.missing, february.is_unknown) == ("unknown", "", True)


def test_each_row_is_a_district_and_each_letter_a_month() -> None:
    """Upper case means that the close of the month is missing, or was stored before the month had closed."""
    sent = coverage_map.map_json(a_coverage(), date(2024, 3, 20))
    assert sent["districts"] == [SUMMARY, "01", "02", "03", "F"]
    assert sent["cells"] == ["ffn", "afn", "fNn", "uSn", "ffn"]
    assert sent["stored"] == ["110", "210", "100", "010", "110"]
    assert sent["computed"] == ["000", "200", "000", "000", "000"]
    assert sent["names"] == ["Summary", "District 1", "District 2", "District 3", "District F"]
    assert (sent["first"], sent["lastDay"]) == ("2024-01", "2024-03-19")
    assert sent["months"] == ["Jan 2024", "Feb 2024", "Mar 2024"]
    assert sent["years"] == ["2023-2024"] * 3


def test_every_letter_has_a_description() -> None:
    assert {*"nNsSfaAu"} <= coverage_map.map_texts().keys()


def test_the_number_of_days_of_a_month_fits_into_one_digit() -> None:
    days = [stored(date(2024, 1, day), ["01"], analysed=["01"]) for day in range(1, 32)]
    sent = coverage_map.map_json(coverage([calendar(JANUARY, "01")], days, last=JANUARY), TODAY)
    assert [int(row, 32) for row in sent["stored"]] == [0, 31]
    assert [int(row, 32) for row in sent["computed"]] == [0, 31]


def test_a_map_of_18_years_and_130_districts_has_fewer_than_100000_characters() -> None:
    import json

    districts = [f"{n:02d}" for n in range(1, 129)] + ["F", "U"]
    calendars = [calendar(end, *districts) for end in (JANUARY, FEBRUARY, MARCH)]
    sent = coverage_map.map_json(coverage(calendars, []), TODAY)
    rows = sum(len(row) for name in ("cells", "stored", "computed") for row in sent[name])
    frame = len(json.dumps({**sent, "cells": [], "stored": [], "computed": []}))
    assert rows / 3 * 221 + frame < 100_000


def test_the_summary_counts_stored_and_published_district_months() -> None:
    assert presenter.summary(a_coverage()) == "8 of 9 published district months stored"
    assert presenter.size(a_coverage()) == "4 districts, 3 months"


# Gaps


def test_a_gap_names_its_districts_and_months_and_fills_the_start_form_with_them() -> None:
    gap = presenter.gap_row(a_coverage().gaps[0], a_coverage())
    assert (gap.title, gap.text) == ("Districts 2 and 3, Feb 2024", "2 closes are missing")
    assert parse_qs(gap.query) == {
        "from": ["2024-02-01"],
        "to": ["2024-02-29"],
        "cadence": ["month-ends"],
        "district": ["2-3"],
    }


def test_a_gap_of_all_published_districts_names_no_district() -> None:
    """Districts that were formed later do not count."""
    calendars = [calendar(JANUARY, "01", "02"), calendar(FEBRUARY, "01", "02"), calendar(MARCH, "01", "02", "03")]
    all_districts = ["01", "02", "03", SUMMARY]
    found = coverage(calendars, [stored(MARCH, all_districts, all_districts)])
    (gap,) = presenter.gap_rows(found)
    assert gap.title == "All districts, Jan 2024 to Feb 2024"
    assert gap.text == "6 closes are missing"
    assert "district" not in parse_qs(gap.query)


def test_a_missing_summary_is_fetched_by_a_job_for_all_districts_since_stored_ones_are_skipped() -> None:
    found = coverage([calendar(JANUARY, "01")], [stored(JANUARY, ["01"], ["01"])], last=JANUARY)
    (gap,) = presenter.gap_rows(found)
    assert gap.title == "The summary of all districts, Jan 2024"
    assert "district" not in parse_qs(gap.query)


def test_the_map_contains_the_three_largest_gaps_with_their_positions() -> None:
    ends = [JANUARY, FEBRUARY, MARCH, APRIL]
    calendars = [calendar(end, "01", "02", "03") for end in ends]
    all_districts = ["01", "02", "03", SUMMARY]
    stored_districts = [
        all_districts[1:],
        [SUMMARY, "01"],
        all_districts[:1],
        all_districts[2:],
    ]  # each month misses others
    days = [stored(end, names, names) for end, names in zip(ends, stored_districts, strict=True)]
    sent = coverage_map.map_json(coverage(calendars, days, last=APRIL, today=date(2024, 9, 1)), date(2024, 9, 1))
    assert [(gap["first"], gap["last"]) for gap in sent["gaps"]] == [(2, 2), (1, 1), (3, 3)]
    assert sent["gaps"][0]["districts"] == [SUMMARY, "02", "03"]
    assert sent["moreGaps"] is True


# The table


def test_the_table_states_for_each_month_what_the_map_shows() -> None:
    (year,) = presenter.year_tables(a_coverage())
    assert (year.name, year.missing) == ("2023-2024", 2)
    march, february, january = year.months
    assert (january.published, january.stored, january.analysed, january.missing) == ("4", "4", "1", "")
    assert (february.published, february.stored, february.missing) == ("5", "4", "Districts 2 and 3")
    assert (march.stored, march.missing, march.query) == ("0", "", "")


def test_without_stored_calendars_and_snapshots_there_is_no_map() -> None:
    assert presenter.is_empty(coverage([], []))
    assert not presenter.is_empty(coverage([calendar(JANUARY, "01")], []))
