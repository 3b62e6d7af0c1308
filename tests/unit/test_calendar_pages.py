"""The districts with which a calendar page is requested, and the responses that are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pytest

from backfill.dashboard.calendar_page import CalendarPage
from backfill.domain import ProgramYear
from backfill.errors import DashboardUnavailable, HtmlPage, ServerError, Throttled, TimedOut, UnexpectedStatus
from backfill.job_types.collection.calendar_pages import MAX_CANDIDATES, CalendarPages
from tests.memory_storage import MemoryStorage
from tests.unit.fakes import RecordingLimiter, ScriptedDashboard, a_page

OCTOBER, JUNE = date(2026, 10, 31), date(2026, 6, 30)
LIVE, CLOSED = ProgramYear(2026), ProgramYear(2025)
YEARS = (LIVE, CLOSED, ProgramYear(2024))
REFORMED, BEFORE = ("03", "06", "201", "F", "U"), ("01", "02", "03", "F", "U")


class ReformedDashboard(ScriptedDashboard):
    """Each program year has its own districts; `unknown` is the page for every other district."""

    def __init__(self, unknown: CalendarPage | None = None, **districts: Sequence[str]) -> None:
        super().__init__()
        self.districts = {LIVE: tuple(districts.get("live", REFORMED)), CLOSED: tuple(districts.get("closed", BEFORE))}
        self.unknown, self.home = unknown, self.districts[LIVE]
        self.errors: list[Exception] = []

    def calendar_page(self, month_end: date, *, district: str, is_archived: bool) -> CalendarPage:
        self.page_requests.append((month_end, is_archived))
        self.page_districts.append(district)
        if self.errors:
            raise self.errors.pop(0)
        year = ProgramYear.of(month_end) if is_archived else LIVE
        districts = self.districts.get(year, ())
        if district in districts:
            shown = month_end if ProgramYear.of(month_end) == year else OCTOBER
            return a_page(shown, shown, program_years=YEARS, districts=districts, months=(7, 8, 9, 10, shown.month))
        if self.unknown is None or not districts:
            raise HtmlPage("The dashboard leads to its error page.")
        return self.unknown


class CalendarSearch:
    def __init__(
        self,
        dashboard: ScriptedDashboard,
        known: Mapping[ProgramYear, Sequence[str]] | None = None,
        likely: Sequence[str] = (),
    ) -> None:
        self.dashboard = dashboard
        self.limiter = RecordingLimiter(MemoryStorage(), max_wait=5)
        self.pages = CalendarPages(dashboard, self.limiter, known or {}, likely)

    def page(self, end: date, *, is_archived: bool = False) -> CalendarPage | None:
        return self.pages.page(end, is_archived=is_archived)

    @property
    def districts_tried(self) -> list[str]:
        return self.dashboard.page_districts


def test_a_district_of_a_stored_page_of_the_year_is_used_and_the_home_page_is_not_requested() -> None:
    search = CalendarSearch(ReformedDashboard(live=("03", "201")), {LIVE: ("03", "201"), CLOSED: BEFORE})
    page = search.page(OCTOBER)
    assert page is not None
    assert page.districts == ("03", "201")
    assert (search.districts_tried, search.dashboard.home_page_requests) == (["03"], 0)


def test_without_a_stored_page_the_live_year_is_requested_with_a_district_of_the_home_page() -> None:
    search = CalendarSearch(ReformedDashboard(live=("06", "201")), {CLOSED: BEFORE})
    assert search.page(OCTOBER) is not None
    assert search.page(date(2026, 9, 30)) is not None
    assert (search.districts_tried, search.dashboard.home_page_requests) == (["06", "06"], 1)


@pytest.mark.parametrize("error", [HtmlPage("No districts."), UnexpectedStatus("404"), ServerError("500")])
def test_without_a_home_page_the_districts_f_and_u_are_tried(error: Exception) -> None:
    search = CalendarSearch(ReformedDashboard(live=("03", "U")))
    search.dashboard.home = error
    assert search.page(OCTOBER) is not None
    assert (search.districts_tried, search.dashboard.home_page_requests) == (["F", "U"], 1)
    assert search.limiter.back_offs == []  # an unknown district is not an error


def test_the_home_page_is_requested_again_while_the_dashboard_throttles() -> None:
    search = CalendarSearch(ReformedDashboard(live=("F",)))
    search.dashboard.home = Throttled("Too many requests.")
    assert search.page(OCTOBER) is not None
    assert search.dashboard.home_page_requests == len(search.limiter.holds) == 3


def test_a_closed_year_is_tried_with_f_u_likely_districts_and_those_of_the_nearest_year() -> None:
    search = CalendarSearch(ReformedDashboard(closed=("201",)), {ProgramYear(2022): ("98",)}, ("99", "202"))
    page = search.page(JUNE, is_archived=True)
    assert page is not None
    assert page.districts == ("201",)
    requests = zip(search.districts_tried, search.dashboard.page_requests, strict=True)
    # The districts of 2026-2027 come from the page that lists the published years.
    assert [d for d, (_, is_archived) in requests if is_archived] == ["F", "U", "99", "202", "03", "06", "201"]


def test_a_district_listed_on_a_page_is_used_for_the_other_months_of_its_year() -> None:
    search = CalendarSearch(ReformedDashboard(closed=("91",)), likely=["91"])
    search.page(JUNE, is_archived=True)
    search.districts_tried.clear()
    search.page(date(2026, 5, 31), is_archived=True)
    assert search.districts_tried == ["91"]


def test_a_page_for_another_district_is_used_if_it_shows_the_requested_year_and_month() -> None:
    shown = a_page(JUNE, JUNE, program_years=YEARS, districts=("03",), months=(6, 5))
    search = CalendarSearch(ReformedDashboard(unknown=shown, closed=("03",)))
    assert search.page(JUNE, is_archived=True) is shown
    assert search.districts_tried == ["F"]


@pytest.mark.parametrize(
    "shown",
    [
        a_page(OCTOBER, OCTOBER, program_years=YEARS, districts=("03",), months=(10, 9, 8, 7)),
        a_page(date(2026, 5, 31), date(2026, 6, 5), program_years=YEARS, districts=("03",), months=(6, 5, 4)),
    ],
    ids=["another program year", "another month that hides the requested one"],
)
def test_a_page_for_another_district_is_not_used_if_it_shows_another_year_or_month(shown: CalendarPage) -> None:
    search = CalendarSearch(ReformedDashboard(unknown=shown, closed=("03",)))
    page = search.page(JUNE, is_archived=True)
    assert page is not None
    assert page.districts == ("03",)
    assert (search.districts_tried[:2], search.districts_tried[-1]) == (["F", "U"], "03")


def test_a_page_of_the_live_path_is_not_used_if_it_does_not_show_the_newest_year() -> None:
    older = a_page(JUNE, JUNE, program_years=YEARS, districts=BEFORE, months=(6,))
    search = CalendarSearch(ReformedDashboard(unknown=older, live=("03",)), {LIVE: ("01",)})
    page = search.page(OCTOBER)
    assert page is not None
    assert page.program_year == LIVE
    assert search.districts_tried == ["01", "03"]


def test_a_page_that_shows_another_month_is_used_for_a_month_without_figures() -> None:
    shown = a_page(date(2026, 10, 31), OCTOBER, program_years=YEARS, districts=REFORMED, months=(10, 9, 8, 7))
    dashboard = ScriptedDashboard()
    dashboard.pages[date(2026, 12, 31), False] = [shown]
    search = CalendarSearch(dashboard)
    assert search.page(date(2026, 12, 31)) is shown


def test_a_year_that_no_page_lists_is_detected_before_more_districts_are_tried() -> None:
    search = CalendarSearch(ReformedDashboard())
    assert search.page(date(2010, 1, 31), is_archived=True) is None
    assert search.dashboard.page_requests == [(date(2010, 1, 31), True), (date(2010, 1, 31), False)]
    assert search.page(date(2011, 1, 31), is_archived=True) is None
    assert search.dashboard.page_requests[2:] == [(date(2011, 1, 31), True)]  # the years are known


def test_a_year_is_unpublished_if_a_page_of_the_archive_does_not_list_it() -> None:
    dashboard = ReformedDashboard(unknown=a_page(JUNE, JUNE, program_years=YEARS))
    dashboard.districts[ProgramYear(2010)] = ("03",)
    search = CalendarSearch(dashboard)
    assert search.page(date(2011, 1, 31), is_archived=True) is None
    assert search.districts_tried == ["F"]


def test_without_any_page_of_the_live_year_every_candidate_of_a_closed_year_is_tried() -> None:
    """Between two years, or if the live year has no figures, no page lists the published years."""
    dashboard = ReformedDashboard(live=(), closed=("91",))
    dashboard.home = HtmlPage("The home page names no district.")
    search = CalendarSearch(dashboard)
    page = search.page(JUNE, is_archived=True)
    assert page is not None
    assert page.districts == ("91",)
    assert (search.districts_tried[0], search.districts_tried[-1]) == ("F", "91")


def test_an_error_page_for_a_listed_district_is_an_error_and_is_followed_by_a_delay() -> None:
    dashboard = ReformedDashboard()
    dashboard.errors = [HtmlPage("An error page."), TimedOut("Too slow.")]
    search = CalendarSearch(dashboard, {LIVE: REFORMED})
    assert search.page(OCTOBER) is not None
    assert (search.districts_tried, search.limiter.back_offs) == (
        ["F", "U", "U"],
        [(1, "An error page."), (2, "Too slow.")],
    )


def test_the_number_of_requests_is_limited_and_the_error_names_every_tried_district() -> None:
    search = CalendarSearch(ReformedDashboard(live=("201",), closed=()), {LIVE: ("201",)}, ("1", "2", "3", "4"))
    search.pages.page(OCTOBER, is_archived=False)
    search.districts_tried.clear()
    with pytest.raises(DashboardUnavailable) as raised:
        search.page(JUNE, is_archived=True)
    assert len(search.districts_tried) == MAX_CANDIDATES
    assert search.districts_tried[:6] == ["F", "U", "1", "2", "3", "201"]
    assert raised.value.message.startswith("The calendar of June 2026 cannot be read: The dashboard leads")
    assert (
        f"Tried with district {', '.join(search.districts_tried)}. Nothing was created; try again later."
        in raised.value.message
    )


def test_the_error_names_the_year_of_a_page_that_shows_another_year() -> None:
    search = CalendarSearch(ReformedDashboard(unknown=a_page(OCTOBER, OCTOBER, program_years=YEARS), closed=("55",)))
    with pytest.raises(DashboardUnavailable, match="shows month 10 of 2026-2027 instead"):
        search.page(JUNE, is_archived=True)


def test_the_search_ends_after_three_errors_regardless_of_the_district() -> None:
    dashboard = ReformedDashboard()
    dashboard.errors = [ServerError("502"), HtmlPage("An error page."), ServerError("503")]
    search = CalendarSearch(dashboard, {LIVE: REFORMED})
    with pytest.raises(DashboardUnavailable, match=r"cannot be read: 503 Tried with district F, U\. Nothing"):
        search.page(OCTOBER)
    assert search.districts_tried == ["F", "F", "U"]
