"""The sample world: its publications, and the consistency of its figures."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from backfill.dashboard.calendar_page import calendar_month, parse_calendar_page
from backfill.dashboard.home_page import parse_home_page
from backfill.dashboard.protocol import ReportRequest, written_day
from backfill.dashboard.reports import check, guard, parse
from backfill.domain import SUMMARY, CalendarMonth, Edition, ReportName, reports_of
from backfill.errors import DashboardError, NoRows, WrongAsOf, WrongDistrict, WrongMonth
from sample_dashboard.program_year import ProgramYear
from sample_dashboard.world import SampleWorld

TODAY = date(2026, 11, 23)
WORLD = SampleWorld(TODAY)
SMALL = SampleWorld(TODAY, districts=4, clubs=8)
CLOSED = ProgramYear(2024)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)

Row = dict[str, str]


def bytes_of(world: SampleWorld, report_string: str, archive: ProgramYear | None = None) -> bytes:
    body = world.report(report_string, archive)
    assert body is not None
    return body


def rows_of(world: SampleWorld, report_string: str, archive: ProgramYear | None = None) -> list[Row]:
    lines = bytes_of(world, report_string, archive).decode("ascii").splitlines(keepends=True)
    return list(csv.DictReader(io.StringIO("".join(lines[:-1]))))


def footer_of(world: SampleWorld, report_string: str, archive: ProgramYear | None = None) -> str:
    return bytes_of(world, report_string, archive).decode("ascii").splitlines()[-1]


def header_of(world: SampleWorld, report: str, year: ProgramYear) -> list[str]:
    archive = None if year == world.live_year else year
    return next(csv.reader([bytes_of(world, f"{report}~01~~~", archive).decode("ascii").splitlines()[0]]))


def at_close(report: str, district: str, year: ProgramYear) -> list[Row]:
    slots = (report, district, written_day(year.close), "", str(year))
    return rows_of(WORLD, "~".join(slot for slot in slots if slot != SUMMARY), year)


def on_day(report: str, district: str, month_end: date, as_of: date) -> list[Row]:
    year = ProgramYear.of(month_end)
    archive = None if year == WORLD.live_year else year
    return rows_of(WORLD, f"{report}~{district}~{written_day(month_end)}~{written_day(as_of)}~{year}", archive)


def live_request(report: ReportName, district: str, month_end: date, as_of: date) -> ReportRequest:
    return ReportRequest(
        report=report,
        district=district,
        edition=Edition(month_end=month_end, as_of=as_of, is_final=False, is_archived=False, asks_blank=False),
    )


def level_earned(row: Row, year: int) -> str:
    """Returns the level by the rule of a program year, from the cells of a clubperformance row only."""
    members, goals = int(row["Active Members"]), int(row["Goals Met"])
    growth = members - int(row["Mem. Base"])
    distinguished, select, presidents = (4, 6, 8) if row["District"] == "U" else (5, 7, 9)
    if year < 2025:
        if members < 20 and growth < (5 if year <= 2021 else 3):
            return ""
        return "P" if goals >= presidents else "S" if goals >= select else "D" if goals >= distinguished else ""
    earned = [
        (goals >= 10 and members >= 25, "M"),
        (goals >= presidents and members >= 20, "P"),
        (goals >= select and (members >= 20 or growth >= 5), "S"),
        (goals >= distinguished and (members >= 20 or growth >= 3), "D"),
    ]
    return next((code for is_earned, code in earned if is_earned and row["CSP"] == "Y"), "")


def goals_counted(row: Row, *, is_late: bool) -> int:
    """Returns the number of goals met in 2020-2021 and later, from the cells of a clubperformance row.

    `is_late`: the club was chartered on or after 1 September, so the first training round is not required.
    """

    def cell(beginning: str) -> int:
        return int(next(value for name, value in row.items() if name.startswith(beginning)))

    return sum(
        (
            cell("Level 1s") >= 4,
            cell("Level 2s") >= 2,
            cell("Add. Level 2s") >= 2,
            cell("Level 3s") >= 2,
            cell("Level 4s") >= 1,
            cell("Add. Level 4s") >= 1,
            cell("New Members") >= 4,
            cell("Add. New Members") >= 4,
            cell("Off. Trained Round 2") >= 4 and (is_late or cell("Off. Trained Round 1") >= 4),
            cell("Off. List On Time") >= 1 and max(cell("Mem. dues on time Oct"), cell("Mem. dues on time Apr")) >= 1,
        )
    )


# Published dates


def test_six_closed_program_years_and_the_live_one_are_published() -> None:
    assert [str(year) for year in WORLD.years] == [
        "2026-2027",
        "2025-2026",
        "2024-2025",
        "2023-2024",
        "2022-2023",
        "2021-2022",
        "2020-2021",
    ]


@pytest.mark.parametrize("seed", [f"seed {n}" for n in range(20)])
def test_a_new_program_year_is_published_from_25_july_on_with_at_least_one_day(seed: str) -> None:
    july = [SampleWorld(date(2026, 7, day), seed=seed) for day in range(1, 32)]
    lives = [world.live_year.start for world in july]
    assert lives[:24] == [2025] * 24
    assert lives == sorted(lives)
    assert lives[-1] == 2026
    assert all(world.months(world.live_year) for world in july)


def test_a_month_stays_open_for_some_days_and_june_longer() -> None:
    for year in WORLD.years:
        for month in range(1, 13):
            end = year.month_end(month)
            days = (WORLD.close_of(end) - end).days
            assert 12 <= days <= 29 if month == 6 else 3 <= days <= 15


def test_the_days_of_a_month_run_from_the_day_after_the_previous_close_to_its_close() -> None:
    march = CLOSED.month_end(3)
    days = WORLD.as_of_days(march)
    assert days[0] == WORLD.close_of(CLOSED.month_end(2)) + DAY
    assert days[-1] == WORLD.close_of(march)
    assert list(days) == [days[0] + n * DAY for n in range(len(days))]


def test_the_live_month_is_published_up_to_yesterday_and_a_future_month_not_at_all() -> None:
    newest = WORLD.live_year.month_end(WORLD.months(WORLD.live_year)[0])
    assert WORLD.as_of_days(newest)[-1] == TODAY - DAY
    assert WORLD.as_of_days(date(2027, 1, 31)) == ()


def test_the_two_oldest_years_have_one_day_per_month() -> None:
    counts = {year.start: {len(WORLD.as_of_days(year.month_end(m))) for m in range(1, 13)} for year in WORLD.years[1:]}
    assert counts[2020] == counts[2021] == {1}
    assert all(min(counts[year]) >= 5 for year in (2022, 2023, 2024, 2025))


def test_one_district_was_formed_later_so_that_the_years_differ() -> None:
    assert WORLD.districts_of(ProgramYear(2025)) == ("01", "02", "03", "04", "05", "06", "F", "U")
    assert "06" in WORLD.districts_of(ProgramYear(2023))
    assert WORLD.districts_of(ProgramYear(2022)) == ("01", "02", "03", "04", "05", "F", "U")
    first = {row["DISTRICT"]: row for row in rows_of(WORLD, "districtsummary~6/30/2024~~2023-2024", ProgramYear(2023))}
    assert first["06"]["Payment Base"] == "0"
    assert first["06"]["% Payment Growth"] == "N/A"


# The reformation of 2026-2027


REFORMED, BEFORE = ProgramYear(2026), ProgramYear(2025)


def clubs_on(district: str, month_end: date, as_of: date) -> dict[str, Row]:
    return {row["Club Number"]: row for row in on_day("clubperformance", district, month_end, as_of)}


def test_from_2026_2027_the_first_districts_are_replaced_by_new_ones() -> None:
    assert WORLD.districts_of(REFORMED) == ("03", "04", "05", "06", "201", "202", "F", "U")
    assert SampleWorld(TODAY, districts=3).districts_of(REFORMED) == ("201", "F", "U")
    assert SampleWorld(date(2028, 3, 1)).districts_of(ProgramYear(2027)) == WORLD.districts_of(REFORMED)
    for district in ("01", "02"):
        assert on_day("clubperformance", district, date(2025, 10, 31), date(2025, 10, 20))
    for district in ("201", "202"):
        assert on_day("clubperformance", district, date(2026, 10, 31), date(2026, 10, 20))
        assert not on_day("clubperformance", district, date(2025, 10, 31), date(2025, 10, 20))
    # Without the name of a year, a dissolved district returns the rows of another one.
    assert {row["District"] for row in on_day("clubperformance", "01", date(2026, 10, 31), date(2026, 10, 20))} == {
        "03"
    }


def test_the_clubs_of_a_dissolved_district_move_to_the_new_or_a_surviving_district() -> None:
    july = date(2026, 7, 31)
    began = {d: clubs_on(d, july, july) for d in WORLD.districts_of(REFORMED)}
    ended = {
        d: {r["Club Number"]: r for r in at_close("clubperformance", d, BEFORE)} for d in WORLD.districts_of(BEFORE)
    }
    for old, new in (("01", "201"), ("02", "202")):
        going_on = {number for number, row in ended[old].items() if row["Club Status"] != "Suspended"}
        stayed, moved = going_on & set(began[new]), going_on & set(began["03"])
        assert stayed | moved == going_on
        assert len(stayed) > len(moved) > 0
        for number in going_on:
            row = began[new].get(number) or began["03"][number]
            assert row["Mem. Base"] == ended[old][number]["Active Members"]
    listed = Counter(number for clubs in began.values() for number in clubs)
    assert set(listed.values()) == {1}


def test_the_bases_of_the_reformed_districts_are_the_sums_of_their_clubs() -> None:
    lines = rows_of(WORLD, "districtsummary~7/31/2026~7/31/2026~2026-2027")
    before = at_close("districtsummary", SUMMARY, BEFORE)
    for base, total in (("Payment Base", "Total YTD Payments"), ("Paid Club Base", "Paid Clubs")):
        assert sum(int(row[base]) for row in lines) == sum(int(row[total]) for row in before)
    new = [row for row in lines if row["DISTRICT"] in ("201", "202")]
    assert len(new) == 2
    assert all(int(row["Payment Base"]) > 0 and int(row["Paid Club Base"]) > 0 for row in new)


def test_the_home_page_lists_the_districts_of_the_live_year_under_their_regions() -> None:
    page = WORLD.home_page()
    assert set(parse_home_page(page)) == set(WORLD.districts_of(WORLD.live_year))
    assert b"<h2>Region DNAR</h2>" in page
    links = page.partition(b"<select")[0]
    assert parse_home_page(links) == parse_home_page(page)


# Calendar pages


def test_the_june_page_of_a_closed_year_lists_its_newest_day_without_a_value() -> None:
    page = WORLD.calendar_page(CLOSED, "02", 6).decode()
    close = WORLD.close_of(CLOSED.close)
    assert f'value="">As of {close.day}-Jul-2025</option>' in page
    assert "clubperformance~02~6/30/2025~~2024-2025&#39;" in page
    assert written_day(close - DAY) in page
    assert written_day(close) not in page


def test_a_live_june_has_no_blank_close() -> None:
    world = SampleWorld(date(2026, 7, 10))
    page = parse_calendar_page(world.calendar_page(world.live_year, month=6))
    assert not page.has_blank_close
    assert page.as_of_days[-1] == date(2026, 7, 9)


def test_the_page_of_a_month_without_figures_shows_the_newest_month() -> None:
    assert WORLD.calendar_page(WORLD.live_year, month=4) == WORLD.calendar_page(WORLD.live_year)


@pytest.mark.parametrize("world", [SMALL, SampleWorld(date(2021, 7, 20), districts=5, clubs=3, seed="other")])
def test_every_calendar_page_is_parsed_to_the_values_of_the_world(world: SampleWorld) -> None:
    for year in world.years:
        for month in world.months(year):
            parsed = parse_calendar_page(world.calendar_page(year, month=month))
            assert str(parsed.program_year) == str(year)
            assert parsed.month == month
            assert parsed.months == world.months(year)
            assert parsed.districts == world.districts_of(year)
            assert parsed.as_of_days == world.as_of_days(year.month_end(month))
            assert parsed.has_blank_close == (month == 6 and year != world.live_year)


def page_of(world: SampleWorld, year: ProgramYear, month: int) -> CalendarMonth:
    page = parse_calendar_page(world.calendar_page(year, month=month))
    return calendar_month(page, year.month_end(month), is_archived=year != world.live_year, fetched_at=NOW)


@pytest.mark.parametrize("year", SMALL.years, ids=str)
def test_every_report_of_a_listed_day_is_valid(year: ProgramYear) -> None:
    for month in SMALL.months(year):
        page = page_of(SMALL, year, month)
        for day in (page.as_of_days[0], page.as_of_days[len(page.as_of_days) // 2], page.month_end):
            edition = page.edition(day)
            assert edition is not None
            for district in (SUMMARY, *page.districts):
                for report in reports_of(district):
                    request = ReportRequest(report=report, district=district, edition=edition)
                    kept = check(bytes_of(SMALL, request.report_string, year if page.is_archived else None), request)
                    assert kept.rows >= 1


# Responses to invalid requests


def test_the_report_of_an_unpublished_day_has_a_header_and_a_footer_and_no_rows() -> None:
    march = CLOSED.month_end(3)
    unpublished = WORLD.close_of(march) + DAY
    report_string = f"clubperformance~01~{written_day(march)}~{written_day(unpublished)}~2024-2025"
    assert rows_of(WORLD, report_string, CLOSED) == []
    assert footer_of(WORLD, report_string, CLOSED) == f"Month of Mar, As of {unpublished:%m/%d/%Y}"


def test_a_blank_as_of_date_in_the_archive_returns_the_year_end_with_the_download_date() -> None:
    report_string = "clubperformance~01~6/30/2025~~2024-2025"
    assert len(rows_of(WORLD, report_string, CLOSED)) > 20
    assert footer_of(WORLD, report_string, CLOSED) == "Month of Jun, As of 11/23/2026"
    for malformed in ("", "6/15/2025", "13/45/2025", "soon"):
        assert bytes_of(WORLD, f"clubperformance~01~{malformed}~3/1/2025~2024-2025", CLOSED) == bytes_of(
            WORLD, report_string, CLOSED
        )


def test_the_close_of_a_closed_june_requires_a_blank_as_of_date() -> None:
    close = WORLD.close_of(CLOSED.close)
    assert on_day("clubperformance", "01", CLOSED.close, close) == []
    final = [rows for d in WORLD.districts_of(CLOSED) for rows in at_close("clubperformance", d, CLOSED)]
    on_30_june = [
        rows for d in WORLD.districts_of(CLOSED) for rows in on_day("clubperformance", d, CLOSED.close, CLOSED.close)
    ]
    different = sum(a != b for a, b in zip(final, on_30_june, strict=True))
    assert 0 < different < len(final) / 5


@pytest.mark.parametrize(
    "report_string",
    [
        "clubperformance~01~3/31/2025~4/1/2025~2024-2025",  # a closed year
        "clubperformance~01~~11/22/2026~2026-2027",  # a blank month end
        "clubperformance~01~~~",
        "clubperformance~01~10/31/2026~~2026-2027",  # a blank as-of date
    ],
)
def test_invalid_requests_for_the_live_year_return_the_newest_figures(report_string: str) -> None:
    newest = WORLD.live_year.month_end(WORLD.months(WORLD.live_year)[0])
    today = f"clubperformance~01~{written_day(newest)}~11/22/2026~2026-2027"
    assert bytes_of(WORLD, report_string) == bytes_of(WORLD, today)
    assert len(rows_of(WORLD, report_string)) > 20


def test_an_unknown_district_of_the_live_year_returns_the_rows_of_another_district() -> None:
    rows = rows_of(WORLD, "clubperformance~99~10/31/2026~11/3/2026~2026-2027")
    assert {row["District"] for row in rows} == {"03"}


@pytest.mark.parametrize(
    ("district", "month_end", "as_of", "expected"),
    [
        ("01", date(2025, 3, 31), date(2025, 4, 1), WrongMonth),
        ("01", date(2025, 11, 30), date(2025, 11, 22), WrongAsOf),
        ("99", date(2026, 11, 30), date(2026, 11, 22), WrongDistrict),
        ("03", date(2026, 10, 31), date(2026, 10, 1), NoRows),
    ],
)
def test_a_report_of_another_month_day_or_district_is_refused(
    district: str,
    month_end: date,
    as_of: date,
    expected: type[DashboardError],
) -> None:
    request = live_request(ReportName.CLUBS, district, month_end, as_of)
    with pytest.raises(expected):
        guard(parse(bytes_of(WORLD, request.report_string)), request)


def test_an_unknown_report_is_none() -> None:
    assert WORLD.report("educationalawards~01~~~") is None
    assert WORLD.report("") is None


@pytest.mark.parametrize("options", [{"districts": 2}, {"districts": 201}, {"clubs": 0}, {"clubs": 401}])
def test_invalid_options_of_a_world_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sample world"):
        SampleWorld(TODAY, **options)
    with pytest.raises(ValueError, match="2009-09-01"):
        SampleWorld(date(2008, 7, 1))


# Columns and bytes


@pytest.mark.parametrize(
    ("start", "clubs", "summary"), [(2019, 29, 21), (2020, 23, 21), (2024, 23, 21), (2025, 25, 25), (2026, 25, 24)]
)
def test_each_period_of_years_has_its_columns(start: int, clubs: int, summary: int) -> None:
    world, year = SampleWorld(date(start + 1, 3, 1)), ProgramYear(start)
    assert world.live_year == year
    counts = [
        len(header_of(world, report, year))
        for report in ("clubperformance", "districtsummary", "districtperformance", "divisionperformance")
    ]
    assert counts == [clubs, summary, 14, 33]
    names = header_of(world, "clubperformance", year)
    assert ("CCs" in names and "Level 5s" in names) == (start <= 2019)
    assert ("CSP" in names and "Net Growth" in names) == (start >= 2025)
    assert ("Level 2s or EOM" in names) == (start >= 2026)
    assert ("Level 4s, Level 5s, or DTM award" in names) == (2020 <= start <= 2024)
    assert ("Smedley Distinguished Clubs" in header_of(world, "districtsummary", year)) == (start >= 2025)


def test_every_cell_is_quoted_and_lines_end_with_cr_lf() -> None:
    lines = bytes_of(WORLD, "districtperformance~01~6/30/2025~~2024-2025", CLOSED).split(b"\r\n")
    assert lines[-1] == b""
    assert lines[-2] == b"Month of Jun, As of 11/23/2026"
    assert all(re.fullmatch(rb'"(?:[^"]|"")*"(?:,"(?:[^"]|"")*"){13}', line) for line in lines[:-2])


def test_the_same_seed_produces_identical_bytes_and_another_seed_different_ones() -> None:
    report_string = "divisionperformance~03~6/30/2025~~2024-2025"
    assert bytes_of(SampleWorld(TODAY), report_string, CLOSED) == bytes_of(WORLD, report_string, CLOSED)
    assert bytes_of(SampleWorld(TODAY, seed="another"), report_string, CLOSED) != bytes_of(WORLD, report_string, CLOSED)


def test_figures_do_not_depend_on_the_date_of_the_request() -> None:
    report_string = "clubperformance~02~3/31/2025~3/20/2025~2024-2025"
    assert bytes_of(SampleWorld(date(2025, 3, 21)), report_string) == bytes_of(WORLD, report_string, CLOSED)


def test_club_numbers_have_eight_digits_and_are_unique() -> None:
    world = SampleWorld(TODAY, districts=100, clubs=30)
    numbers = [
        row["Club"]
        for district in ("01", "02", "98", "F", "U")
        for row in rows_of(world, f"districtperformance~{district}~6/30/2026~~", ProgramYear(2025))
    ]
    assert all(re.fullmatch(r"\d{8}", number) for number in numbers)
    assert any(number.startswith("00") for number in numbers)
    assert max(Counter(numbers).values()) == 1


def test_some_names_contain_extra_spaces_commas_and_quotes() -> None:
    names = [row["Club Name"] for d in WORLD.districts_of(CLOSED) for row in at_close("clubperformance", d, CLOSED)]
    assert any(name.endswith(" ") for name in names)
    assert any("  " in name.strip() for name in names)
    assert any("," in name for name in names)
    assert any('"' in name for name in names)


# Figures


@pytest.mark.parametrize("year", WORLD.years[1:], ids=str)
def test_the_summary_is_the_sum_of_the_club_rows(year: ProgramYear) -> None:
    for line in at_close("districtsummary", SUMMARY, year):
        district = line["DISTRICT"]
        clubs, paid = at_close("clubperformance", district, year), at_close("districtperformance", district, year)
        sums = {
            "New Payments": "New",
            "Late Payments": "Late Ren.",
            "October Payments": "Oct. Ren.",
            "April Payments": "Apr. Ren.",
            "Charter Payments": "Total Chart",
            "Total YTD Payments": "Total to Date",
        }
        for name, column in sums.items():
            assert int(line[name]) == sum(int(row[column]) for row in paid)
        codes = Counter(row["Club Distinguished Status"] for row in clubs)
        assert int(line["Distinguished Clubs"]) == codes["D"]
        assert int(line["Select Distinguished Clubs"]) == codes["S"]
        assert int(line["Presidents Distinguished Clubs"]) == codes["P"]
        assert int(line.get("Smedley Distinguished Clubs", 0)) == codes["M"]
        assert int(line["Total Distinguished Clubs"]) == sum(codes[code] for code in "DSPM")
        assert int(line["Paid Clubs"]) == sum(row["Club Status"] == "Active" for row in clubs)
        assert int(line["Active Clubs"]) == sum(row["Club Status"] != "Suspended" for row in clubs)


def test_the_bases_of_a_year_are_the_final_figures_of_the_previous_year() -> None:
    for district in ("01", "04", "U"):
        ended = {row["Club Number"]: row for row in at_close("clubperformance", district, ProgramYear(2023))}
        began = at_close("clubperformance", district, CLOSED)
        for row in began:
            if row["Club Number"] in ended:
                assert row["Mem. Base"] == ended[row["Club Number"]]["Active Members"]
        assert not {row["Club Number"] for row in began} & {
            number for number, row in ended.items() if row["Club Status"] == "Suspended"
        }
    before = {row["DISTRICT"]: row for row in at_close("districtsummary", SUMMARY, ProgramYear(2023))}
    for line in at_close("districtsummary", SUMMARY, CLOSED):
        assert line["Payment Base"] == before[line["DISTRICT"]]["Total YTD Payments"]
        assert line["Paid Club Base"] == before[line["DISTRICT"]]["Paid Clubs"]


def test_payments_only_grow_within_a_year() -> None:
    columns = ("New", "Late Ren.", "Oct. Ren.", "Apr. Ren.", "Total Ren.", "Total Chart", "Total to Date")
    last: dict[str, list[int]] = {}
    for month in (7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6):
        month_end = CLOSED.month_end(month)
        for as_of in WORLD.as_of_days(month_end)[:-1:7]:
            for row in on_day("districtperformance", "01", month_end, as_of):
                now = [int(row[column]) for column in columns]
                assert all(a <= b for a, b in zip(last.get(row["Club"], now), now, strict=True))
                last[row["Club"]] = now


def test_level_codes_appear_in_april_and_follow_from_the_figures() -> None:
    for year in WORLD.years[1:]:
        for district in WORLD.districts_of(year):
            for row in at_close("clubperformance", district, year):
                earned = "" if row["Club Status"] == "Suspended" else level_earned(row, year.start)
                assert row["Club Distinguished Status"] == earned
    march = CLOSED.month_end(3)
    codes = {
        row["Club Distinguished Status"]
        for d in WORLD.districts_of(CLOSED)
        for row in on_day("clubperformance", d, march, march)
    }
    assert codes == {""}


def test_every_level_is_reached_somewhere() -> None:
    codes = {
        row["Club Distinguished Status"]
        for d in WORLD.districts_of(ProgramYear(2025))
        for row in at_close("clubperformance", d, ProgramYear(2025))
    }
    assert codes == {"", "D", "S", "P", "M"}


def test_goals_met_equals_the_goals_in_the_columns() -> None:
    for year in WORLD.years[1:]:
        for district in WORLD.districts_of(year):
            dates = {
                row["Club"]: row["Charter Date/Suspend Date"] for row in at_close("districtperformance", district, year)
            }
            for row in at_close("clubperformance", district, year):
                charter = re.fullmatch(r"Charter (\d\d)/\d\d/\d\d", dates[row["Club Number"]])
                is_late = charter is not None and int(charter[1]) not in (7, 8)
                assert int(row["Goals Met"]) == goals_counted(row, is_late=is_late)


def test_suspended_clubs_remain_as_rows_without_members_and_with_a_date() -> None:
    found = 0
    for district in WORLD.districts_of(CLOSED):
        paid = at_close("districtperformance", district, CLOSED)
        notes = {row["Club"]: row["Charter Date/Suspend Date"] for row in paid}
        for row in at_close("clubperformance", district, CLOSED):
            if row["Club Status"] == "Suspended":
                found += 1
                assert row["Active Members"] == "0"
                assert re.fullmatch(r" Susp \d\d/\d\d/\d\d", notes[row["Club Number"]])
    assert found


def test_new_clubs_are_unaligned_and_appear_on_their_charter_date() -> None:
    found = 0
    for district in WORLD.districts_of(CLOSED):
        for row in at_close("divisionperformance", district, CLOSED):
            note = row["Charter Date/Suspend Date"]
            assert note.startswith("Charter ") == (row["Division"] == "0D") == (row["Area"] == "0A")
            if row["Division"] == "0D":
                found += 1
                assert row["Distinguished Area"] == row["Distinguished Division"] == ""
                chartered = datetime.strptime(note, "Charter %m/%d/%y").replace(tzinfo=UTC).date()
                month_end = next(
                    end for end in map(CLOSED.month_end, range(1, 13)) if chartered - DAY in WORLD.as_of_days(end)
                )
                before = on_day("divisionperformance", district, month_end, chartered - DAY)
                assert row["Club"] not in {other["Club"] for other in before}
    assert found


def test_every_club_status_occurs() -> None:
    seen = {
        row["Club Status"]
        for year in WORLD.years[1:]
        for d in WORLD.districts_of(year)
        for row in at_close("clubperformance", d, year)
    }
    assert seen == {"Active", "Low", "Ineligible", "Suspended"}


def test_areas_and_divisions_show_the_goals_and_counts_of_their_clubs() -> None:
    for district in ("02", "F"):
        rows = at_close("divisionperformance", district, CLOSED)
        status = {r["Club Number"]: r["Club Status"] for r in at_close("clubperformance", district, CLOSED)}
        for kind, keys in (("Area", ("Division", "Area")), ("Division", ("Division",))):
            for row in rows:
                same_unit = [other for other in rows if all(other[key] == row[key] for key in keys)]
                base, paid = int(row[f"{kind} Club Base"]), int(row[f"Total Paid {kind} Clubs"])
                distinguished = int(row[f"Total Dist. {kind} Clubs"])
                assert paid == sum(status[other["Club"]] == "Active" for other in same_unit)
                assert distinguished == sum(other["Distinguished Club"] != "" for other in same_unit)
                assert int(row[f"{kind} Paid Club Goal for Dist."]) == base
                share = 50 if kind == "Area" else 45
                goal = int(row[f"{kind} Dist. Club Goal for Dist."])
                assert goal == -(-base * share // 100)
                rounds = [sum(int(other[f"{month} Visit award"]) for other in same_unit) for month in ("Nov", "May")]
                is_visited = kind == "Division" or 4 * min(rounds) >= 3 * base
                is_distinguished = is_visited and paid >= base and distinguished >= goal and row["Division"] != "0D"
                assert (row[f"Distinguished {kind}"] != "") == is_distinguished
