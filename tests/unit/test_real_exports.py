"""The parser with the real exports, and with the stand-in server for eras without real exports.

Club reports: the 29 columns of 2014-2020, the 23 of 2020-2025 (real/, exact/), the 25 of 2025-2026 and of 2026-2027
(stand-in). District and division reports: 2014 to 2024 (real/), 2025-2026 (stand-in). Summaries: the 21 columns of
2012 to 2024 (real/), the 25 from 2025-2026 on (stand-in).
"""

from __future__ import annotations

import gzip
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from backfill.dashboard.calendar_page import CalendarPage, calendar_month, parse_calendar_page
from backfill.dashboard.client import DashboardClient
from backfill.dashboard.protocol import NEEDED_COLUMNS, ReportRequest
from backfill.dashboard.reports import check, parse, rows_as_objects
from backfill.domain import (
    DISTRICT_REPORTS,
    SUMMARY,
    Edition,
    ProgramYear,
    ReportName,
    is_month_end,
    normalise_column,
    reports_of,
)
from backfill.errors import (
    ConnectionFailed,
    DashboardError,
    HtmlPage,
    NoRows,
    ServerError,
    Throttled,
    Truncated,
    WrongAsOf,
    WrongMonth,
)

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "dashboard"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="The real exports of ../shared/dashboard are not here.")


def real_files(report: ReportName) -> list[Path]:
    folder = SUMMARY if report is ReportName.SUMMARY else "91"
    return sorted((SHARED / "real" / report / folder).glob("*.csv.gz"))


def requested(path: Path, report: ReportName) -> ReportRequest:
    """Returns the request for a real file, whose name contains the end of the month and the as-of date."""
    month_end, as_of = (date.fromisoformat(part) for part in path.name.removesuffix(".csv.gz").split("_"))
    edition = Edition(month_end=month_end, as_of=as_of, is_final=True, is_archived=True, asks_blank=False)
    return ReportRequest(report=report, district=path.parent.name, edition=edition)


def year_end(report: ReportName, district: str, program_year: ProgramYear) -> ReportRequest:
    edition = Edition(
        month_end=program_year.close,
        as_of=date(program_year.start + 1, 7, 19),
        is_final=True,
        is_archived=True,
        asks_blank=True,
    )
    return ReportRequest(report=report, district=district, edition=edition)


def real_page(name: str) -> CalendarPage:
    return parse_calendar_page(gzip.decompress((SHARED / "exact" / f"calendar_page_{name}.html.gz").read_bytes()))


@pytest.mark.parametrize(
    ("report", "files", "widths"),
    [
        (ReportName.CLUBS, 124, {29, 23}),
        (ReportName.DISTRICT, 124, {14}),
        (ReportName.DIVISIONS, 124, {33}),
        (ReportName.SUMMARY, 148, {21}),
    ],
)
def test_every_real_report_is_valid_for_its_own_request(report: ReportName, files: int, widths: set[int]) -> None:
    """R2.2"""
    seen = set()
    paths = real_files(report)
    for path in paths:
        content = gzip.decompress(path.read_bytes())
        kept = check(content, requested(path, report))
        parsed = parse(content)
        seen.add(len(parsed.columns))
        assert kept.rows == len(parsed.rows) == content.count(b"\r\n") - 2, path.name
        assert kept.content == content
    assert (len(paths), seen) == (files, widths)


def test_no_real_report_is_valid_for_the_request_of_another_one() -> None:
    """Each file of the newest twelve months is valid only for its own request."""
    paths = real_files(ReportName.CLUBS)[-12:]
    contents = {path: gzip.decompress(path.read_bytes()) for path in paths}
    for path in paths:
        for other in paths:
            if other is not path:
                with pytest.raises(DashboardError):
                    check(contents[path], requested(other, ReportName.CLUBS))


@pytest.mark.parametrize("report", [ReportName.CLUBS, ReportName.DISTRICT])
@pytest.mark.parametrize("start", [2022, 2023, 2024])
def test_the_exact_year_ends_are_valid_for_a_blank_as_of_date(report: ReportName, start: int) -> None:
    year = ProgramYear(start)
    content = (SHARED / "exact" / f"{report}_{year}.csv").read_bytes()
    kept = check(content, year_end(report, "91", year))
    assert kept.size == len(content)
    objects = rows_as_objects(content)
    number = objects[0]["Club Number" if report is ReportName.CLUBS else "Club"]
    assert (len(objects), number, objects[0]["Club Name"]) == (kept.rows, "00005774", "Solent Speakers Club")


def test_the_real_excerpt_without_its_footer_is_truncated() -> None:
    content = (SHARED / "exact" / "divisionperformance_D61_2026-06_excerpt.csv").read_bytes()
    with pytest.raises(Truncated):
        parse(content)
    # With a footer it is a report of the 2025-2026 era, so the header of that era is known as well.
    whole = content.rstrip() + b"\r\nMonth of Jun, As of 07/20/2026\r\n"
    assert check(whole, year_end(ReportName.DIVISIONS, "61", ProgramYear(2025))).rows > 0


def test_the_real_error_page_is_refused_as_a_report_and_as_a_calendar() -> None:
    content = (SHARED / "exact" / "error_page.html").read_bytes()
    with pytest.raises(HtmlPage):
        parse(content)
    with pytest.raises(HtmlPage):
        parse_calendar_page(content)


def test_a_real_calendar_page_is_refused_as_a_report() -> None:
    content = gzip.decompress((SHARED / "exact" / "calendar_page_2012-2013_june_district_89.html.gz").read_bytes())
    with pytest.raises(HtmlPage):
        parse(content)


def test_the_real_page_of_june_2013_lists_only_a_blank_close() -> None:
    page = real_page("2012-2013_june_district_89")
    assert (page.program_year, page.month) == (ProgramYear(2012), 6)
    assert page.program_years == tuple(ProgramYear(start) for start in range(2022, 2007, -1))
    assert page.months == (6, 5, 4, 3, 2, 1, 12, 11, 10, 9, 8, 7)
    assert (page.as_of_days, page.has_blank_close) == ((date(2013, 7, 19),), True)
    assert len(page.districts) == 89
    assert (page.districts[0], page.districts[-3:]) == ("01", ("89", "F", "U"))


def test_the_real_page_of_march_2023_lists_every_day_from_close_to_close() -> None:
    page = real_page("2022-2023_march_district_125")
    assert (page.program_year, page.month, page.has_blank_close) == (ProgramYear(2022), 3, False)
    first, last = date(2023, 3, 10), date(2023, 4, 14)
    assert page.as_of_days == tuple(first + timedelta(days) for days in range((last - first).days + 1))
    assert page.months == (4, 3, 2, 1, 12, 11, 10, 9, 8, 7)
    assert len(page.districts) == 128
    assert {"01", "91", "125", "126", "F", "U"} <= set(page.districts)
    # It was saved while 2022-2023 was live: April has figures, so March is closed.
    assert calendar_month(page, date(2023, 3, 31), is_archived=False, fetched_at=datetime.now(UTC)).is_closed


def test_the_districts_of_a_real_page_include_those_of_the_summary_of_its_month() -> None:
    for name, month_end in (
        ("2012-2013_june_district_89", "2013-06-30"),
        ("2022-2023_march_district_125", "2023-03-31"),
    ):
        [path] = (SHARED / "real" / ReportName.SUMMARY / SUMMARY).glob(f"{month_end}_*.csv.gz")
        summary = {row["DISTRICT"] for row in rows_as_objects(gzip.decompress(path.read_bytes()))}
        assert set(real_page(name).districts) >= summary


def test_the_close_of_the_real_july_2022_is_the_selected_day_and_not_the_newest() -> None:
    page = real_page("2022-2023_july_district_01")
    assert (page.program_year, page.month, page.close) == (ProgramYear(2022), 7, date(2022, 8, 9))
    assert (page.as_of_days[0], page.as_of_days[-1]) == (date(2022, 8, 1), date(2022, 8, 10))
    july = date(2022, 7, 31)
    # It was saved while 2022-2023 was live; April has figures.
    for is_archived in (False, True):
        month = calendar_month(page, july, is_archived=is_archived, fetched_at=datetime.now(UTC))
        edition = month.edition(july)
        assert edition is not None
        assert edition.is_final
        request = ReportRequest(report=ReportName.CLUBS, district="01", edition=edition)
        assert request.report_string == "clubperformance~01~7/31/2022~8/9/2022~2022-2023"
        assert month.edition(date(2022, 8, 9)) is not None
        assert month.edition(date(2022, 8, 10)) is None


@pytest.mark.parametrize(
    "name",
    ["2012-2013_june_district_89", "2012-2013_june_district_U", "2022-2023_march_district_125"],
)
def test_the_close_of_every_other_real_page_is_the_newest_day(name: str) -> None:
    page = real_page(name)
    assert page.close == page.as_of_days[-1]


def test_the_lists_of_a_real_page_do_not_depend_on_its_district() -> None:
    assert real_page("2012-2013_june_district_U") == real_page("2012-2013_june_district_89")


# The stand-in server: every era, and the responses to invalid requests.


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboard_peer", SHARED / "dashboard_peer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # the shared folder is read-only
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def synthetic(peer: ModuleType) -> Iterator[DashboardClient]:
    peer.Handler.journal = peer.Journal()
    peer.Handler.world = peer.SyntheticWorld("peer", 3, 12, date(2026, 11, 1))
    with peer.Server(("127.0.0.1", 0), peer.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with closing(DashboardClient(f"http://127.0.0.1:{server.server_port}")) as client:
            yield client
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("month_end", "is_archived", "width"),
    [
        (date(2023, 3, 31), True, 23),
        (date(2025, 6, 30), True, 23),
        (date(2026, 6, 30), True, 25),
        (date(2026, 9, 30), False, 25),
        (date(2026, 10, 31), False, 25),
    ],
)
def test_the_calendar_and_reports_of_every_era_are_accepted(
    synthetic: DashboardClient, month_end: date, is_archived: bool, width: int
) -> None:
    """R2.2"""
    page = synthetic.calendar_page(month_end, district="F", is_archived=is_archived)
    month = calendar_month(page, month_end, is_archived=is_archived, fetched_at=datetime.now(UTC))
    assert len(month.districts) == 3
    assert month.has_blank_close == (is_archived and month_end.month == 6)
    assert month.is_closed == (month_end != date(2026, 10, 31))
    newest = month.as_of_days[-1]
    editions = [month.edition(day) for day in (month_end, newest, month.as_of_days[0])]
    assert is_month_end(month_end)
    for edition in editions:
        assert edition is not None
        for district in (*month.districts, SUMMARY):
            for report in reports_of(district):
                kept = synthetic.report(ReportRequest(report=report, district=district, edition=edition))
                columns = parse(kept.content).columns
                assert {normalise_column(c) for c in NEEDED_COLUMNS[report]} <= {normalise_column(c) for c in columns}
                if report is ReportName.CLUBS:
                    assert len(columns) == width


def test_the_club_columns_of_every_era_include_the_required_ones(peer: ModuleType) -> None:
    assert sorted(peer.CLUB_COLUMNS) == [2019, 2020, 2025, 2026]
    for columns in peer.CLUB_COLUMNS.values():
        assert set(NEEDED_COLUMNS[ReportName.CLUBS]) <= set(columns)


def edition_of(month_end: date, as_of: date, *, is_archived: bool = True) -> Edition:
    return Edition(month_end=month_end, as_of=as_of, is_final=False, is_archived=is_archived, asks_blank=False)


def test_invalid_requests_never_return_a_report(synthetic: DashboardClient) -> None:
    cases: list[tuple[Edition, type[DashboardError], str]] = [
        (edition_of(date(2023, 3, 31), date(2023, 1, 1)), NoRows, "no rows"),
        (edition_of(date(2010, 3, 31), date(2010, 4, 8)), HtmlPage, "error page"),
        (edition_of(date(2026, 9, 30), date(2026, 10, 1)), ServerError, "500"),
        (edition_of(date(2023, 3, 31), date(2023, 4, 1), is_archived=False), WrongAsOf, "instead of 4/1/2023"),
    ]
    district = synthetic.calendar_page(date(2023, 3, 31), district="F", is_archived=True).districts[0]
    for edition, expected, message in cases:
        with pytest.raises(expected, match=re.escape(message)):
            synthetic.report(ReportRequest(report=DISTRICT_REPORTS[0], district=district, edition=edition))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "429", "retry_after": 2}, Throttled),
        ({"kind": "503", "retry_after": 2}, Throttled),
        ({"kind": "503"}, ServerError),
        ({"kind": "500"}, ServerError),
        ({"kind": "truncate"}, Truncated),
        ({"kind": "reset"}, ConnectionFailed),
        ({"kind": "html"}, HtmlPage),
        ({"kind": "empty"}, NoRows),
        ({"kind": "stale_footer"}, WrongMonth),
    ],
)
def test_every_fault_of_the_stand_in_server_is_an_error_and_the_next_request_succeeds(
    peer: ModuleType, synthetic: DashboardClient, fault: dict[str, object], expected: type[DashboardError]
) -> None:
    page = synthetic.calendar_page(date(2023, 3, 31), district="F", is_archived=True)
    request = ReportRequest(
        report=ReportName.CLUBS, district=page.districts[0], edition=edition_of(date(2023, 3, 31), page.as_of_days[-1])
    )
    peer.Handler.journal.faults = [{**fault, "times": 1}]
    with pytest.raises(expected):
        synthetic.report(request)
    assert synthetic.report(request).rows > 0
