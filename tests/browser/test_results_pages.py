"""The result pages: a district over time, and the world ranking of a date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.admin_site import SECTION, AdminSite, axe_violations, has_horizontal_overflow

RESULTS = f"{SECTION}results/"
DISTRICT, WORLD = f"{RESULTS}01/2022-06-30/", f"{RESULTS}world/2022-06-30/"
CHANGES = f"{RESULTS}01/changes/?from=2021-06-30&to=2022-06-30"


@pytest.fixture(scope="module")
def shared_admin_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSite]:
    """Create a site with the closes of two program years and their analytics.

    The other tests need a site without these years.
    """
    with AdminSite.opened(browser, tmp_path_factory.mktemp("results")) as admin_site:
        client = admin_site.client
        client.set_limits()
        client.ended(client.start("2020-07-01", "2022-06-30", cadence="month-ends")["jobId"], within=120)
        client.ended(client.start("2020-07-01", "2022-06-30", jobType="analytics-generation")["jobId"], within=120)
        yield admin_site


def open_page(admin_site: AdminSite, path: str = DISTRICT, **options: Any) -> Page:
    page = admin_site.open(path, **options)
    if path == DISTRICT:
        expect(page.locator("#bf-charts")).to_have_attribute("data-state", "ready")
    return page


def test_the_page_of_a_district_shows_the_figures_of_the_api(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    result = admin_site.client.get("/api/analytics/2022-06-30/01")
    figures = page.locator("#figures .bf-tiles")
    expect(figures).to_contain_text(f"{result['membership']['total']:,}")
    expect(figures).to_contain_text(f"{result['payments']['total']:,}")
    for name, category in (("interventionRequired", 0), ("vulnerable", 1), ("thriving", 2)):
        counts = page.locator(".bf-health-counts strong")
        expect(counts.nth(category)).to_have_text(str(result["health"][name]))
    expect(page.locator("#quality tbody tr")).to_have_count(len(result["quality"]))
    expect(page.locator("#divisions .bf-division")).to_have_count(len(result["divisions"]))


def test_all_charts_show_their_values_at_the_date_under_the_pointer(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    charts = page.locator(".bf-chart")
    expect(charts.locator("canvas")).to_have_count(4)
    readings = page.locator(".bf-chart-value")
    expect(readings.first).to_contain_text("30 Jun 2022")
    page.locator(".u-over").first.scroll_into_view_if_needed()
    page.locator(".u-over").first.hover(position={"x": 3, "y": 40})
    for n in range(4):
        expect(readings.nth(n)).to_contain_text("Jul 2020")
    page.mouse.move(0, 0)
    expect(readings.first).to_contain_text("30 Jun 2022")
    page.get_by_role("button", name="This program year").click()
    page.locator(".u-over").first.hover(position={"x": 3, "y": 40})
    expect(readings.first).to_contain_text("Jul 2021")


def test_the_points_of_the_charts_are_also_shown_as_a_table(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.get_by_role("heading", name="Points as a table").click()
    points = admin_site.client.get("/api/analytics/series/01?programYear=2021-2022")["points"]
    rows = page.locator("#trend tbody tr")
    expect(rows).to_have_count(len(points))
    expect(rows.last).to_contain_text(f"{points[-1]['members']:,}")
    rows.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"/results/01/{points[0]['date']}/$"))


def test_another_year_date_and_district_can_be_selected(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.get_by_role("link", name="Earlier: 31 May 2022").click()
    expect(page.get_by_role("heading", name="District 1, 31 May 2022")).to_be_visible()
    page.select_option("#bf-year", "2020-2021")
    page.get_by_role("button", name="Show the program year").click()
    expect(page.get_by_role("heading", name="District 1, 30 Jun 2021")).to_be_visible()
    page.fill("#bf-district", "2")
    page.get_by_role("button", name="Show the district").click()
    expect(page.get_by_role("heading", name="District 2, 30 Jun 2021")).to_be_visible()


def test_the_world_ranking_can_be_sorted_and_links_to_districts(admin_site: AdminSite) -> None:
    page = open_page(admin_site, WORLD)
    world = admin_site.client.get("/api/analytics/2022-06-30/world")["districts"]
    rows = page.locator("#ranking tbody tr")
    expect(rows).to_have_count(len(world))
    expect(page.get_by_role("columnheader", name="Rank", exact=True)).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Payment growth").click()
    expect(page.get_by_role("columnheader", name="Payment growth")).to_have_attribute("aria-sort", "descending")
    most = max(world, key=lambda district: world[district]["paymentGrowthPercent"])
    first = rows.first.get_by_role("link")
    expect(first).to_have_text(most.lstrip("0"))
    first.click()
    expect(page.get_by_role("heading", name=f"District {most.lstrip('0')}, 30 Jun 2022")).to_be_visible()


def test_the_page_of_a_missing_result_links_to_a_prefilled_form_for_the_next_job(admin_site: AdminSite) -> None:
    page = open_page(admin_site, f"{RESULTS}01/2019-06-30/")
    expect(page.get_by_role("heading", name="No result yet")).to_be_visible()
    page.get_by_role("link", name="Prepare the data collection").click()
    expect(page.locator("[name=job_type][value=data-collection]")).to_be_checked()
    expect(page.locator("#bf-from")).to_have_value("2019-06-30")
    expect(page.locator("#bf-start-form [name=district][value='01']")).to_be_checked()


def test_two_dates_of_a_district_can_be_compared(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    page.get_by_role("link", name="Changes").click()
    expect(page.get_by_role("heading", name="Changes of district 1")).to_be_visible()
    expect(page.get_by_label("From", exact=True)).to_have_value("2022-05-31")
    expect(page.get_by_label("To", exact=True)).to_have_value("2022-06-30")
    page.get_by_label("From", exact=True).fill("2022-04-15")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#bf-changes-problem")).to_contain_text(
        "The nearest stored dates are 2022-03-31 and 2022-04-30."
    )
    page.get_by_label("From", exact=True).fill("2022-03-31")
    page.get_by_role("button", name="Compare").click()
    changes = admin_site.client.get("/api/changes?from=2022-03-31&to=2022-06-30&district=01")
    expect(page.locator("#clubs tbody tr")).to_have_count(len(changes["clubs"]))
    expect(page.locator("#dates .bf-tiles")).to_contain_text(f"{changes['totals']['members']['to']:,}")
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename == "changes-01-2022-03-31-2022-06-30.csv"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("path", [DISTRICT, WORLD, CHANGES, f"{RESULTS}02/2010-06-30/"])
def test_result_pages_have_no_axe_violations_and_no_horizontal_overflow(
    admin_site: AdminSite, path: str, scheme: str, width: int
) -> None:
    page = open_page(admin_site, path, color_scheme=scheme, viewport={"width": width, "height": 900})
    for part in page.locator("details.bf-block > summary").all():
        part.click()
    assert axe_violations(page) == []
    assert not has_horizontal_overflow(page)


def test_the_values_of_a_chart_can_be_read_with_the_keyboard(admin_site: AdminSite) -> None:
    page = open_page(admin_site)
    chart = page.locator(".bf-chart-canvas").first
    reading = page.locator(".bf-chart-value").first
    chart.focus()
    expect(reading).to_contain_text("30 Jun 2022")
    page.keyboard.press("ArrowLeft")
    expect(reading).to_contain_text("31 May 2022")
    shown = reading.locator("strong").inner_text()
    expect(chart).to_have_attribute("aria-valuetext", f"31 May 2022: {shown}")
    page.keyboard.press("Home")
    expect(reading).to_contain_text("Jul 2020")
    page.keyboard.press("Tab")
    expect(reading).to_contain_text("30 Jun 2022")
